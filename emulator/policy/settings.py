"""Settings: what AWS does not say, as the integers that kernels read (section 9 of the semantics); a part of `tables`."""

from typing import NamedTuple


class Settings(NamedTuple):
    """The policy knobs as integers; times in ns, -1 where a knob is unset."""

    midstream: int
    icmp_error_related: int
    embryonic_ns: int
    linger_ns: int
    icmp_ns: int
    other_ns: int
    autotrack_2023: int
    entry_survives_acl_drop: int
    fragments: int
    fall_through: int
    per_hop_ttl: int
    router_ping: int
    ref_matches_ipv6: int
    block_port_25: int
    hairpin: int
    check_after_groups: int
    seed: int
    mtu_of_captures: int


MIDSTREAM_RULES_ONLY, MIDSTREAM_PICKUP, MIDSTREAM_STRICT = 0, 1, 2
FRAGMENTS_REASSEMBLE, FRAGMENTS_FIRST, FRAGMENTS_DROP = 0, 1, 2

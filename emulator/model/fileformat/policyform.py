"""The shape of a file's ``policy``: what AWS does not say, by the names of the semantics' table 0.4."""

from dataclasses import fields
from functools import cache
from typing import Any, Literal

from pydantic import Field

from emulator.model.fileformat.fields import Count, Edition, Flag, Seed, SettingSeconds
from emulator.model.fileformat.ruleforms import Form, form


@form
class PolicyForm(Form):
    """Settings for what AWS does not say."""

    midstream_tcp: Literal["rules_only", "pickup", "strict"] | None = Field(
        None, alias="ct.midstream_tcp", description="TCP that is met in the middle (CT-30 to CT-33)."
    )
    icmp_error_related: Flag | None = Field(
        None, alias="ct.icmp_error_related", description="Whether ICMP errors about a tracked flow pass without a rule (CT-36)."
    )
    tcp_default_established_s: SettingSeconds | None = Field(
        None, alias="ct.tcp_default_established_s", description="Idle established TCP; left out: by instance type (CT-20)."
    )
    tcp_embryonic_s: SettingSeconds | None = Field(
        None, alias="ct.tcp_embryonic_s", description="TCP before its handshake is done; left out: as established (CT-25)."
    )
    tcp_close_linger_s: SettingSeconds | None = Field(None, alias="ct.tcp_close_linger_s", description="TCP after its close (CT-26).")
    icmp_s: SettingSeconds | None = Field(None, alias="ct.icmp_s", description="Idle ICMP (CT-24).")
    other_s: SettingSeconds | None = Field(None, alias="ct.other_s", description="Other idle protocols (CT-8).")
    max_entries: Count | None = Field(None, alias="ct.max_entries", description="Tracked connections of an instance (CT-40).")
    autotrack: Edition | None = Field(None, alias="ct.autotrack", description="Edition of the list of what is always tracked (CT-16).")
    entry_survives_acl_drop: Flag | None = Field(
        None, alias="ct.entry_survives_acl_drop", description="Whether a connection is tracked whose packet an ACL then dropped (CT-34)."
    )
    frag_policy: Literal["reassemble", "first_fragment", "drop_noninitial"] | None = Field(
        None, alias="frag.policy", description="How fragments meet rules with ports (FB-32)."
    )
    blackhole: Literal["drop", "fall_through"] | None = Field(
        None, alias="route.blackhole", description="Whether a blackhole route ends the search (RT-12)."
    )
    ttl: Literal["spec", "per_hop"] | None = Field(None, alias="fabric.ttl", description="Where the TTL is counted down (FB-18, FB-19).")
    router_ping: Literal["own_subnet", "none"] | None = Field(
        None, alias="fabric.router_ping", description="Whom the router's address answers (FB-16)."
    )
    ref_matches_ipv6: Flag | None = Field(
        None, alias="sg.ref_matches_ipv6", description="Whether a group as peer matches its members' IPv6 addresses (SG-24)."
    )
    block_port_25: Flag | None = Field(
        None, alias="egress.block_port_25", description="Whether mail to public addresses is blocked, as in a new account (FB-34)."
    )
    hairpin: Flag | None = Field(
        None, alias="igw.hairpin", description="Whether an instance reaches another's elastic IP through the internet gateway (RT-27)."
    )
    srcdst_after_sg: Flag | None = Field(
        None, alias="pipeline.srcdst_after_sg", description="Whether groups come before the source/destination check (PL-4)."
    )
    propagation_delay_s: SettingSeconds | None = Field(
        None, alias="sg.propagation_delay_s", description="How long an edit takes to reach the interfaces (PL-7)."
    )
    mtu_of_captures: Flag | None = Field(
        None, alias="fabric.mtu_of_captures", description="Whether a capture's lengths are those on the wire, not the card's (FB-26)."
    )
    seed: Seed | None = Field(None, description="Of all chance: links' loss, made ports.")


@cache
def settings() -> dict[str, str]:
    """The model's fields of `Policy` by their names in a file: ``ct.midstream_tcp`` is ``midstream_tcp``."""
    return {spelling(field): field.name for field in fields(PolicyForm)}


def spelling(field: Any) -> str:
    """What a file calls a form's dataclass field."""
    return getattr(field.default, "alias", None) or str(field.name)

"""Each packet's verdict by the kernel beside the emulator's, and a table of what agreed:

    python -m tests.oracles.compare CAPTURE… [--rule-sets 20] [--seed 0] [--policy pickup]

The differences that remain have a kind each; all are documented (sections 9.1 and 9.2 of the semantics):

    tcp state   the kernel's state machine calls a segment of a connection invalid that the groups track, so its rules alone
                judge it, and it may see a start or an end where they see none (LX-2 to LX-5); the groups look at no
                sequence numbers, windows or checksums, and once there is an entry at no flags but SYN, FIN and RST (CT-37)
    length      the kernel tracks no datagram whose transport header contradicts its length; the groups do not look
    icmp code   the kernel keeps the code in its key, and tracks node information (LX-9); the groups keep the kind of
                query and its identifier, and track echo alone of ICMPv6 (CT-4)
    own key     the kernel knows ports of SCTP, UDP-Lite and DCCP, keys of GRE version 1, and SCTP's chunks; to the groups
                they are addresses and a number, 600 s (CT-8, LX-23)
    closing     a RST that is the only reply ends the kernel's entry at once, however long closed ones are kept; an ACK after two
                FINs closes a connection for the kernel, for the groups only where both are acknowledged, which FINs that
                cross are not; and where closed ones are forgotten at once, which RST or FIN closes one (LX-23, CT-26)
    fragments   the kernel judges a datagram when its last piece has come, the groups when its first has (LX-10, FB-32)

A kind is believed only where the packets bear it out: for the first three, the kernel must have called that packet, or an
earlier one of its flow that the emulator tracked, invalid; for closing, the flow must have seen a FIN or an RST; for
fragments, a packet of the flow must have crossed between two pieces of a datagram of the same.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emulator.datapath.state import Count, Outcome, Step
from emulator.model.entities import NetworkInterface
from emulator.model.topology import Topology
from emulator.policy.reasons import Reason, Stage, Verdict
from emulator.replay import Replay, replay
from emulator.wire.headers import FIN, ICMP, ICMPV6, RST, SCTP, TCP, UDP, Field, Matrix, five_tuple
from tests.oracles import netfilter, rulesets
from tests.oracles.kernel import Router, why_not
from tests.oracles.traffic import HOST, Traffic, prepare

Flow = tuple[int, ...]
MAX_PACKETS = 65_535
"""Of one capture in one run: a marker each."""
DCCP, GRE, UDP_LITE = 33, 47, 136
_FLOW = [Field.FAMILY, Field.PROTOCOL, Field.SOURCE_HI, Field.SOURCE_LO, Field.DESTINATION_HI, Field.DESTINATION_LO]


class Difference(NamedTuple):
    """A packet on which the two do not agree; ``kind`` is empty if nothing documented explains it."""

    packet: int
    kernel: bool
    emulator: bool
    kind: str
    state: str
    text: str


@dataclass
class Comparison:
    """How one capture fared through one topology.

    Parameters
    ----------
    compared : packets that both judged
    accepted : of these, by the kernel
    unjudged : packets that the emulator's groups did not see, by reason
    states : packets by what the kernel thought of them
    """

    compared: int = 0
    accepted: int = 0
    unjudged: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def unexplained(self) -> list[Difference]:
        """Differences of no documented kind."""
        return [difference for difference in self.differences if not difference.kind]

    def __iadd__(self, other: "Comparison") -> "Comparison":
        self.compared += other.compared
        self.accepted += other.accepted
        self.unjudged += other.unjudged
        self.states += other.states
        self.differences += other.differences
        return self


def compare(traffic: Traffic, topology: Topology, *, compiled: bool | None = False, settings: dict[str, int] | None = None) -> Comparison:
    """Send traffic through the kernel and through the emulator, by the groups of ``host:eth0``."""
    if len(traffic.frames) > MAX_PACKETS:
        traffic = replace(traffic, frames=traffic.frames[:MAX_PACKETS], datagram=traffic.datagram[:MAX_PACKETS])
    result = emulated(traffic, topology, compiled=compiled)
    judgement = judged(result)
    accepted, states = crossed(traffic, topology, settings or netfilter.settings(topology.policy))
    headers = result.headers[np.argsort(result.headers[:, Field.INDEX])]
    return _matched(traffic, headers, judgement, accepted, states, topology.policy.tcp_close_linger_s == 0)


def emulated(traffic: Traffic, topology: Topology, *, times_ns: list[int] | None = None, compiled: bool | None = False) -> Replay:
    """The traffic through the emulator, every packet sent whatever became of its cause."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ready.pcapng")
        traffic.write(path, times_ns)
        return replay(topology, path, open_loop=True, compiled=compiled)


def host_of(topology: Topology) -> NetworkInterface:
    """The interface under judgement."""
    return topology.interfaces_of(topology.find("host").id)[0]


class Judgement(NamedTuple):
    """What the groups of the interface said of each packet: None where they were not asked, and why then; and whether by an entry."""

    verdicts: list[bool | None]
    reasons: list[str]
    tracked: list[bool]


def judged(result: Replay) -> Judgement:
    """What the groups of the interface said."""
    journal = result.engine.state.journal[: int(result.engine.state.counts[Count.STEPS, 0])]
    place = result.engine.ids.of(host_of(result.topology).id)
    journal = journal[journal[:, Step.PACKET] < len(result.headers)]  # behind are those that the network itself made
    here = journal[np.isin(journal[:, Step.STAGE], (Stage.GROUP_EGRESS, Stage.GROUP_INGRESS)) & (journal[:, Step.PLACE] == place)]
    exempt = journal[(journal[:, Step.STAGE] == Stage.EXEMPT) & (journal[:, Step.PLACE] == place)]
    verdicts: list[bool | None] = [None] * len(result.headers)
    reasons = [
        Reason(int(number)).name if number else "fabric service at its sender"
        for number in result.outcomes[: len(verdicts), Outcome.REASON]
    ]
    tracked = [False] * len(verdicts)
    for rows in (exempt, here):
        for packet, verdict, entry in rows[:, [Step.PACKET, Step.VERDICT, Step.ENTRY]].tolist():
            verdicts[packet], tracked[packet] = verdict == Verdict.ACCEPT, entry != 0
    return Judgement(verdicts, reasons, tracked)


def crossed(
    traffic: Traffic, topology: Topology, settings: dict[str, int], waits_s: dict[int, float] | None = None
) -> tuple[set[tuple[int, int]], dict[tuple[int, int], str]]:
    """Markers of what the kernel let through, and what it thought of each; ``waits_s`` are pauses before packets, by number."""
    cuts = [0, *sorted(waits_s or {}), len(traffic.frames)]
    accepted: set[tuple[int, int]] = set()
    with Router(netfilter.ruleset(topology, host_of(topology)), settings, [str(HOST[4]), str(HOST[6])]) as router:
        for start, end in pairwise(cuts):
            time.sleep((waits_s or {}).get(start, 0))
            accepted |= router.cross(traffic.frames[start:end])
        marked = router.marked(*(f"{state}{family}" for state in netfilter.STATES for family in (4, 6)))
    accepted &= {(frame.family, frame.marker) for frame in traffic.frames}  # the router's own words are none of these
    states = {(int(name[-1]), marker): name[:-1] for name, markers in marked.items() for marker in markers}
    return accepted, states


def _matched(
    traffic: Traffic,
    headers: Matrix,
    judgement: Judgement,
    accepted: set[tuple[int, int]],
    states: dict[tuple[int, int], str],
    closes: bool,
) -> Comparison:
    done = Comparison()
    odd: dict[Flow, str] = {}
    closed: set[Flow] = set()
    flows, split = _flows(traffic, headers)
    for number, (frame, verdict) in enumerate(zip(traffic.frames, judgement.verdicts, strict=True)):
        key = (frame.family, frame.marker)
        state = states.get(key, "unseen")
        row, flow = headers[number], flows[number]
        if number >= split.get(flow, len(flows)):
            odd.setdefault(flow, "fragments")
        if state == "invalid" and judgement.tracked[number]:
            odd.setdefault(flow, _kind(row, frame.data))
        if row[Field.PROTOCOL] == TCP and row[Field.FLAGS] & (FIN | RST):
            closed.add(flow)
        if closes and row[Field.PROTOCOL] == TCP and row[Field.FLAGS] & (FIN | RST):
            odd.setdefault(flow, "closing")
        if verdict is None:
            done.unjudged[judgement.reasons[number]] += 1
            continue
        done.compared += 1
        done.states[state] += 1
        done.accepted += key in accepted
        if (key in accepted) != verdict:
            kind = _own_key(row, frame.data) or odd.get(flow, "") or ("closing" if state == "new" and flow in closed else "")
            done.differences.append(Difference(number, key in accepted, verdict, kind, state, _words(traffic, number, row)))
    return done


def _flows(traffic: Traffic, headers: Matrix) -> tuple[list[Flow], dict[Flow, int]]:
    """The flow of each packet, of a piece that of its datagram; and of flows with a packet between two pieces, where that begins."""
    pieces: dict[int, list[int]] = {}
    for number, datagram in enumerate(traffic.datagram):
        pieces.setdefault(datagram, []).append(number)
    firsts = {datagram: min(numbers, key=lambda one: headers[one, Field.FRAGMENT_OFFSET]) for datagram, numbers in pieces.items()}
    flows = [_flow(headers[firsts[datagram]]) for datagram in traffic.datagram]
    split: dict[Flow, int] = {}
    for datagram, numbers in pieces.items():
        between = range(numbers[0], numbers[-1])
        if any(flows[other] == flows[numbers[0]] and traffic.datagram[other] != datagram for other in between):
            split[flows[numbers[0]]] = min(numbers[0], split.get(flows[numbers[0]], numbers[0]))
    return flows, split


def _flow(row: np.ndarray) -> Flow:
    """A key of both directions of a flow."""
    family, protocol, *ends = (int(row[column]) for column in _FLOW)
    ports = (int(row[Field.SOURCE_PORT]), int(row[Field.DESTINATION_PORT])) if protocol in (TCP, UDP) else (0, 0)
    return family, protocol, *(n for end in sorted([(ends[0], ends[1], ports[0]), (ends[2], ends[3], ports[1])]) for n in end)


def _kind(row: np.ndarray, datagram: bytes) -> str:
    """The documented kind to which a packet belongs that the kernel calls invalid; empty if none."""
    protocol = row[Field.PROTOCOL]
    at = int(row[Field.PAYLOAD_OFFSET] - row[Field.IP_OFFSET])
    transport = datagram[at:]
    if protocol == TCP:
        short = len(transport) < 20 or not 20 <= (transport[12] >> 4) * 4 <= len(transport)
        return "length" if short and row[Field.MORE_FRAGMENTS] == 0 else "tcp state"
    if protocol == UDP and len(transport) >= 8:
        return "length" if not 8 <= int.from_bytes(transport[4:6], "big") <= len(transport) else ""
    return "icmp code" if protocol in (ICMP, ICMPV6) and row[Field.CODE] != 0 else ""


def _own_key(row: np.ndarray, datagram: bytes) -> str:
    """Whether the kernel knows more of a flow's key than the groups do."""
    protocol = row[Field.PROTOCOL]
    at = int(row[Field.PAYLOAD_OFFSET] - row[Field.IP_OFFSET])
    if protocol == ICMPV6 and row[Field.TYPE] in (139, 140):
        return "icmp code"
    if protocol in (DCCP, SCTP, UDP_LITE) or (protocol == GRE and datagram[at + 1] & 7 == 1):
        return "own key"
    return ""


def _words(traffic: Traffic, number: int, row: np.ndarray) -> str:
    flags = f" flags {int(row[Field.FLAGS]):02x}" if row[Field.PROTOCOL] == TCP else f" type {row[Field.TYPE]}/{row[Field.CODE]}"
    tuple_ = five_tuple(row)
    ends = f"{tuple_.source}:{tuple_.source_port} > {tuple_.destination}:{tuple_.destination_port}"
    return f"{traffic.name} {number}: protocol {tuple_.protocol} {ends}{flags} fragment {row[Field.FRAGMENT_OFFSET]}"


def main(arguments: list[str] | None = None) -> int:
    """Compare captures with drawn rule sets and print the table of counts; 1 if anything is unexplained."""
    parser = argparse.ArgumentParser(description="Compare the kernel's verdicts with the emulator's.")
    parser.add_argument("captures", nargs="+", type=Path, help="capture files or folders of them")
    parser.add_argument("--rule-sets", type=int, default=20, help="how many are drawn for each capture")
    parser.add_argument("--seed", type=int, default=0, help="of the first rule set")
    parser.add_argument("--policy", choices=("rules_only", "pickup"), default="rules_only", help="ct.midstream_tcp")
    parser.add_argument("--related", action="store_true", help="with ct.icmp_error_related")
    options = parser.parse_args(arguments)
    if why_not():
        print(f"cannot compare here: {why_not()}", file=sys.stderr)
        return 2
    files = [file for path in options.captures for file in (sorted(path.glob("*.pcap*")) if path.is_dir() else [path])]
    total, left_out = Comparison(), Counter[str]()
    print(f"{'capture':40} {'sets':>4} {'compared':>9} {'accepted':>9} {'agree':>9} {'documented':>10} {'unexplained':>11}")
    for file in files:
        ready = [prepare(file, rank) for rank in (0, 1)]
        left_out.update(ready[0].left_out)
        here = Comparison()
        for number in range(options.rule_sets):
            traffic = ready[number % 2]
            topology = rulesets.drawn(options.seed + number, traffic, midstream_tcp=options.policy, icmp_error_related=options.related)
            one = compare(traffic, topology, compiled=True)
            here += one
            for difference in one.unexplained[:3]:
                print(
                    f"  set {options.seed + number}: kernel {difference.kernel}, emulator {difference.emulator}, "
                    f"{difference.state}: {difference.text}"
                )
        _print_row(file.name, options.rule_sets, here)
        total += here
    _print_row("all", options.rule_sets * len(files), total)
    print("documented:", dict(Counter(difference.kind for difference in total.differences if difference.kind)))
    print("the kernel's view:", dict(total.states))
    print("not judged by the groups:", dict(total.unjudged))
    print("left out of both, once a capture:", {key: count for key, count in left_out.items() if count})
    return 1 if total.unexplained else 0


def _print_row(name: str, sets: int, done: Comparison) -> None:
    documented = len(done.differences) - len(done.unexplained)
    agreed = done.compared - len(done.differences)
    print(f"{name:40} {sets:4} {done.compared:9,} {done.accepted:9,} {agreed:9,} {documented:10,} {len(done.unexplained):11,}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Trace: a packet's way as steps in words, made from the journal when somebody asks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from emulator.clock import format_time
from emulator.datapath.state import Step as Column
from emulator.model.groups import Direction
from emulator.model.services import ICMP, ICMPV6, Service, protocol_name
from emulator.observe.words import NamedRule, Why, Words
from emulator.policy.reasons import STAGE_CODE, TEXT, Reason, Stage, Verdict
from emulator.sheets import html_table
from emulator.wire.addresses import address
from emulator.wire.headers import Field
from emulator.wire.packet import Packet

CHECKS = {
    Stage.SENT: "send",
    Stage.UNICAST: "unicast only",
    Stage.EXEMPT: "fabric service",
    Stage.SOURCE_CHECK: "source check",
    Stage.GROUP_EGRESS: "security groups, egress",
    Stage.DIRECT: "same subnet",
    Stage.ACL_EGRESS: "network ACL, outbound",
    Stage.ROUTE: "route table",
    Stage.GATEWAY: "gateway",
    Stage.LINK: "link",
    Stage.ACL_INGRESS: "network ACL, inbound",
    Stage.GROUP_INGRESS: "security groups, ingress",
    Stage.DESTINATION_CHECK: "destination check",
    Stage.FORWARDED: "forward",
    Stage.DELIVERED: "deliver",
    Stage.PATH_MTU: "path MTU",
}


@dataclass(frozen=True)
class Step:
    """One thing done at one place: the check, its result in words, the rule that decided; ``row`` is the journal's."""

    time_ns: int
    stage: Stage
    at: str
    check: str
    verdict: Verdict
    text: str
    rule: NamedRule | None = None
    row: tuple[int, ...] = field(default=(), repr=False, compare=False)

    @property
    def passed(self) -> bool:
        """Whether the packet went on."""
        return self.verdict == Verdict.ACCEPT

    def to_json(self) -> dict[str, Any]:
        """Plain data; ``stage`` is the pipeline's letter and number (E3, I2)."""
        return {
            "time_ns": self.time_ns,
            "stage": STAGE_CODE[self.stage],
            "at": self.at,
            "check": self.check,
            "verdict": self.verdict.name.lower(),
            "rule": self.rule.name if self.rule else None,
            "place": self.rule.place if self.rule else None,
            "text": self.text,
        }


@dataclass(frozen=True)
class Trace:
    """What became of one packet.

    Parameters
    ----------
    sent : as it was given
    delivered : as it arrived, addresses and checksums rewritten; None if it did not
    steps : everything that was done, in order
    why : None if it was delivered
    tracked : whether a tracking entry stood for it at the last interface that judged it
    identity : ids of the interface whose groups it carried at its end, and of the one whose groups it had lost (SG-26)
    made : what became of the packets that the network made because of it: ICMP errors, resets, pieces
    """

    sent: Packet
    verdict: Verdict
    steps: tuple[Step, ...]
    why: Why | None = None
    delivered: Packet | None = None
    tracked: bool = False
    rule: NamedRule | None = None
    at: str = field(default="")
    made: tuple["Trace", ...] = ()
    identity: tuple[int, int] = field(default=(0, 0), repr=False, compare=False)

    @property
    def headline(self) -> str:
        """What was sent, by whom and to whom: ``10.0.1.10:40000 → 10.0.9.10:1433 tcp``, ``10.0.1.10 → 10.0.9.10 icmp/8/0``."""
        key, header = self.sent.five_tuple, self.sent.header
        if key.protocol in (ICMP, ICMPV6):
            return f"{key.source} → {key.destination} {Service(key.protocol, (int(header[Field.TYPE]), int(header[Field.CODE])))}"
        if not key.source_port and not key.destination_port:
            return f"{key.source} → {key.destination} {protocol_name(key.protocol)}"
        source, destination = (f"[{ip}]" if ip.version == 6 else str(ip) for ip in (key.source, key.destination))
        return f"{source}:{key.source_port} → {destination}:{key.destination_port} {protocol_name(key.protocol)}"

    @property
    def accepted(self) -> bool:
        """Whether it was delivered."""
        return self.verdict == Verdict.ACCEPT

    @property
    def reason(self) -> str:
        """The code of the drop; empty if it was delivered."""
        return self.why.code if self.why else ""

    def __str__(self) -> str:
        lines = [f"{'delivered' if self.accepted else 'dropped'}  {self.headline}"]
        lines += [f"  {'✓' if step.passed else '✗'} {step.at:<18} {step.check:<26} {step.text}" for step in self.steps]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = (("✓" if step.passed else "✗", step.at, step.check, step.text) for step in self.steps)
        return html_table(f"{'delivered' if self.accepted else 'dropped'} {self.headline}", ["", "Where", "Check", "Result"], rows)


def steps_of(words: Words, rows: Iterable[Any], family: int, why: Why | None) -> Iterator[Step]:
    """The journal rows of one packet as steps; ``why`` tells the last one's reason in full."""
    for row in rows:
        stage, verdict = Stage(int(row[Column.STAGE])), Verdict(int(row[Column.VERDICT]))
        named = words.rule(row[Column.RULE])
        at = words.place(row[Column.PLACE])
        text = _text(words, row, stage, verdict, family, named, why)
        yield Step(int(row[Column.TIME_NS]), stage, at, CHECKS[stage], verdict, text, named, tuple(row.tolist()))


def _text(words: Words, row: Any, stage: Stage, verdict: Verdict, family: int, named: NamedRule | None, why: Why | None) -> str:
    if verdict != Verdict.ACCEPT:
        return why.text if why else TEXT[Reason(int(row[Column.REASON]))]
    rule, value = words.rule_name(row[Column.RULE]), int(row[Column.VALUE])
    match stage:
        case Stage.GROUP_EGRESS | Stage.GROUP_INGRESS:
            entry = int(row[Column.ENTRY])
            if not entry:
                return f"{rule} allows it; not tracked"
            if value:
                return f"{rule} allows it; opens tracked connection {entry}"
            here = Direction.EGRESS if stage == Stage.GROUP_EGRESS else Direction.INGRESS
            part = "reply in" if named and named.direction != here else "part of"
            return f"{part} tracked connection {entry}, opened by {rule if named else 'a rule that is gone since'}"
        case Stage.ACL_EGRESS | Stage.ACL_INGRESS:
            return f"{rule} allows it"
        case Stage.ROUTE:
            route = words.ids.name(int(row[Column.RULE])).partition(" ")[2]
            return f"{route} → {words.place(value)}" if words.place(value) != route else route
        case Stage.DIRECT:
            return f"straight to {words.place(value)}"
        case Stage.GATEWAY:
            changed = {1: "source becomes", 2: "destination becomes"}.get(value & 0xFF)
            if not changed:
                route = words.ids.name(int(row[Column.RULE])).partition(" ")[2]
                return f"passes by route {route}" if route else "passes unchanged"
            port = f" port {value >> 8}" if value >> 8 else ""
            return f"{changed} {address(family, int(row[Column.HI]), int(row[Column.LO]))}{port}"
        case Stage.PATH_MTU:
            return f"cut into pieces of at most {value} bytes"
        case Stage.LINK:
            return f"arrives {format_time(value)} later"
        case Stage.EXEMPT:
            return "answered by the fabric, no filter applies"
        case Stage.FORWARDED:
            return "not its own address, sent on"
    return "delivered" if stage == Stage.DELIVERED else "sent"

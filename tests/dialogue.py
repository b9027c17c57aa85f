"""Dialogues: tests that read as the conversation.

    talk = Dialogue(base(web="new"))
    talk.at(0).send(tcp(WEB, EXT, "40000>443", "S")).accepted(by="new egress 1")
    talk.at("350s").send(tcp(EXT, WEB_PUBLIC, "443>40000", "A")).dropped("I2(web)")

`send` sends one packet at the time of the moment and lets it arrive; `accepted` and `dropped` say what must have become
of it.  If it came otherwise, the failure shows the conversation as it was expected and as it went, as a diff, and the
way of the packet that differed, step by step.  Whatever is sent, its steps keep to the laws of tests/laws.py.
"""

import difflib

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Raw

from emulator.clock import NS_PER_SECOND, format_time, parse_duration
from emulator.datapath.state import Count
from emulator.network import Network
from emulator.policy.reasons import STAGE_CODE, Reason, Stage
from tests.laws import broken

NO_RULE, NO_RULES = "ENI_SG_RULES_MISMATCH", "SG_HAS_NO_RULES"
SHOWN = 12  # lines of the conversation in a failure


def ip(source, destination, **fields):
    """An IP header of the family of the addresses."""
    return (IPv6 if ":" in source else IP)(src=source, dst=destination, **fields)


def tcp(source, destination, ports, flags="S"):
    """A TCP segment; ports as ``40000>443``, flags as Scapy's letters."""
    first, second = ports.split(">")
    return ip(source, destination) / TCP(sport=int(first), dport=int(second), flags=flags)


def udp(source, destination, ports):
    """A UDP datagram; ports as ``40000>53``."""
    first, second = ports.split(">")
    return ip(source, destination) / UDP(sport=int(first), dport=int(second))


def icmp(source, destination, kind, code=0, ident=7):
    """An ICMP message of a type and code; queries carry an identifier."""
    return ip(source, destination) / ICMP(type=kind, code=code, id=ident)


def ping6(source, destination, ident=7, reply=False):
    """An ICMPv6 echo request or reply."""
    return ip(source, destination) / (ICMPv6EchoReply if reply else ICMPv6EchoRequest)(id=ident)


def error(source, destination, about, kind=3, code=4):
    """An ICMP error that quotes a packet."""
    quoted = Raw(bytes(about)[:48])
    return ip(source, destination) / (ICMPv6DestUnreach(code=code) if ":" in source else ICMP(type=kind, code=code)) / quoted


def other(source, destination, protocol, payload=b"\0" * 8):
    """A datagram of another protocol, by its number."""
    header = ip(source, destination)
    if ":" in source:
        header.nh = protocol
    else:
        header.proto = protocol
    return header / Raw(payload)


class Dialogue:
    """A conversation with a network, whose clock only the test moves.

    Parameters
    ----------
    topology : the network's
    """

    def __init__(self, topology):
        self.network = Network(topology, compiled=False)
        self.network.engine.keep_sightings(merge=False)
        self.trace = None
        self.expected = []
        self.seen = []
        self._at_ns = 0

    def at(self, time):
        """Move the clock to a time: seconds, or text with a unit."""
        self._at_ns = parse_duration(time) if isinstance(time, str) else round(time * NS_PER_SECOND)
        assert self._at_ns >= self.network.now_ns, f"time goes forward: {time} is before {format_time(self.network.now_ns)}"
        self.network.advance(self._at_ns)
        return self

    def send(self, packet, source=None):
        """Send a packet; ``source`` names the sender where its address does not."""
        since = int(self.network.engine.state.counts[Count.STEPS, 0])
        self.trace = self.network.send(packet, source=source)
        line = f"{format_time(self.network.now_ns):>8}  {packet.summary()}"
        self.expected.append(line)
        self.seen.append(f"{line}  {self._outcome()}")
        if troubles := broken(self.network.engine, since):
            self._fail("\n".join(troubles))
        return self

    def edit(self, change, *args):
        """Change the topology: ``edit(edits.revoke, "g1", Direction.INGRESS, rule)``, or any function of a topology."""
        self.network.edit(change(self.network.topology, *args))
        line = f"{format_time(self.network.now_ns):>8}  edit {getattr(change, '__name__', change)} {' '.join(str(arg) for arg in args)}"
        self.expected.append(line)
        self.seen.append(line)
        return self

    def _outcome(self):
        if self.trace.accepted:
            return "delivered"
        return f"DROP {self.trace.why.stage}({self._place()}) {self.trace.reason}"

    def _place(self):
        return self.trace.why.at.removesuffix(":eth0")

    def accepted(self, by=None, tracked=None, source=None, destination=None):
        """It was delivered: by a rule (the last one that was asked, ``web ingress 1``), tracked or not, with addresses as they arrived."""
        ok = self.trace.accepted
        words = ["delivered"]
        if by is not None:
            ok = ok and self.trace.rule is not None and self.trace.rule.name == by
            words.append(f"by {by} (it was {self.trace.rule.name if self.trace.rule else 'no rule'})")
        if tracked is not None:
            ok = ok and self.trace.tracked == tracked
            words.append("tracked" if tracked else "not tracked")
        for what, address in (("source", source), ("destination", destination)):
            if address is not None:
                arrived = str(getattr(self.trace.delivered.five_tuple, what)) if self.trace.accepted else None
                ok = ok and arrived == address
                words.append(f"with {what} {address} (it was {arrived})")
        return self._settle(ok, " ".join(words))

    def dropped(self, at=None, code=NO_RULE):
        """It was dropped, at a stage of a place (``I2(web)``), for a reason."""
        ok = not self.trace.accepted and self.trace.reason == str(getattr(code, "name", code))
        if at is not None:
            ok = ok and at == f"{self.trace.why.stage}({self._place()})"
        return self._settle(ok, f"DROP {at or ''} {getattr(code, 'name', code)}")

    def passes(self, *stages):
        """It got through stages (``E3``, ``E6``) on its way, whatever became of it after."""
        passed = [STAGE_CODE[step.stage] for step in self.trace.steps if step.passed]
        missing = [stage for stage in stages if stage not in passed]
        if missing:
            self._fail(f"it did not pass {', '.join(missing)}")
        return self

    def step(self, stage):
        """The step at a stage (``I2``), to look at more closely; the last one if it came by several times."""
        found = [step for step in self.trace.steps if STAGE_CODE[step.stage] == stage]
        if not found:
            self._fail(f"it never came to {stage}")
        return found[-1]

    def tracks(self, *flows, interface="web"):
        """The interface remembers these flows and no others, each as ``tcp 203.0.113.12:50000 > 10.0.0.10:22``."""
        live = [
            f"{entry.protocol} {entry.source}:{entry.source_port} > {entry.destination}:{entry.destination_port}"
            for entry in self.network.entries(interface)
        ]
        if sorted(live) != sorted(flows):
            self._fail(f"{interface} should remember {list(flows) or 'nothing'}, but remembers {live or 'nothing'}")
        return self

    def count(self, number, interface="web"):
        """The interface remembers so many flows."""
        live = self.network.entries(interface)
        if len(live) != number:
            self._fail(f"{interface} should remember {number} flows, but remembers {[str(entry) for entry in live]}")
        return self

    def _settle(self, ok, words):
        if not ok:
            self.expected[-1] += f"  {words}"
            self._fail("the conversation went otherwise")
        self.expected[-1] = self.seen[-1]
        return self

    def _fail(self, text):
        diff = "\n".join(difflib.ndiff(self.expected[-SHOWN:], self.seen[-SHOWN:]))
        pytest.fail(f"{text}\n\nexpected (-) and seen (+):\n{diff}\n\nthe last packet's way:\n{self.trace}", pytrace=True)


__all__ = ["NO_RULE", "NO_RULES", "Dialogue", "Reason", "Stage", "error", "icmp", "ip", "other", "ping6", "tcp", "udp"]

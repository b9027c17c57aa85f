"""Probes in bulk: the packet of a question and its answer, for many questions in one engine.

It is the run that `Network.explain` makes, without its words: the same first packet, the same answer of the machine,
the same kernels.  What comes back is told apart no further than needed: whether it is reachable, how its source was
seen, and whether other machines than the two ends judged it on the way.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from emulator.datapath.loop import advance
from emulator.datapath.state import FIRST_BORN, Count, Outcome, Step
from emulator.engine import FOREVER, Engine
from emulator.hosts.probe import EPHEMERAL_PORT, Place, probe_of
from emulator.hosts.responder import NONE, answer
from emulator.kernels import available, is_cached
from emulator.model.entities import Instance
from emulator.model.topology import Topology
from emulator.policy.keys import QUERY_REQUEST, query_role
from emulator.policy.reasons import Stage, Verdict
from emulator.reach.atoms import Atom
from emulator.reach.ends import INTERFACE, OUTSIDE, End
from emulator.wire.addresses import halves
from emulator.wire.headers import ICMP, ICMPV6, Field, Matrix
from emulator.wire.packet import Packet

BATCH = 8_000
COMPILE_FROM, CACHED_FROM = 60_000, 1_500
_ACCEPT, _EXEMPT = int(Verdict.ACCEPT), int(Stage.EXEMPT)
_JUDGED = (int(Stage.GROUP_EGRESS), int(Stage.GROUP_INGRESS))


class Question(NamedTuple):
    """A source, a destination and the atom's place in the list."""

    source: End
    destination: End
    atom: int


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a question.

    Parameters
    ----------
    reachable : as `Explanation.reachable`.
    seen : halves of the source address when the packet ended.
    sender : id number of the interface whose group identity it still carried, 0 none.
    judges : whether groups of other interfaces than the two ends judged the packet or its answer.
    """

    reachable: bool
    seen: tuple[int, int]
    sender: int
    judges: bool


class Prober:
    """An engine for questions about one topology; each batch starts from nothing."""

    def __init__(self, topology: Topology, atoms: tuple[Atom, ...], family: int, journal: bool, expected: int) -> None:
        fast = available() and (expected > COMPILE_FROM or (expected > CACHED_FROM and is_cached(advance)))
        self.engine = Engine(_unlimited(topology), compiled=fast, journal=journal)
        self.start = self.engine.snapshot()
        self.journal, self.atoms, self.family = journal, atoms, family
        self._templates: dict[tuple[int, Any], tuple[Matrix, str, Matrix | None]] = {}

    def ask(self, questions: list[Question]) -> list[Found]:
        """The answers, in the order of the questions.

        A question and its mirror image are never in one batch, so that neither is taken for the answer of the other.
        """
        found: dict[int, Found] = {}
        for mirrored in (False, True):
            numbers = [n for n, question in enumerate(questions) if (_end(question.source) > _end(question.destination)) is mirrored]
            for at in range(0, len(numbers), BATCH):
                batch = numbers[at : at + BATCH]
                found |= dict(zip(batch, self._batch([questions[number] for number in batch]), strict=True))
        return [found[number] for number in range(len(questions))]

    def _batch(self, questions: list[Question]) -> list[Found]:
        engine = self.engine
        engine.state = type(self.start)(*(matrix.copy() for matrix in self.start))
        engine.packets = 0
        sent = [self._template(question)[0].copy() for question in questions]
        engine_numbers: list[int] = []
        for header, question in zip(sent, questions, strict=True):
            source, destination = addresses(question.source, question.destination)
            header[Field.SOURCE_HI], header[Field.SOURCE_LO] = halves(source)
            header[Field.DESTINATION_HI], header[Field.DESTINATION_LO] = halves(destination)
            if header[Field.PROTOCOL] in (ICMP, ICMPV6):
                header[Field.IDENTIFIER] = len(engine_numbers) % 65535 + 1
            engine_numbers.append(engine.inject(header, engine.ids.of(question.source.id), 0))
        engine.advance(FOREVER)
        forward = engine.state.outcomes[: len(questions)].copy()
        replies = {}
        for number, question in enumerate(questions):
            row = forward[number]
            template = self._template(question)[2]
            if row[Outcome.VERDICT] != _ACCEPT or row[Outcome.STAGE] == _EXEMPT or template is None:
                continue
            back = template.copy()
            back[[Field.SOURCE_HI, Field.SOURCE_LO]] = row[[Outcome.DESTINATION_HI, Outcome.DESTINATION_LO]]
            back[[Field.DESTINATION_HI, Field.DESTINATION_LO]] = row[[Outcome.SOURCE_HI, Outcome.SOURCE_LO]]
            if back[Field.PROTOCOL] not in (ICMP, ICMPV6) and sent[number][Field.SOURCE_PORT]:
                back[Field.SOURCE_PORT], back[Field.DESTINATION_PORT] = row[Outcome.DESTINATION_PORT], row[Outcome.SOURCE_PORT]
            back[Field.IDENTIFIER] = row[Outcome.IDENTIFIER] if back[Field.PROTOCOL] in (ICMP, ICMPV6) else back[Field.IDENTIFIER]
            replies[number] = engine.inject(back, int(row[Outcome.PLACE]), engine.now_ns)
        engine.advance(FOREVER)
        judged = self._judged(questions, replies) if self.journal else set()
        return [self._found(question, forward[number], replies.get(number), number in judged) for number, question in enumerate(questions)]

    def _found(self, question: Question, row: Matrix, reply: int | None, judges: bool) -> Found:
        accepted = bool(row[Outcome.VERDICT] == _ACCEPT)
        if accepted and reply is not None:
            reachable = bool(self.engine.state.outcomes[reply, Outcome.VERDICT] == _ACCEPT)
        else:
            service = self.atoms[question.atom].service
            asks = service.protocol not in (ICMP, ICMPV6) or query_role(service.protocol, service.ports[0]) == QUERY_REQUEST
            reachable = accepted and (bool(row[Outcome.STAGE] == _EXEMPT) or not asks)
        return Found(reachable, (int(row[Outcome.SOURCE_HI]), int(row[Outcome.SOURCE_LO])), int(row[Outcome.SENDER]), judges)

    def _judged(self, questions: list[Question], replies: dict[int, int]) -> set[int]:
        """The questions whose packets were judged by groups of others than their two ends."""
        of = np.arange(self.engine.packets, dtype=np.int64)
        for number, reply in replies.items():
            of[reply] = number
        journal = self.engine.state.journal[: int(self.engine.state.counts[Count.STEPS, 0])]
        rows = journal[np.isin(journal[:, Step.STAGE], _JUDGED) & (journal[:, Step.PACKET] < FIRST_BORN)]
        ids = self.engine.ids
        pairs = np.array([(ids.of(q.source.id), ids.of(q.destination.id)) for q in questions], dtype=np.int64)
        numbers = of[rows[:, Step.PACKET]]
        strange = (rows[:, Step.PLACE] != pairs[numbers, 0]) & (rows[:, Step.PLACE] != pairs[numbers, 1])
        return set(numbers[strange].tolist())

    def _template(self, question: Question) -> tuple[Matrix, str, Matrix | None]:
        """The header of the first packet and of the answer to it; addresses are put in later."""
        key = question.atom, question.destination.listen
        if key not in self._templates:
            service = self.atoms[question.atom].service
            one, other = ("192.0.2.1", "192.0.2.2") if self.family == 4 else ("2001:db8::1", "2001:db8::2")
            from ipaddress import ip_address

            ends = [Place("", "", (ip_address(text),), {}) for text in (one, other)]
            packet = Packet.of(probe_of(ends[0], ends[1], service, EPHEMERAL_PORT))
            kind, reply = answer(packet, question.destination.listen)
            back = None if kind == NONE or reply is None else Packet.of(reply).header
            self._templates[key] = packet.header, kind, back
        return self._templates[key]


def _unlimited(topology: Topology) -> Topology:
    """The topology without links and limits of tracking: questions asked together must not stand in each other's way."""
    changed = {key: replace(entity, max_tracked=None) for key, entity in topology.entities.items() if isinstance(entity, Instance)}
    entities = MappingProxyType({**topology.entities, **changed})
    return Topology(topology.name, entities, policy=replace(topology.policy, max_entries=None))


def _end(end: End) -> tuple[str, str]:
    return end.id, str(end.ip)


def addresses(source: End, destination: End) -> tuple[Any, Any]:
    """The addresses of a question's first packet: from outside, a machine is known by its public one."""
    return source.ip, destination.seen_outside if source.kind == OUTSIDE and destination.kind != OUTSIDE else destination.ip


__all__ = ["INTERFACE", "Found", "Prober", "Question", "addresses"]

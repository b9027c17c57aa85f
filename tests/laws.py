"""What every run keeps to, whatever the network: what a step, an outcome and a row for the flow logs may say, and in which order.

    a step      stands at a place of the kind that its stage is about; names as its rule nothing, or a rule of its stage's
                kind; says no more in its other columns than its stage has to say
    its packet  ends with the first step that does not let it pass, or with its delivery; is seen next where a route sent it
    an outcome  is what the packet's last step says, with the addresses that the last translation gave it
    a sighting  is of an interface's decision that stands in the journal too

`broken` looks at a run and tells what it does not keep to.  Dialogues look after every packet that they send.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from emulator.datapath.sightings import Sighting
from emulator.datapath.state import FIRST_BORN, Count, Outcome, Step
from emulator.engine import Engine
from emulator.policy.reasons import Reason, Stage, Verdict
from emulator.policy.tables import EGRESS, INGRESS, Place, PlaceKind, RouteColumn, SubnetColumn

SUBNET = "subnet"
ENI, OUTSIDE, NAT, BALANCER, ATTACHMENT = (
    PlaceKind.ENI,
    PlaceKind.OUTSIDE,
    PlaceKind.NAT_GATEWAY,
    PlaceKind.BALANCER,
    PlaceKind.ATTACHMENT,
)
IN_A_SUBNET = {ENI, NAT, BALANCER, ATTACHMENT}
AT_THE_EDGE = set(PlaceKind) - IN_A_SUBNET - {PlaceKind.NONE, OUTSIDE}
PLACES = {
    Stage.SENT: IN_A_SUBNET | {OUTSIDE},
    Stage.DIRECT: IN_A_SUBNET,
    Stage.ACL_EGRESS: {SUBNET},
    Stage.ACL_INGRESS: {SUBNET},
    Stage.PATH_MTU: {SUBNET},
    Stage.ROUTE: {SUBNET, PlaceKind.INTERNET_GATEWAY, PlaceKind.VPN_GATEWAY},
    Stage.GATEWAY: AT_THE_EDGE | {NAT, BALANCER, OUTSIDE},  # OUTSIDE: a customer network whose line is down
    Stage.LINK: IN_A_SUBNET | AT_THE_EDGE | {OUTSIDE},
    Stage.DELIVERED: {ENI, OUTSIDE},
}
RULED = {Stage.GROUP_EGRESS: "sgr-", Stage.GROUP_INGRESS: "sgr-", Stage.ACL_EGRESS: "acl-", Stage.ACL_INGRESS: "acl-"}
GROUPS = (Stage.GROUP_EGRESS, Stage.GROUP_INGRESS)
TRACKING = {PlaceKind.INTERNET_GATEWAY, PlaceKind.EGRESS_ONLY_GATEWAY}
TRANSLATING = {NAT, BALANCER}
MTUS = (1300, 1500, 8500, 9001)
MAPPED = 0xFFFF  # upper half of the low half of an IPv4 address
ON_THE_WAY = (Stage.LINK, Stage.PATH_MTU, Stage.ACL_INGRESS)
LAST = (Stage.DELIVERED, Stage.EXEMPT)
TOLD = (Sighting.TIME_NS, Sighting.PLACE, Sighting.DIRECTION, Sighting.ACTION, Sighting.REASON, Sighting.RULE)


def broken(engine: Engine, since: int = 0) -> list[str]:
    """What a run does not keep to, in its steps from a row on; empty if all is well."""
    journal = engine.state.journal[since : int(engine.state.counts[Count.STEPS, 0])]
    packets: dict[int, list[Any]] = {}
    for row in journal:
        packets.setdefault(int(row[Step.PACKET]), []).append(row)
    troubles = [f"step {since + at}: {words}" for at, row in enumerate(journal) for words in _step(engine, row)]
    for packet, rows in packets.items():
        troubles += [f"packet {packet}: {words}" for words in (*_way(rows), *_outcome(engine, packet, rows))]
    if len(engine.state.sightings):
        troubles += _sightings(engine, packets)
    return troubles


def _kind(engine: Engine, place: int) -> PlaceKind | str:
    kind = PlaceKind(int(engine.tables.places[place, Place.KIND]))
    return SUBNET if kind == PlaceKind.NONE and place in engine.tables.subnets[:, SubnetColumn.ID] else kind


def _name(engine: Engine, number: int) -> str:
    return engine.ids.name(number) if 0 <= number < len(engine.ids) else "?"


def _step(engine: Engine, row: Any) -> Iterator[str]:
    """What is wrong with a step by itself."""
    stage, verdict, reason = Stage(int(row[Step.STAGE])), Verdict(int(row[Step.VERDICT])), Reason(int(row[Step.REASON]))
    place, rule, entry, value, hi, lo = (int(row[column]) for column in (Step.PLACE, Step.RULE, Step.ENTRY, Step.VALUE, Step.HI, Step.LO))
    passed, kind = verdict == Verdict.ACCEPT, _kind(engine, place)
    if verdict == Verdict.SKIPPED:
        if place or stage != Stage.SENT:
            yield "skipped, but at a place"
    elif kind not in PLACES.get(stage, {ENI}) and reason not in (Reason.BAD_STATE, Reason.NO_POSSIBLE_DESTINATION):  # it may be gone
        yield f"{stage.name} at {_name(engine, place)}, a {kind}"
    if passed != (reason == Reason.NONE):
        yield f"{verdict.name} because {reason.name}"
    yield from _rule(engine, stage, kind, passed, rule)
    if entry and not (passed and (stage in GROUPS or kind in TRACKING)):
        yield f"{stage.name} names entry {entry}"
    if not 0 <= entry <= int(engine.state.counts[Count.NEXT_ENTRY, 0]):
        yield f"there is no entry {entry}"
    yield from _value(engine, stage, kind, passed, entry, value, lo)
    if hi or (lo and not (passed and stage == Stage.GATEWAY)):
        yield f"{stage.name} says {hi}, {lo}"


def _rule(engine: Engine, stage: Stage, kind: PlaceKind | str, passed: bool, rule: int) -> Iterator[str]:
    """What is wrong with the rule of a step."""
    by_route = stage == Stage.ROUTE or (stage == Stage.GATEWAY and kind == PlaceKind.TRANSIT_GATEWAY)
    if by_route:
        known = rule in engine.tables.routes[:, RouteColumn.ID]
    else:
        known = stage in RULED and _name(engine, rule).startswith(RULED[stage])
    if rule and not known:
        yield f"{stage.name} names as its rule {_name(engine, rule)}"
    if passed and not rule and (by_route or stage in RULED):
        yield f"{stage.name} lets it pass by no rule"


def _value(engine: Engine, stage: Stage, kind: PlaceKind | str, passed: bool, entry: int, value: int, lo: int) -> Iterator[str]:
    """What is wrong with what a step says besides."""
    if passed and stage in GROUPS:
        right = value == 0 or (value == 1 and entry != 0)
    elif passed and stage == Stage.DIRECT:
        right = _kind(engine, value) in IN_A_SUBNET
    elif passed and stage == Stage.ROUTE:
        right = value > 0 and _kind(engine, value) in IN_A_SUBNET | AT_THE_EDGE | {PlaceKind.NONE}
    elif passed and stage == Stage.GATEWAY:
        what, port = value & 0xFF, value >> 8
        right = what in (0, 1, 2) and (lo >> 32 == MAPPED if what else lo == 0) and port in range(65536)
        right &= what != 0 if kind in TRANSLATING else port == 0 and (what == 0 or kind == PlaceKind.INTERNET_GATEWAY)
    elif passed and stage == Stage.LINK:
        right = value >= 0
    elif passed and stage == Stage.PATH_MTU:
        right = value in MTUS
    else:
        right = value == 0
    if not right:
        yield f"{stage.name} says {value}, {lo}"


def _way(rows: list[Any]) -> Iterator[str]:
    """What is wrong with the order of a packet's steps."""
    due = 0
    for row in rows:
        stage, place = Stage(int(row[Step.STAGE])), int(row[Step.PLACE])
        passed = row[Step.VERDICT] == Verdict.ACCEPT
        if due and stage not in ON_THE_WAY:
            if place != due and row[Step.REASON] != Reason.EMU_TTL_EXPIRED:
                yield f"was sent to {due}, and is at {place}"
            due = 0
        if passed and stage in (Stage.ROUTE, Stage.DIRECT):
            due = int(row[Step.VALUE])
    for row, following in pairwise(rows):
        if row[Step.VERDICT] != Verdict.ACCEPT or row[Step.STAGE] in LAST:
            yield f"goes on after {Stage(int(row[Step.STAGE])).name}"
        if following[Step.TIME_NS] < row[Step.TIME_NS]:
            yield "goes back in time"


def _outcome(engine: Engine, packet: int, rows: list[Any]) -> Iterator[str]:
    """What is wrong with a packet's outcome, if its way has ended."""
    first = int(engine.state.counts[Count.FIRST, 0])
    outcome = engine.state.born_outcomes[packet - FIRST_BORN] if packet >= FIRST_BORN else engine.state.outcomes[packet - first]
    last, passed = rows[-1], rows[-1][Step.VERDICT] == Verdict.ACCEPT
    if not outcome[Outcome.VERDICT]:
        return
    if passed and last[Step.STAGE] not in LAST:
        yield f"ends with {Stage(int(last[Step.STAGE])).name}"
    for column in ("VERDICT", "REASON", "STAGE", "PLACE", "TIME_NS"):
        if outcome[Outcome[column]] != last[Step[column]]:
            yield f"its outcome's {column} is {outcome[Outcome[column]]}, its last step's {last[Step[column]]}"
    for column in (Outcome.SENDER, Outcome.LOST):
        if outcome[column] and _kind(engine, int(outcome[column])) not in (ENI, PlaceKind.NONE):  # it may be gone
            yield f"its {column.name} is {_name(engine, int(outcome[column]))}"
    judged = [row for row in rows if row[Step.STAGE] in GROUPS]
    if not judged and packet >= FIRST_BORN:  # a piece says what its datagram's groups said
        return
    rule = last[Step.RULE] if not passed else judged[-1][Step.RULE] if judged else 0
    if outcome[Outcome.RULE] != rule:
        yield f"its outcome's rule is {_name(engine, int(outcome[Outcome.RULE]))}"
    if outcome[Outcome.TRACKED] != (bool(judged) and judged[-1][Step.ENTRY] != 0):
        yield f"its outcome says {outcome[Outcome.TRACKED]} of tracking"
    for what, column, port in ((1, Outcome.SOURCE_LO, Outcome.SOURCE_PORT), (2, Outcome.DESTINATION_LO, Outcome.DESTINATION_PORT)):
        changes = [row for row in rows if row[Step.STAGE] == Stage.GATEWAY and row[Step.VALUE] & 0xFF == what]
        if changes and changes[-1][Step.LO] != outcome[column]:
            yield f"its outcome's {column.name} is not what a gateway made it"
        if changes and changes[-1][Step.VALUE] >> 8 not in (0, outcome[port], outcome[Outcome.IDENTIFIER]):
            yield f"its outcome's {port.name} is not what a gateway made it"


def _sightings(engine: Engine, packets: dict[int, list[Any]]) -> Iterator[str]:
    """What is wrong with what interfaces saw of packets."""
    seen: dict[int, list[Any]] = {}
    for row in engine.state.sightings[: int(engine.state.counts[Count.SIGHTINGS, 0])]:
        seen.setdefault(int(row[Sighting.PACKET]), []).append(row)
    for packet, rows in packets.items():
        mine = seen.get(packet, [])
        for row in mine:
            yield from (f"packet {packet} seen at {_name(engine, int(row[Sighting.PLACE]))}: {words}" for words in _sighting(engine, row))
        told = {tuple(int(row[column]) for column in TOLD) for row in mine}
        yield from (f"packet {packet}: no interface saw {missing}" for missing in set(_to_tell(engine, rows)) - told)


def _sighting(engine: Engine, row: Any) -> Iterator[str]:
    rule, target = _name(engine, int(row[Sighting.RULE])), int(row[Sighting.TARGET])
    if _kind(engine, int(row[Sighting.PLACE])) not in IN_A_SUBNET | {PlaceKind.NONE}:
        yield "nobody's interface"
    if rule and not rule.startswith(("sgr-", "acl-")):
        yield f"by {rule}"
    if (row[Sighting.ACTION] == Verdict.ACCEPT) != (row[Sighting.REASON] == Reason.NONE):
        yield f"{Verdict(int(row[Sighting.ACTION])).name} because {row[Sighting.REASON]}"
    onward = IN_A_SUBNET | AT_THE_EDGE | {PlaceKind.NONE}  # what a blackhole led to is gone
    if target and (row[Sighting.DIRECTION] == INGRESS or _kind(engine, target) not in onward):
        yield f"goes on to {target} {_name(engine, target)}"


def _to_tell(engine: Engine, rows: list[Any]) -> Iterator[tuple[int, ...]]:
    """What interfaces must have seen of a packet, by its steps, as `TOLD`; but for what an ACL or an internet gateway took from it."""
    rule, place = 0, 0
    if rows[-1][Step.REASON] == Reason.VPC_BLOCK_PUBLIC_ACCESS_ENABLED:
        return
    for row in rows:
        stage, verdict, reason = Stage(int(row[Step.STAGE])), int(row[Step.VERDICT]), int(row[Step.REASON])
        time_ns, at = int(row[Step.TIME_NS]), int(row[Step.PLACE])
        if stage in GROUPS and reason not in (Reason.EMU_FRAGMENT_RATE, Reason.NO_POSSIBLE_DESTINATION):
            rule = int(row[Step.RULE])
            if stage == Stage.GROUP_INGRESS or verdict != Verdict.ACCEPT:
                yield time_ns, at, INGRESS if stage == Stage.GROUP_INGRESS else EGRESS, verdict, reason, rule
        elif stage == Stage.SENT:
            place = at
        elif stage in (Stage.ROUTE, Stage.DIRECT) and verdict == Verdict.ACCEPT and _kind(engine, at) not in AT_THE_EDGE:
            yield time_ns, place, EGRESS, verdict, 0, rule
        elif stage == Stage.GATEWAY and _kind(engine, at) in TRANSLATING:
            yield time_ns, at, INGRESS, int(Verdict.ACCEPT), 0, 0


__all__ = ["broken"]

"""Words for what happened: who, which rule, why not, and which rule came nearest.

Nothing here decides anything: a near miss is found by calling the same `miss` that the groups call.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import numpy as np

from emulator.datapath.state import Outcome
from emulator.kernels import compiled, pays, ready
from emulator.model.entities import NetworkInterface, Subnet
from emulator.model.groups import AclRule, Direction, GroupPeer, ListPeer, NetworkAcl, PrefixList, Rule, SecurityGroup
from emulator.model.services import ALL, ICMP, ICMPV6, TCP, UDP, Service, protocol_name
from emulator.model.topology import Topology
from emulator.observe import wayout
from emulator.observe.wayout import WayOut
from emulator.policy.compile import Ids
from emulator.policy.reasons import STAGE_CODE, TEXT, Miss, Reason, Stage, Verdict
from emulator.policy.rules import Subject, miss, nearest_miss
from emulator.policy.tables import RuleColumn, Tables, row_of
from emulator.wire.addresses import address
from emulator.wire.headers import Field, Matrix

GROUP_REASONS = (Reason.ENI_SG_RULES_MISMATCH, Reason.SG_HAS_NO_RULES, Reason.SG_REFERENCES_NOT_PRESERVED)
_BESIDE = [Field.FAMILY, Field.PROTOCOL, Field.TYPE, Field.CODE, Field.FRAGMENT_OFFSET]
_TOLD = [Outcome.VERDICT, Outcome.REASON, Outcome.STAGE, Outcome.PLACE, Outcome.RULE, Outcome.HANGS_ON]
_ENDS = [Outcome.SOURCE_HI, Outcome.SOURCE_LO, Outcome.DESTINATION_HI, Outcome.DESTINATION_LO]
_ENDS += [Outcome.DESTINATION_PORT, Outcome.SENDER, Outcome.LOST]
MAX_WHYS = 65_536  # kept to be told again
SEARCH_WORK = 10  # packets' worth of a search for the nearest rule, to see whether compiling pays
_SIDE = {Direction.INGRESS: "source", Direction.EGRESS: "destination"}


@dataclass(frozen=True)
class NamedRule:
    """A rule with the name that people see (``web ingress 3``) and where it was written."""

    name: str
    rule: Rule | AclRule
    direction: Direction
    owner: SecurityGroup | NetworkAcl

    @property
    def service(self) -> Service:
        """Protocol and ports, or type and code."""
        return Service(self.rule.protocol, self.rule.ports)

    @property
    def place(self) -> str:
        """``file:line``, of the rule or of its group."""
        return self.rule.place or self.owner.place

    def __str__(self) -> str:
        return f"{self.name}: {self.rule}"


@dataclass(frozen=True)
class NearMiss:
    """A rule that did not match, and the fields on which it failed."""

    rule: NamedRule
    fields: Miss
    text: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        failed = [field.name.lower() for field in Miss if field in self.fields and field.name]
        return {
            "rule": self.rule.name,
            "id": getattr(self.rule.rule, "id", ""),
            "place": self.rule.place,
            "failed": failed,
            "text": self.text,
        }

    def __str__(self) -> str:
        return f"{self.text} ({self.rule.place})" if self.rule.place else self.text


@dataclass(frozen=True)
class Why:
    """Why a packet was not delivered: code, stage (``I2``), place by name and by id, words, the nearest rule, the way out.

    ``missing`` is the rule that would have let it pass, where groups dropped it; ``way_out`` says what to do, in words.
    """

    code: str
    stage: str
    at: str
    at_id: str
    text: str
    nearest: NearMiss | None = None
    missing: WayOut | None = None
    way_out: str = ""

    def to_json(self) -> dict[str, Any]:
        """The four fields that scripts rely on; the nearest rule and the way out where there is one."""
        plain: dict[str, Any] = {"code": self.code, "stage": self.stage, "at": self.at, "text": self.text}
        if self.nearest is not None:
            plain["nearest"] = self.nearest.to_json()
        if self.way_out:
            plain["way_out"] = self.way_out
        return plain

    def __str__(self) -> str:
        return f"{self.code} at {self.at}: {self.text}"


class Words:
    """Turns the ids and integers of one run into words.

    Parameters
    ----------
    topology, ids, tables : those of the run, at the moment that is asked about
    """

    def __init__(self, topology: Topology, ids: Ids, tables: Tables) -> None:
        self.topology, self.ids, self.tables = topology, ids, tables
        self.rules = dict(_named_rules(topology))
        self._whys: dict[tuple[int, ...], Why] = {}
        self._searches = 0
        self._ready: Any = None

    def place(self, number: int) -> str:
        """The name of a place by its id: ``web-1:eth0``, ``internet``."""
        return self.topology.display(self.ids.name(int(number))) if number else ""

    def rule(self, number: int) -> NamedRule | None:
        """The rule with this id; None for none, or if it was removed since."""
        return self.rules.get(self.ids.name(int(number))) if number else None

    def rule_name(self, number: int) -> str | None:
        """``web ingress 1``; the bare id of a rule that was removed since; None for none."""
        named = self.rule(number)
        return named.name if named else (self.ids.name(int(number)) or None)

    def host(self, ip: IPv4Address | IPv6Address) -> tuple[str, str]:
        """Name and id of what has an address: an interface's instance, a host outside; empty if nothing has."""
        for key in self.topology.owners.get(ip, []):
            entity = self.topology.entities[key]
            if isinstance(entity, NetworkInterface):
                single = len(self.topology.interfaces_of(entity.instance)) == 1
                return self.topology.display(entity.instance if single else key), key
            return entity.name, key
        return "", ""

    def why(self, header: Any, outcome: Any) -> Why | None:
        """Why a packet was not delivered, from its header row and its outcome row; None if it was.

        Equal cases are worked out once.
        """
        if outcome[Outcome.VERDICT] == Verdict.ACCEPT:
            return None
        key = tuple(outcome[_TOLD].tolist())
        if key[0] == Verdict.DROP:  # what was never judged is told without its ends
            key = (*key, *outcome[_ENDS].tolist(), *header[_BESIDE].tolist())
        if key not in self._whys:
            if len(self._whys) >= MAX_WHYS:
                self._whys.clear()
            self._whys[key] = self._why(header, outcome)
        return self._whys[key]

    def alike(self, headers: Matrix, outcomes: Matrix) -> Matrix:
        """A row for each packet that was not delivered; of packets with equal rows the same is to be told.

        Parameters
        ----------
        headers, outcomes : (n, FIELDS) and (n, columns Outcome) int64
        """
        dropped = outcomes[:, [Outcome.VERDICT]] == Verdict.DROP
        ends = np.concatenate([outcomes[:, _ENDS], headers[:, _BESIDE]], axis=1)
        return np.concatenate([outcomes[:, [*_TOLD, Outcome.TRACKED]], np.where(dropped, ends, 0)], axis=1)

    def _why(self, header: Any, outcome: Any) -> Why:
        reason, stage = Reason(int(outcome[Outcome.REASON])), Stage(int(outcome[Outcome.STAGE]))
        at_id = self.ids.name(int(outcome[Outcome.PLACE]))
        at, text, nearest, missing = self.place(outcome[Outcome.PLACE]), TEXT[reason], None, None
        way_out = wayout.elsewhere(reason, at, self.destination(header, outcome) if header[Field.FAMILY] else "")
        inward = stage in (Stage.GROUP_INGRESS, Stage.ACL_INGRESS)
        direction = Direction.INGRESS if inward else Direction.EGRESS
        if reason in GROUP_REASONS and at_id in self.topology.entities:
            subject = self.subject(header, outcome, direction)
            nearest = self.nearest(at_id, direction, subject)
            text = self._group_text(at_id, direction, header, outcome, reason, nearest)
            missing = wayout.for_groups(self._lacking(at_id, nearest), direction, subject)
            way_out = str(missing)
        elif reason == Reason.SUBNET_ACL_RESTRICTION:
            traffic, named = self.traffic(header, outcome, direction), self.rule(outcome[Outcome.RULE])
            text = f"network ACL {named.name} denies {traffic}" if named else f"no network ACL entry allows {traffic}, so * denies it"
            way_out = self._acl_way_out(at_id, direction, self.subject(header, outcome, direction), named)
        elif reason in (Reason.NO_ROUTE_TO_DESTINATION, Reason.BAD_STATE_ROUTE, Reason.NO_POSSIBLE_DESTINATION):
            text = f"{text}: {self.destination(header, outcome)}"
        elif reason == Reason.EMU_UNSENT:
            text = f"{text} (packet {int(outcome[Outcome.HANGS_ON])})"
        code = STAGE_CODE[stage] if outcome[Outcome.VERDICT] == Verdict.DROP else ""
        return Why(reason.name, code, at, at_id, text, nearest, missing, way_out)

    def _lacking(self, eni_id: str, nearest: NearMiss | None) -> SecurityGroup:
        """The group to mend: that of the nearest rule, else the interface's first."""
        if nearest is not None and isinstance(nearest.rule.owner, SecurityGroup):
            return nearest.rule.owner
        return self.topology.get(self.topology.get(eni_id, NetworkInterface).security_groups[0], SecurityGroup)

    def _acl_way_out(self, subnet_id: str, direction: Direction, subject: Subject, named: NamedRule | None) -> str:
        subnet = self.topology.entities.get(subnet_id)
        if not isinstance(subnet, Subnet) or subject.port == ALL == subject.type:
            return ""
        acls = self.topology.all(NetworkAcl)
        acl = next(acl for acl in acls if acl.id == subnet.network_acl or (not subnet.network_acl and acl.is_default_of(subnet.vpc)))
        return wayout.for_acl(acl, direction, subject, named.rule.number if named and isinstance(named.rule, AclRule) else None)

    def subject(self, header: Any, outcome: Any, direction: Direction) -> Subject:
        """What the rules were held against when a packet was dropped by groups."""
        remote = (
            (Outcome.SOURCE_HI, Outcome.SOURCE_LO) if direction == Direction.INGRESS else (Outcome.DESTINATION_HI, Outcome.DESTINATION_LO)
        )
        later = header[Field.FRAGMENT_OFFSET] != 0
        return Subject(
            int(header[Field.FAMILY]),
            int(header[Field.PROTOCOL]),
            int(outcome[remote[0]]),
            int(outcome[remote[1]]),
            ALL if later else int(outcome[Outcome.DESTINATION_PORT]),
            ALL if later else int(header[Field.TYPE]),
            ALL if later else int(header[Field.CODE]),
            int(outcome[Outcome.SENDER]),
            int(outcome[Outcome.LOST]),
        )

    def misses(self, eni_id: str, direction: Direction, subject: Subject) -> Iterator[NearMiss]:
        """Every rule of an interface's groups in a direction with the fields on which it fails, in order."""
        row_by_id = self._rule_rows()
        for group_id in self.topology.get(eni_id, NetworkInterface).security_groups:
            for rule in self.topology.get(group_id, SecurityGroup).rules(direction):
                fields = Miss(int(miss(self.tables, row_by_id[rule.id], subject)))
                named = self.rules[rule.id]
                yield NearMiss(named, fields, self.miss_text(named, fields, subject) if fields else f"{named.name} allows it")

    def _rule_rows(self) -> dict[str, int]:
        return {self.ids.name(int(number)): row for row, number in enumerate(self.tables.rules[:, RuleColumn.ID])}

    def nearest(self, eni_id: str, direction: Direction, subject: Subject) -> NearMiss | None:
        """The rule that failed on the fewest fields, peer rather than port if there is a choice; None if no rule is there."""
        self._searches += 1
        search, tables = nearest_miss, self.tables
        if pays(nearest_miss, self._searches * SEARCH_WORK):
            self._ready = self._ready or ready(self.tables)
            search, tables = compiled(nearest_miss), self._ready
        found = search(tables, row_of(self.tables, self.ids.of(eni_id)), int(direction), subject)
        named = self.rule(self.tables.rules[found.rule, RuleColumn.ID]) if found.rule >= 0 else None
        if named is None:
            return None
        fields = Miss(int(found.fields))
        return NearMiss(named, fields, self.miss_text(named, fields, subject))

    def _group_text(self, eni_id: str, direction: Direction, header: Any, outcome: Any, reason: Reason, nearest: NearMiss | None) -> str:
        groups = [self.topology.entities[key].name for key in self.topology.get(eni_id, NetworkInterface).security_groups]
        way = direction.name.lower()
        names = ", ".join(groups)
        if reason == Reason.SG_HAS_NO_RULES:
            return f"{names} {'has' if len(groups) == 1 else 'have'} no {way} rule at all"
        text = f"no {way} rule of {names} allows {self.traffic(header, outcome, direction)}"
        return f"{text}; {nearest.text}" if nearest else text

    def traffic(self, header: Any, outcome: Any, direction: Direction = Direction.INGRESS) -> str:
        """``tcp/22 from 192.0.2.77`` or ``udp/53 to 8.8.8.8``."""
        subject = self.subject(header, outcome, direction)
        side = "from" if direction == Direction.INGRESS else "to"
        remote = address(subject.family, subject.hi, subject.lo)
        return f"{service_of(subject)} {side} {remote}"

    def destination(self, header: Any, outcome: Any) -> str:
        """The destination address of a packet when it ended."""
        return str(address(int(header[Field.FAMILY]), int(outcome[Outcome.DESTINATION_HI]), int(outcome[Outcome.DESTINATION_LO])))

    def miss_text(self, named: NamedRule, fields: Miss, subject: Subject) -> str:
        parts = [self._part(field, named, subject) for field in Miss if field in fields]
        only = "only " if len(parts) == 1 else ""
        return f"{named.name} fails {only}on {' and '.join(parts)}"

    def _part(self, field: Miss, named: NamedRule, subject: Subject) -> str:
        rule, side = named.rule, _SIDE[named.direction]
        remote = address(subject.family, subject.hi, subject.lo)
        first, last = rule.ports
        peer = rule.block if isinstance(rule, AclRule) else rule.peer
        match field:
            case Miss.PROTOCOL:
                return f"protocol: {protocol_name(subject.protocol)} is not {protocol_name(rule.protocol)}"
            case Miss.PORT:
                if subject.port == ALL:
                    return f"port: a later fragment shows none, and the rule takes only {_range(first, last)}"
                return f"port: {subject.port} is not {_range(first, last)}"
            case Miss.TYPE:
                return f"type: {subject.type} is not {first}"
            case Miss.CODE:
                return f"code: {subject.code} is not {last}"
            case Miss.FAMILY:
                return f"{side}: {remote} is IPv{subject.family}, the rule is for IPv{10 - subject.family} ({peer})"
            case Miss.BLOCK:
                return f"{side}: {remote} is not in {peer}"
            case Miss.LIST:
                list_name = self.topology.get(peer.list, PrefixList).name if isinstance(peer, ListPeer) else str(peer)
                return f"{side}: {remote} is not in prefix list {list_name}"
            case Miss.GROUP:
                return f"{side}: {remote} is no member of {self._group_name(peer)}"
            case Miss.IDENTITY:
                return f"{side}: {remote} is a member of {self._group_name(peer)}, but its group was lost on the way"
        return f"{side}: it names a group that is gone or out of reach (stale)"

    def _group_name(self, peer: Any) -> str:
        return self.topology.display(peer.group) if isinstance(peer, GroupPeer) else str(peer)


def service_of(subject: Subject) -> str:
    """``tcp/22``, ``icmp/8/0``, ``47``."""
    if subject.protocol in (TCP, UDP):
        return protocol_name(subject.protocol) if subject.port == ALL else str(Service(subject.protocol, (subject.port, subject.port)))
    if subject.protocol in (ICMP, ICMPV6) and subject.type != ALL:
        return str(Service(subject.protocol, (subject.type, subject.code)))
    return protocol_name(subject.protocol)


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"in {first}-{last}"


def _named_rules(topology: Topology) -> Iterator[tuple[str, NamedRule]]:
    for entity in topology.entities.values():
        if isinstance(entity, SecurityGroup):
            for direction in Direction:
                for number, rule in enumerate(entity.rules(direction), 1):
                    yield rule.id, NamedRule(f"{entity.name} {direction.name.lower()} {number}", rule, direction, entity)
        elif isinstance(entity, NetworkAcl):
            for direction in Direction:
                for entry in entity.rules(direction):
                    way = direction.name.lower()
                    yield f"{entity.id} {way} {entry.number}", NamedRule(f"{entity.name} {way} {entry.number}", entry, direction, entity)

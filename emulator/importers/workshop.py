"""What the parts of an import share: the snapshot, the report, the parts made so far, and the names of things."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from emulator.importers.layouts import Snapshot
from emulator.importers.records import Record
from emulator.importers.references import References
from emulator.importers.report import Report
from emulator.model.entities import Subnet, Vpc
from emulator.model.groups import Block, PrefixList
from emulator.model.topology import INTERNET

LONGEST_NAME = 120
_NAMED = ("Vpcs", "Subnets", "Instances", "RouteTables", "NetworkAcls", "NatGateways", "InternetGateways", "TransitGateways")


@dataclass
class Workshop:
    """One import on its way.

    Parameters
    ----------
    parts : entities by id, in the order in which they were made.
    lists : prefix lists that a rule or a route names, by id.
    """

    snapshot: Snapshot
    report: Report
    parts: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, PrefixList] = field(default_factory=dict)
    _tags: dict[str, Counter[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.references = References(self.snapshot)

    def add(self, entity: Any) -> None:
        """Take an entity, or take it again, changed; its id is set, and no other kind of thing has it."""
        other = self.parts.get(entity.id)
        if other is not None and type(other) is not type(entity):
            text = f"a {type(other).__name__} has the same id"
            self.report.left_out(type(entity).__name__, entity.id, text, entity.place)
        else:
            self.parts[entity.id] = entity

    def vpc(self, id: str) -> Vpc | None:
        """The VPC of an id, if it was taken."""
        entity = self.parts.get(id)
        return entity if isinstance(entity, Vpc) else None

    def subnet(self, id: str) -> Subnet | None:
        """The subnet of an id, if it was taken."""
        entity = self.parts.get(id)
        return entity if isinstance(entity, Subnet) else None

    def home(self, record: Record, key: str = "VpcId") -> Vpc | None:
        """The VPC that a record names; a missing one is noted and the record left out, or refused (see `references`)."""
        vpc = self.vpc(record.text(key))
        if vpc is None:
            self.references.demand(record, "Vpcs", record.text(key))
            self.report.left_out(record.kind, record.id, f"its VPC {record.text(key) or '(none named)'} is not in the data", record.place)
        return vpc

    def name(self, kind: str, record: Record) -> str:
        """The ``Name`` tag if no other of the kind has it and it can stand in a question; else the id."""
        if kind not in self._tags:
            self._tags[kind] = Counter(other.tag().strip().casefold() for other in self.snapshot.all(kind))
        tag = record.tag().strip()
        return tag if self._tags[kind][tag.casefold()] == 1 and usable_name(tag) and tag not in self.parts else record.id

    def prefix_list(self, id: str, vpc: str, user: str, place: str) -> PrefixList:
        """The prefix list of an id; one that the data does not have is taken as empty, with a note."""
        if id not in self.lists:
            self.lists[id] = self._made_list(id, vpc, user, place)
            self.add(self.lists[id])
        return self.lists[id]

    def _made_list(self, id: str, vpc: str, user: str, place: str) -> PrefixList:
        record = self.snapshot.get("PrefixLists", id)
        blocks: list[Block] = list(_entries(record)) if record is not None else []
        if not blocks:
            text = f"its entries are not in the data, so what {user} says of it matches nothing; add get-managed-prefix-list-entries"
            self.report.unknown("PrefixList", id, text, place)
        version = Counter(block.version for block in blocks).most_common(1)[0][0] if blocks else 4
        if any(block.version != version for block in blocks):
            self.report.not_modelled("PrefixList", id, f"its entries of the other family than IPv{version} are left out", place)
        kept = tuple(dict.fromkeys(block for block in blocks if block.version == version))
        if len(kept) > 1000:
            self.report.not_modelled("PrefixList", id, f"of its {len(kept):,} entries the first 1,000 are kept", place)
            kept = kept[:1000]
        name = record.text("PrefixListName") if record is not None else ""
        return PrefixList(name if usable_name(name) else id, vpc, kept, id=id, place=record.place if record is not None else place)


def _entries(record: Record) -> Iterator[Block]:
    for text in record.texts("Cidrs"):
        yield from Record({"Cidr": text}, record.kind, record.id, record.place).blocks("Cidr")
    for entry in record.parts("Entries"):
        yield from entry.blocks("Cidr")


def usable_name(name: str) -> bool:
    """Whether a name can stand in a question and in a topology file: printable, not too long, no address, no ``/`` or ``:``."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or set(name) & set("/:") or name != name.strip():
        return False
    if name.casefold() in (INTERNET, "local", "default", "main"):
        return False
    try:
        ip_address(name)
    except ValueError:
        return True
    return False

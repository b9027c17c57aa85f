"""What a record cannot be without: references to places and groups that are not in the data, and what that means.

A snapshot without a whole kind of answers is partial: what hangs on it is left out or assumed, with a note.  Where the
answers are there and do not hold what a record stands in, there are innocent reasons (the spec is silent; chosen here):

- The list was filtered.  A VPC or subnet outside the filter shows all the same in answers that were not filtered: other
  kinds name it, as every VPC has a main route table, a default group and ACL, and every subnet an ACL.
- It belongs to another account or Region, whose answers are not in the data: the interfaces of a participant in a shared
  VPC, say, or what AWS manages for itself.
- The source is a plan, which may name what is there already, or a live account, which changes while it is read.

What none of these explains is a mistake in the file, and refused: a network with a machine less would answer wrongly.
Unknown ids in rules and routes are none of this; they become stale rules and blackholes (IM-20).
"""

from functools import cached_property

from emulator.errors import TopologyError, printable
from emulator.importers.layouts import Snapshot
from emulator.importers.records import Record

NOUN = {"Vpcs": "VPC", "Subnets": "subnet", "SecurityGroups": "security group"}
_OF_A_VPC = ("Subnets", "SecurityGroups", "RouteTables", "NetworkAcls", "NetworkInterfaces")
ENOUGH = 2  # kinds that name a VPC beside the one in question, so that it is there


class References:
    """The references of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def demand(self, record: Record, kind: str, id: str) -> None:
        """Refuse a reference to what should be in the data and is not; nothing if there may be a reason.

        Raises
        ------
        TopologyError : in one line, who names what.
        """
        if not self.snapshot.closed or not id or id in self.snapshot.records.get(kind, {}):
            return
        if self._answered(record, kind) and not self._elsewhere(record, kind, id):
            shown = f"{record.kind} {record.id}".strip()
            text = f"its {NOUN[kind]} {printable(id[:80])} is not among the {kind} of the data; correct the id, or add what it names"
            raise TopologyError(f"{record.place}: {shown}: {text}")

    def _answered(self, record: Record, kind: str) -> bool:
        """Whether the data has things of a kind where a record stands."""
        for other in self.snapshot.all(kind):
            same_account = other.account == record.account or "" in (other.account, record.account)
            if same_account and other.region == record.region:
                return True
        return False

    def _elsewhere(self, record: Record, kind: str, id: str) -> bool:
        """Whether the rest of the data knows what is missing, or its whole VPC is missing."""
        if kind == "Vpcs":
            return len(self._vpcs.get(id, set()) - {record.kind}) >= ENOUGH
        vpc = record.text("VpcId")
        return id in self._subnets or record.flag("RequesterManaged") or bool(vpc and vpc not in self.snapshot.records.get("Vpcs", {}))

    @cached_property
    def _vpcs(self) -> dict[str, set[str]]:
        """The kinds of records that name each VPC."""
        found: dict[str, set[str]] = {}
        for kind in _OF_A_VPC:
            for record in self.snapshot.all(kind):
                found.setdefault(record.text("VpcId"), set()).add(record.kind)
        return found

    @cached_property
    def _subnets(self) -> set[str]:
        """The subnets that network ACLs and route tables are associated with."""
        tables = (*self.snapshot.all("NetworkAcls"), *self.snapshot.all("RouteTables"))
        return {part.text("SubnetId") for table in tables for part in table.parts("Associations")}

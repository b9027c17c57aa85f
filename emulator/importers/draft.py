"""What a plan or a template will make, drafted as if EC2 had described it already.

Addresses that EC2 gives out only when it makes the thing are drafted: private ones free in their subnet, public ones
from 198.19.0.0/16 (RFC 2544, unused on the internet).  Each is said: the real ones will be others.
"""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from emulator.errors import TopologyError
from emulator.importers.layouts import KINDS, Snapshot
from emulator.importers.records import Record
from emulator.importers.report import Report
from emulator.model.entities import Address
from emulator.model.fileformat.freeaddresses import FreeAddresses
from emulator.model.groups import Block, block

PUBLIC = ip_network("198.19.0.0/16")
DEFAULT_VPC, DEFAULT_BLOCK = "vpc-default", "172.31.0.0/16"
ID_FIELDS = dict(KINDS.values())


class Draft:
    """A snapshot in the making.

    Parameters
    ----------
    source : the file that says what will be.
    """

    def __init__(self, source: Path, report: Report) -> None:
        self.snapshot = Snapshot(source.resolve().name.split(".")[0] or "draft")
        self.report, self.source = report, source
        self._hosts = (ip_address(int(PUBLIC.network_address) + 1 + number) for number in range(PUBLIC.num_addresses - 2))
        for kind in ("Vpcs", "Subnets", "SecurityGroups", "RouteTables", "NetworkAcls", "Instances"):
            self.snapshot.kinds.add(kind)

    def put(self, kind: str, id: str, name: str, place: str, **data: Any) -> dict[str, Any]:
        """Draft one resource; gives its data, to be completed."""
        data = {key: value for key, value in data.items() if value not in (None, "")}
        data[ID_FIELDS[kind]] = id
        data["Tags"] = [{"Key": "Name", "Value": name}]
        record = Record(data, kind.removesuffix("es") if kind == "Addresses" else kind.removesuffix("s"), id, place)
        record.data = data
        self.snapshot.kinds.add(kind)
        self.snapshot.records.setdefault(kind, {})[id] = record
        return data

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        """The data of a drafted resource."""
        record = self.snapshot.get(kind, id)
        return None if record is None else record.data

    def all(self, kind: str) -> list[Record]:
        """The drafted resources of a kind."""
        return self.snapshot.all(kind)

    def default_vpc(self, place: str) -> str:
        """Id of the account's default VPC: the source's own, else drafted as AWS makes it (RT-29)."""
        own = next((made.id for made in self.all("Vpcs") if made.flag("IsDefault")), "")
        if own:
            return own
        if self.get("Vpcs", DEFAULT_VPC) is None:
            text = f"what names no VPC goes to the account's default one; taken as AWS makes it: {DEFAULT_BLOCK}, public subnets"
            self.report.assumed("Vpc", DEFAULT_VPC, text, place)
            self.put("Vpcs", DEFAULT_VPC, DEFAULT_VPC, place, CidrBlock=DEFAULT_BLOCK, IsDefault=True)
            self.put("InternetGateways", "igw-default", "igw-default", place, Attachments=[{"VpcId": DEFAULT_VPC}])
            routes = [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-default"}]
            self.put("RouteTables", "rtb-default", "rtb-default", place, VpcId=DEFAULT_VPC, Associations=[{"Main": True}], Routes=routes)
        return DEFAULT_VPC

    def default_subnet(self, zone: str, place: str) -> str:
        """Id of the default VPC's subnet of a zone: a /20 that gives public addresses (RT-29)."""
        vpc = self.default_vpc(place)
        there = [record for record in self.all("Subnets") if record.text("VpcId") == vpc]
        own = next((record.id for record in there if zone in ("", record.text("AvailabilityZone"))), "")
        if own:
            return own
        subnet_id = f"subnet-default-{zone or 'a'}"
        if self.get("Subnets", subnet_id) is None:
            number = len(there)
            blocks = list(ip_network(DEFAULT_BLOCK).subnets(new_prefix=20))
            chosen = str(blocks[number % len(blocks)])
            where = {"VpcId": vpc, "CidrBlock": chosen, "AvailabilityZone": zone or "a"}
            self.put("Subnets", subnet_id, subnet_id, place, MapPublicIpOnLaunch=True, **where)
        return subnet_id

    def public_ip(self, kind: str, id: str, place: str) -> str:
        """A drafted public address."""
        address = next(self._hosts, None)
        if address is None:
            raise TopologyError(f"{self.source}: more public addresses than {PUBLIC} has; split the network")
        self.report.assumed(kind, id, f"its public address is not known yet; taken as {address}", place)
        return str(address)

    def finish(self) -> Snapshot:
        """Draft what AWS makes with each VPC and the addresses that are open, and give the snapshot."""
        with_default = {record.text("VpcId") for record in self.all("NetworkAcls") if record.flag("IsDefault")}
        for made in self.all("Vpcs"):
            if made.id not in with_default:
                entries = [{"RuleNumber": 100, "RuleAction": "allow", "Egress": way, "CidrBlock": "0.0.0.0/0"} for way in (True, False)]
                entries += [{"RuleNumber": 101, "RuleAction": "allow", "Egress": way, "Ipv6CidrBlock": "::/0"} for way in (True, False)]
                self.put("NetworkAcls", f"acl-default-{made.id}", "", made.place, VpcId=made.id, IsDefault=True, Entries=entries)
        free: dict[str, FreeAddresses] = {}
        taken: dict[str, set[Address]] = {}
        for _, subnet, data in self._places():
            for address in _addresses(data):
                taken.setdefault(subnet, set()).add(address)
        for kind, subnet, data in self._places():
            record = self.snapshot.get("Subnets", subnet)
            if record is None:
                continue
            thing = str(data.get(ID_FIELDS[kind]) or data.get("InstanceId", ""))
            vpc = record.text("VpcId")
            if vpc not in free:
                mine = {other.id for other in self.all("Subnets") if other.text("VpcId") == vpc}
                free[vpc] = FreeAddresses(address for key in mine for address in taken.get(key, ()))
            self._complete(kind, thing, data, record, free[vpc])
        return self.snapshot

    def _places(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Everything that has an address of a subnet: interfaces and NAT gateways, with the subnet's id."""
        for record in self.all("Instances"):
            for embedded in record.data.get("NetworkInterfaces", ()):
                if self.snapshot.get("NetworkInterfaces", str(embedded.get("NetworkInterfaceId"))) is None:
                    yield "NetworkInterfaces", str(embedded.get("SubnetId", "")), embedded
        for kind in ("NetworkInterfaces", "NatGateways"):
            for record in self.all(kind):
                yield kind, str(record.data.get("SubnetId", "")), record.data

    def _complete(self, kind: str, id: str, data: dict[str, Any], subnet: Record, free: FreeAddresses) -> None:
        place = subnet.place
        if kind == "NatGateways":
            for entry in data["NatGatewayAddresses"]:
                if not entry.get("PrivateIp"):
                    entry["PrivateIp"] = self._take(kind, id, subnet, free)
            return
        listed = data.setdefault("PrivateIpAddresses", [])
        if not listed and not data.get("Ipv6Only") and next(subnet.blocks("CidrBlock"), None) is not None:
            listed.append({"PrivateIpAddress": self._take(kind, id, subnet, free), "Primary": True})
        for number in range(int(data.pop("MoreAddresses", 0) or 0)):
            listed.append({"PrivateIpAddress": self._take(kind, f"{id} {number + 1}", subnet, free)})
        if data.pop("WantsPublic", False) and listed and "Association" not in listed[0]:
            listed[0]["Association"] = {"PublicIp": self.public_ip("NetworkInterface", id, place)}
        for _ in range(int(data.pop("WantsIpv6", 0) or 0)):
            sixes = [six for part in subnet.parts("Ipv6CidrBlockAssociationSet") for six in part.blocks("Ipv6CidrBlock")]
            if sixes:
                data.setdefault("Ipv6Addresses", []).append({"Ipv6Address": self._take(kind, id, subnet, free, sixes[0])})

    def _take(self, kind: str, id: str, subnet: Record, free: FreeAddresses, own: Block | None = None) -> str:
        own = own or next(subnet.blocks("CidrBlock"), None)
        address = free.take(own, id) if own is not None else None
        if address is None:
            raise TopologyError(f"{subnet.place}: {subnet.id}: no free address for {id}; give the subnet a larger block")
        self.report.assumed(kind.removesuffix("s"), id, f"its address is not known yet; taken as {address}", subnet.place)
        return str(address)


def _addresses(data: dict[str, Any]) -> Iterator[Address]:
    """The addresses that a thing has already; what is none is for the reader of the snapshot to complain about."""
    texts = [part.get("PrivateIpAddress") for part in data.get("PrivateIpAddresses", ())]
    texts += [part.get("Ipv6Address") for part in data.get("Ipv6Addresses", ())]
    texts += [part.get("PrivateIp") for part in data.get("NatGatewayAddresses", ())]
    for text in texts:
        try:
            yield ip_address(str(text))
        except ValueError:
            continue


def permission(
    protocol: str, first: int | None, last: int | None, *, blocks: list[str], groups: list[str], lists: list[str], description: str = ""
) -> dict[str, Any]:
    """An ``IpPermission`` with its peers (SG-46)."""
    v4, v6 = [text for text in blocks if ":" not in text], [text for text in blocks if ":" in text]
    return {
        "IpProtocol": protocol,
        "FromPort": first,
        "ToPort": last,
        "IpRanges": [{"CidrIp": text, "Description": description} for text in v4],
        "Ipv6Ranges": [{"CidrIpv6": text, "Description": description} for text in v6],
        "PrefixListIds": [{"PrefixListId": text, "Description": description} for text in lists],
        "UserIdGroupPairs": [{"GroupId": text, "Description": description} for text in groups],
    }


def checked_block(text: str, what: str) -> str:
    """The text of a block.

    Raises
    ------
    TopologyError : it is none.
    """
    try:
        return str(block(text))
    except ValueError:
        raise TopologyError(f'{what} "{text[:60]}" is not a CIDR block such as 10.0.0.0/16') from None

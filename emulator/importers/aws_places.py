"""VPCs and subnets (IM-1, IM-2)."""

from collections.abc import Iterator

from emulator.importers.records import Record
from emulator.importers.workshop import Workshop
from emulator.model.entities import Subnet, Vpc
from emulator.model.groups import Block

MODES = ("off", "block-bidirectional", "block-ingress")


def add_places(shop: Workshop) -> None:
    """Every VPC with its associated blocks, every subnet."""
    for record in shop.snapshot.all("Vpcs"):
        if record.text("State") == "pending" and "CidrBlock" not in record:
            shop.report.without_effect("Vpc", record.id, "pending, without a block yet", record.place)
            continue
        blocks = tuple(
            dict.fromkeys((*record.blocks("CidrBlock"), *_associated(record, "CidrBlock"), *_associated(record, "Ipv6CidrBlock")))
        )
        if record.part("EncryptionControl").text("Mode") == "enforce":
            shop.report.not_modelled("Vpc", record.id, "encryption is enforced: resources without it cannot send", record.place)
        mode = _mode(record) or "off"
        default = record.flag("IsDefault")
        shop.add(Vpc(shop.name("Vpcs", record), blocks, id=record.id, place=record.place, block_public_access=mode, is_default=default))
    use_zone_ids = len({record.account for record in shop.snapshot.all("Subnets")} - {""}) > 1
    for record in shop.snapshot.all("Subnets"):
        vpc = shop.home(record)
        if vpc is None:
            continue
        own: tuple[Block, ...] = (*record.blocks("CidrBlock"), *list(_associated(record, "Ipv6CidrBlock"))[:1])
        # A zone's name differs from account to account, its id does not.
        zone = record.text("AvailabilityZoneId" if use_zone_ids else "AvailabilityZone") or record.text("AvailabilityZone")
        mode, name = _mode(record), shop.name("Subnets", record)
        shop.add(Subnet(name, vpc.id, own, zone, id=record.id, place=record.place, block_public_access=mode))


def _mode(record: Record) -> str:
    """The mode of Block Public Access that is in force (RT-28); empty if the record does not say."""
    mode = record.part("BlockPublicAccessStates").text("InternetGatewayBlockMode")
    return mode if mode in MODES else ""


def _associated(record: Record, key: str) -> Iterator[Block]:
    """The associated blocks of a set; blocks on their way in or out are not counted (IM-1)."""
    for association in record.parts(f"{key}AssociationSet"):
        state = association.part(f"{key}State").text("State")
        if state in ("", "associated"):
            yield from association.blocks(key)

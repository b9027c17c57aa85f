"""VPCs and subnets (IM-1, IM-2)."""

from collections.abc import Iterator

from emulator.importers.records import Record
from emulator.importers.workshop import Workshop
from emulator.model.entities import Subnet, Vpc
from emulator.model.groups import Block

MODES = {"off": "off", "block-bidirectional": "block-bidirectional", "block-ingress": "block-ingress"}


def add_places(shop: Workshop) -> None:
    """Every VPC with its associated blocks, every subnet."""
    for record in shop.snapshot.all("Vpcs"):
        if record.text("State") == "pending" and "CidrBlock" not in record:
            shop.report.without_effect("Vpc", record.id, "pending, without a block yet", record.place)
            continue
        blocks = tuple(
            dict.fromkeys((*record.blocks("CidrBlock"), *_associated(record, "CidrBlock"), *_associated(record, "Ipv6CidrBlock")))
        )
        _block_public_access(shop, record)
        if record.part("EncryptionControl").text("Mode") == "enforce":
            shop.report.not_modelled("Vpc", record.id, "encryption is enforced: resources without it cannot send", record.place)
        shop.add(Vpc(shop.name("Vpcs", record), blocks, id=record.id, place=record.place))
    use_zone_ids = len({record.account for record in shop.snapshot.all("Subnets")} - {""}) > 1
    for record in shop.snapshot.all("Subnets"):
        vpc = shop.home(record)
        if vpc is None:
            continue
        own: tuple[Block, ...] = (*record.blocks("CidrBlock"), *list(_associated(record, "Ipv6CidrBlock"))[:1])
        # A zone's name differs from account to account, its id does not.
        zone = record.text("AvailabilityZoneId" if use_zone_ids else "AvailabilityZone") or record.text("AvailabilityZone")
        _block_public_access(shop, record)
        shop.add(Subnet(shop.name("Subnets", record), vpc.id, own, zone, id=record.id, place=record.place))


def _block_public_access(shop: Workshop, record: Record) -> None:
    mode = record.part("BlockPublicAccessStates").text("InternetGatewayBlockMode")
    if mode not in ("", "off"):
        text = f"Block Public Access is {mode}: the internet gateway drops more than the model says (RT-28)"
        shop.report.not_modelled(record.kind, record.id, text, record.place)


def _associated(record: Record, key: str) -> Iterator[Block]:
    """The associated blocks of a set; blocks on their way in or out are not counted (IM-1)."""
    for association in record.parts(f"{key}AssociationSet"):
        state = association.part(f"{key}State").text("State")
        if state in ("", "associated"):
            yield from association.blocks(key)

"""Instances and interfaces (IM-3 to IM-6, IM-18): the interface's own description first, the instance's copy second.

An interface that stands for a service of AWS (a database, a function) becomes a machine of its own.  One that is
attached to nothing carries nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from emulator.importers.records import Record
from emulator.importers.workshop import Workshop
from emulator.model.entities import Address, ConnectionTracking, Instance, NatGateway, NetworkInterface, Subnet
from emulator.model.groups import SecurityGroup
from emulator.model.validate import reserved

GONE = ("terminated", "shutting-down")
BY_THE_GATEWAY = {
    "nat_gateway": "NAT gateway",
    "natGateway": "NAT gateway",
    "transit_gateway": "transit gateway",
    "vpc_endpoint": "endpoint",
    "gateway_load_balancer_endpoint": "endpoint",
    "network_load_balancer": "load balancer",
    "gateway_load_balancer": "load balancer",
}


@dataclass
class _Taken:
    """What is given away: addresses by VPC, public addresses, interfaces."""

    addresses: dict[tuple[str, Address], str] = field(default_factory=dict)
    enis: dict[str, str] = field(default_factory=dict)
    elastic: dict[str, list[Record]] = field(default_factory=dict)
    of_instance: dict[str, list[Record]] = field(default_factory=dict)


def add_interfaces(shop: Workshop) -> None:
    """Every instance that is there with its interfaces, then the interfaces that stand alone."""
    taken = _Taken()
    for part in list(shop.parts.values()):
        if isinstance(part, NatGateway):
            for private, public in part.addresses:
                taken.addresses[shop.parts[part.subnet].vpc, private] = part.id
                if public is not None:
                    taken.addresses["", public] = part.id
        for node in getattr(part, "nodes", ()):
            taken.addresses[part.vpc, node.private_ip] = part.id
    for record in shop.snapshot.all("Addresses"):
        for key in ("NetworkInterfaceId", "InstanceId"):
            if key in record:
                taken.elastic.setdefault(record.text(key), []).append(record)
    for record in shop.snapshot.all("NetworkInterfaces"):
        instance = record.part("Attachment").text("InstanceId")
        if instance:
            taken.of_instance.setdefault(instance, []).append(record)
    for record in shop.snapshot.all("Instances"):
        _add_instance(shop, taken, record)
    for record in shop.snapshot.all("NetworkInterfaces"):
        if record.id not in taken.enis:
            _add_alone(shop, taken, record)


def _add_instance(shop: Workshop, taken: _Taken, record: Record) -> None:
    state = record.part("State").text("Name")
    if state in GONE:
        shop.report.without_effect("Instance", record.id, f"it is {state}", record.place)
        for embedded in record.parts("NetworkInterfaces"):
            taken.enis.setdefault(embedded.text("NetworkInterfaceId"), record.id)
        return
    found = [_fuller(shop, record, embedded) for embedded in record.parts("NetworkInterfaces")] or taken.of_instance.get(record.id, [])
    found = found or [record]  # EC2-Classic and hand-made data say it all on the instance
    found.sort(key=lambda eni: eni.part("Attachment").number("DeviceIndex") or 0)
    made = [eni for eni in (_interface(shop, taken, eni, record) for eni in found) if eni is not None]
    if not made:
        shop.report.left_out("Instance", record.id, "none of its interfaces can be placed", record.place)
        return
    if state not in ("", "running"):
        shop.report.assumed("Instance", record.id, f"it is {state}, and answers nothing until it runs; taken as running", record.place)
    vpc = shop.parts[made[0].subnet].vpc
    shop.add(Instance(shop.name("Instances", record), vpc, record.text("InstanceType"), id=record.id, place=record.place))
    for number, eni in enumerate(made):
        if shop.parts[eni.subnet].vpc != vpc:
            shop.report.not_modelled("NetworkInterface", eni.id, "in another VPC than its instance's first interface; left out", eni.place)
        elif number == 0 or eni.name not in {other.name for other in made[:number]}:
            shop.add(eni)
        else:
            shop.report.left_out("NetworkInterface", eni.id, f"a second interface of {record.id} at {eni.name}", eni.place)


def _fuller(shop: Workshop, instance: Record, embedded: Record) -> Record:
    """The interface's own description, if it is there and says that it belongs to this instance (IM-5)."""
    eni_id = embedded.text("NetworkInterfaceId")
    own = shop.snapshot.get("NetworkInterfaces", eni_id)
    if own is not None and own.part("Attachment").text("InstanceId") in ("", instance.id):
        if "Attachment" not in own:
            own.data["Attachment"] = embedded.data.get("Attachment")
        return own
    return Record(embedded.data, "NetworkInterface", eni_id, embedded.place, embedded.account, embedded.region)


def _add_alone(shop: Workshop, taken: _Taken, record: Record) -> None:
    """An interface that no instance of the data has."""
    kind, attachment = record.text("InterfaceType"), record.part("Attachment")
    owner = attachment.text("InstanceId")
    if kind in BY_THE_GATEWAY:
        if not any(record.id == getattr(part, "interface", None) or record.id in _named(part) for part in shop.parts.values()):
            _by_the_gateway(shop, record, BY_THE_GATEWAY[kind])
        return
    if record.text("Status") == "available" and not owner:
        shop.report.without_effect("NetworkInterface", record.id, "attached to nothing, so it answers nothing", record.place)
        return
    made = _interface(shop, taken, record, None)
    if made is None:
        return
    machine = owner if owner and owner not in shop.parts else f"i-{record.id}"
    if owner:
        shop.report.assumed("Instance", owner, "only its interface is in the data; taken as running", record.place)
    elif record.text("Description").startswith("ELB "):
        text = f"{record.text('Description')}: taken as a machine that answers; what it forwards to its targets is not shown"
        shop.report.not_modelled("NetworkInterface", record.id, text, record.place)
    else:
        text = f"{record.text('Description') or kind or 'a service'}: taken as a machine that answers on every port"
        shop.report.assumed("NetworkInterface", record.id, text, record.place)
    name = record.id if not owner else machine
    shop.add(Instance(name, shop.parts[made.subnet].vpc, id=machine, place=record.place))
    shop.add(replace(made, name="eth0", instance=machine))


def _named(part: object) -> tuple[str, ...]:
    """Ids of the interfaces that a gateway, an endpoint or a balancer names as its own."""
    nodes = tuple(getattr(node, "interface", "") for node in getattr(part, "nodes", ()))
    return (*getattr(part, "interfaces", ()), *nodes)


def _by_the_gateway(shop: Workshop, record: Record, what: str) -> None:
    if what == "NAT gateway":
        addresses = set(record.addresses("PrivateIpAddress"))
        if any(isinstance(part, NatGateway) and part.private_ip in addresses for part in shop.parts.values()):
            return
    tails = [other.id.partition("loadbalancer/")[2] for other in shop.snapshot.all("LoadBalancers")] if what == "load balancer" else []
    if any(tail and tail in record.text("Description") for tail in tails):
        return  # the balancer speaks for itself, when its targets are there
    text = f"the interface of a {what} that is not in the topology: {record.text('Description') or record.text('PrivateIpAddress')}"
    shop.report.left_out("NetworkInterface", record.id, text, record.place)


def _interface(shop: Workshop, taken: _Taken, record: Record, instance: Record | None) -> NetworkInterface | None:
    """The interface, as far as it can be placed; what cannot is noted."""
    eni_id = record.text("NetworkInterfaceId") or (f"eni-{record.id}" if record.id else "")
    subnet = shop.subnet(record.text("SubnetId"))
    if subnet is None:
        shop.references.demand(record, "Subnets", record.text("SubnetId"))
        text = f"its subnet {record.text('SubnetId') or '(none named)'} is not in the data"
        shop.report.left_out("NetworkInterface", eni_id, text, record.place)
        return None
    if eni_id in taken.enis:
        other, eni_id = eni_id, f"{eni_id}-{instance.id if instance else len(taken.enis)}"
        shop.report.assumed(
            "NetworkInterface", other, f"named by several instances; that of {eni_id[len(other) + 1 :]} is called {eni_id}", record.place
        )
    privates = tuple(ip for ip in dict.fromkeys(_privates(record)) if _fits(shop, taken, eni_id, ip, subnet, record.place))
    if not privates:
        shop.report.left_out("NetworkInterface", eni_id, "none of its addresses can be used", record.place)
        return None
    taken.enis[eni_id] = instance.id if instance else ""
    pairs = _publics(taken, record, instance, privates)
    publics = tuple(pair for pair in pairs if _is_free(shop, taken, eni_id, pair[1], record.place))
    for key in ("Ipv4Prefixes", "Ipv6Prefixes"):
        if key in record:
            shop.report.not_modelled("NetworkInterface", eni_id, f"its {key} are left out: they are nobody's here", record.place)
    if record.flag("DenyAllIgwTraffic"):
        shop.report.not_modelled("NetworkInterface", eni_id, "it denies traffic with the internet gateway; not here", record.place)
    tracking = record.part("ConnectionTrackingConfiguration")
    groups = tuple(dict.fromkeys(_groups(shop, record, instance, subnet)))
    timeouts = ConnectionTracking(*(tracking.number(key) for key in ("TcpEstablishedTimeout", "UdpTimeout", "UdpStreamTimeout")))
    check = record.flag("SourceDestCheck", instance.flag("SourceDestCheck", True) if instance is not None else True)
    name = f"eth{record.part('Attachment').number('DeviceIndex') or 0}"
    owner = instance.id if instance else ""
    return NetworkInterface(name, owner, subnet.id, privates, publics, groups, check, timeouts, eni_id, record.place)


def _privates(record: Record) -> Iterator[Address]:
    listed = sorted(record.parts("PrivateIpAddresses"), key=lambda part: not part.flag("Primary"))
    for part in listed:
        yield from part.addresses("PrivateIpAddress")
    if not listed:
        yield from record.addresses("PrivateIpAddress")
    for part in record.parts("Ipv6Addresses"):
        yield from part.addresses("Ipv6Address")


def _fits(shop: Workshop, taken: _Taken, id: str, ip: Address, subnet: Subnet, place: str) -> bool:
    block = next((block for block in subnet.blocks if ip in block), None)
    trouble = ""
    if block is None:
        trouble = f"{ip} lies outside its subnet {subnet.id} ({', '.join(map(str, subnet.blocks))})"
    elif reserved(ip, block):
        trouble = f"{ip} is reserved in its subnet {subnet.id} (FB-14)"
    elif taken.addresses.setdefault((subnet.vpc, ip), id) != id:
        trouble = f"{ip} belongs to {taken.addresses[subnet.vpc, ip]} already"
    if trouble:
        shop.report.left_out("NetworkInterface", id, f"{trouble}; the address is left out", place)
    return not trouble


def _publics(taken: _Taken, record: Record, instance: Record | None, privates: tuple[Address, ...]) -> Iterator[tuple[Address, Address]]:
    """Pairs of private and public address: as the interface says, then as the elastic addresses do, then the instance."""
    found: dict[Address, Address] = {}
    for part in record.parts("PrivateIpAddresses"):
        for private in part.addresses("PrivateIpAddress"):
            for public in part.part("Association").addresses("PublicIp"):
                found.setdefault(private, public)
    primary = privates[0]
    for public in record.part("Association").addresses("PublicIp"):
        found.setdefault(primary, public)
    owner = record.part("Attachment").text("InstanceId")
    for elastic in (*taken.elastic.get(record.id, []), *taken.elastic.get(instance.id if instance else owner, [])):
        named = next(elastic.addresses("PrivateIpAddress"), primary)
        for public in elastic.addresses("PublicIp"):
            found.setdefault(named, public)
    if instance is not None and primary in instance.addresses("PrivateIpAddress"):
        for public in instance.addresses("PublicIpAddress"):
            found.setdefault(primary, public)
    yield from ((private, public) for private, public in found.items() if private in privates and private.version == public.version == 4)


def _is_free(shop: Workshop, taken: _Taken, id: str, public: Address, place: str) -> bool:
    other = taken.addresses.setdefault(("", public), id)
    if other != id:
        shop.report.left_out("NetworkInterface", id, f"{public} belongs to {other} already; the address is left out", place)
    return other == id


def _groups(shop: Workshop, record: Record, instance: Record | None, subnet: Subnet) -> Iterator[str]:
    listed = record.parts("Groups") or (instance.parts("SecurityGroups") if instance is record else [])
    for part in listed:
        group_id = part.text("GroupId")
        group = shop.parts.get(group_id)
        if group is None:
            shop.references.demand(record, "SecurityGroups", group_id)
            text = "its rules are not in the data; taken to allow nothing"
            shop.report.unknown("SecurityGroup", group_id, text, record.place)
            group = SecurityGroup(group_id, subnet.vpc, (), (), id=group_id, place=record.place)
            shop.add(group)
        if isinstance(group, SecurityGroup) and subnet.vpc in group.vpcs:
            yield group_id
        else:
            text = f"group {group_id} of another VPC is attached to it (SG-60); its rules are left out here"
            shop.report.not_modelled("NetworkInterface", record.id, text, record.place)

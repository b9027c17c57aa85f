"""VPC endpoints and network load balancers with their targets (IM-16, RT-56, RT-57)."""

from collections.abc import Iterator

from emulator.importers.records import Record
from emulator.importers.workshop import Workshop
from emulator.model.entities import Address, Instance
from emulator.model.joined import GatewayEndpoint, InterfaceEndpoint, Listener, NetworkLoadBalancer, Node, Target, TargetGroup
from emulator.model.services import TCP, UDP

PROTOCOLS = {"TCP": TCP, "UDP": UDP, "TLS": TCP, "TCP_UDP": TCP}


def add_endpoints(shop: Workshop) -> None:
    """Gateway and interface endpoints."""
    for record in shop.snapshot.all("VpcEndpoints"):
        kind = record.text("VpcEndpointType") or "Gateway"
        if record.text("State").casefold() in ("deleted", "deleting", "failed", "rejected", "expired"):
            shop.report.without_effect("VpcEndpoint", record.id, f"its state is {record.text('State')}", record.place)
            continue
        vpc = shop.home(record)
        if vpc is None:
            continue
        if kind == "Gateway":
            _add_gateway_endpoint(shop, record, vpc.id)
        elif kind == "Interface":
            _add_interface_endpoint(shop, record, vpc.id)
        else:
            shop.report.not_modelled(
                "VpcEndpoint", record.id, f"an endpoint of type {kind}: traffic by way of it is not shown", record.place
            )


def _add_gateway_endpoint(shop: Workshop, record: Record, vpc: str) -> None:
    service = record.text("ServiceName")
    routed = [
        route.text("DestinationPrefixListId")
        for table in shop.snapshot.all("RouteTables")
        for route in table.parts("Routes")
        if route.text("GatewayId") == record.id and "DestinationPrefixListId" in route
    ]
    named = [item.id for item in shop.snapshot.all("PrefixLists") if service and item.text("PrefixListName") == service]
    if not (routed or named):
        text = "its prefix list is not in the data; the service is reached as if it were not there"
        shop.report.unknown("VpcEndpoint", record.id, text, record.place)
        return
    made = shop.prefix_list((routed or named)[0], vpc, f"endpoint {record.id}", record.place)
    tables = tuple(table for table in record.texts("RouteTableIds") if shop.snapshot.get("RouteTables", table) is not None)
    name = record.tag() or record.id
    shop.add(GatewayEndpoint(name, vpc, made.id, tables, service.rpartition(".")[2] or "s3", record.id, record.place))


def _add_interface_endpoint(shop: Workshop, record: Record, vpc: str) -> None:
    enis = [eni for key in record.texts("NetworkInterfaceIds") if (eni := shop.snapshot.get("NetworkInterfaces", key)) is not None]
    nodes = tuple(_nodes(shop, enis))
    if not nodes:
        shop.report.left_out("VpcEndpoint", record.id, "none of its interfaces is in the data", record.place)
        return
    groups = tuple(part.text("GroupId") for part in record.parts("Groups") if part.text("GroupId") in shop.parts)
    if not record.text("ServiceName").startswith("com.amazonaws"):
        text = "which ports its service answers on is not in the data; taken as tcp/443"
        shop.report.assumed("VpcEndpoint", record.id, text, record.place)
    service = record.text("ServiceName")
    shop.add(InterfaceEndpoint(record.tag() or record.id, vpc, nodes, groups, service=service, id=record.id, place=record.place))


def _nodes(shop: Workshop, enis: list[Record]) -> Iterator[Node]:
    zones: set[str] = set()
    for eni in enis:
        subnet = shop.subnet(eni.text("SubnetId"))
        address = next(eni.addresses("PrivateIpAddress"), None) or _first(eni)
        if subnet is None or address is None or not any(address in block for block in subnet.blocks):
            shop.report.left_out("NetworkInterface", eni.id, "its subnet or its address is not in the data", eni.place)
        elif subnet.availability_zone and subnet.availability_zone in zones:
            shop.report.not_modelled("NetworkInterface", eni.id, "a second interface in its zone; left out", eni.place)
        else:
            zones.add(subnet.availability_zone)
            public = next(
                (ip for part in (eni, *eni.parts("PrivateIpAddresses")) for ip in part.part("Association").addresses("PublicIp")), None
            )
            yield Node(subnet.id, address, public, eni.id)


def _first(eni: Record) -> Address | None:
    return next((ip for part in eni.parts("PrivateIpAddresses") for ip in part.addresses("PrivateIpAddress")), None)


def add_balancers(shop: Workshop) -> None:
    """Network load balancers, with the target groups that their listeners lead to; run it when all instances are there."""
    listeners: dict[str, list[Record]] = {}
    for wrapped in shop.snapshot.all("LoadBalancerListeners"):
        listeners.setdefault(wrapped.id, []).extend(wrapped.parts("Listeners"))
    for record in shop.snapshot.all("Listeners"):
        listeners.setdefault(record.text("LoadBalancerArn"), []).append(record)
    for record in shop.snapshot.all("LoadBalancers"):
        kind = record.text("Type") or "classic"
        shown = record.text("LoadBalancerName") or record.id
        if record.part("State").text("Code") in ("failed", "provisioning") or not record.id:
            shop.report.without_effect("LoadBalancer", shown, "it does not work (yet)", record.place)
        elif kind != "network":
            text = f"an {kind} load balancer: what it forwards to its targets is not shown"
            shop.report.not_modelled("LoadBalancer", shown, text, record.place)
        elif shop.home(record) is not None:
            _add_balancer(shop, record, listeners.get(record.id, []))


def _add_balancer(shop: Workshop, record: Record, listeners: list[Record]) -> None:
    name, vpc = record.text("LoadBalancerName"), record.text("VpcId")
    tail = record.id.partition("loadbalancer/")[2]
    nodes = tuple(_nodes(shop, [eni for eni in shop.snapshot.all("NetworkInterfaces") if tail and tail in eni.text("Description")]))
    nodes = nodes or tuple(_addressed(record, shop))
    if not nodes:
        shop.report.left_out("LoadBalancer", name, "none of its interfaces is in the data", record.place)
        return
    made: dict[tuple[int, int], Listener] = {}
    for item in listeners:
        protocol, port = PROTOCOLS.get(item.text("Protocol")), item.number("Port") or 0
        group = next(forwarded(item), "")
        if protocol is None or not _add_target_group(shop, group, protocol):
            text = f"its listener on {item.text('Protocol')}/{port} leads to a target group that is not in the data"
            shop.report.left_out("LoadBalancer", name, text, record.place)
            continue
        if item.text("Protocol") == "TCP_UDP":
            shop.report.not_modelled("LoadBalancer", name, f"of its listener on TCP_UDP/{port} only tcp is shown", record.place)
        made[protocol, port] = Listener(port, group, protocol, item.place)
    groups = tuple(key for key in record.texts("SecurityGroups") if key in shop.parts)
    cross, internal = _cross_zone(shop, record.id), record.text("Scheme") == "internal"
    shop.add(NetworkLoadBalancer(name, vpc, nodes, tuple(made.values()), cross, internal, groups, f"nlb-{name}", record.place))


def _addressed(record: Record, shop: Workshop) -> Iterator[Node]:
    """Nodes as the balancer itself lists them, where its addresses were chosen."""
    for zone in record.parts("AvailabilityZones"):
        for part in zone.parts("LoadBalancerAddresses"):
            for private in part.addresses("PrivateIPv4Address"):
                if shop.subnet(zone.text("SubnetId")) is not None:
                    yield Node(zone.text("SubnetId"), private, next(part.addresses("IpAddress"), None))


def forwarded(listener: Record) -> Iterator[str]:
    """The target groups that a listener leads to by default."""
    for action in listener.parts("DefaultActions"):
        if "TargetGroupArn" in action:
            yield action.text("TargetGroupArn")
        for part in action.part("ForwardConfig").parts("TargetGroups"):
            yield part.text("TargetGroupArn")


def _cross_zone(shop: Workshop, arn: str) -> bool:
    wrapped = shop.snapshot.get("LoadBalancerAttributes", arn)
    pairs = {part.text("Key"): part.text("Value") for part in wrapped.parts("Attributes")} if wrapped is not None else {}
    return pairs.get("load_balancing.cross_zone.enabled") == "true"


def _add_target_group(shop: Workshop, arn: str, protocol: int) -> bool:
    if arn in shop.parts:
        return True
    record = shop.snapshot.get("TargetGroups", arn)
    if record is None or shop.vpc(record.text("VpcId")) is None or record.text("TargetType") not in ("instance", "ip", ""):
        return False
    name, is_ip = record.text("TargetGroupName") or arn, record.text("TargetType") == "ip"
    health = shop.snapshot.get("LoadBalancerTargetHealth", arn)
    targets = []
    for part in health.parts("TargetHealthDescriptions") if health is not None else ():
        target, state = part.part("Target"), part.part("TargetHealth").text("State")
        key = target.text("Id")
        if is_ip or isinstance(shop.parts.get(key), Instance):
            targets.append(Target(key, target.number("Port") or 0, state in ("", "healthy", "initial", "unavailable")))
        else:
            shop.report.left_out("TargetGroup", name, f"its target {key} is not in the data", record.place)
    if health is None:
        shop.report.unknown("TargetGroup", name, "its targets are not in the data; taken as none", record.place)
    port, kind = record.number("Port") or 0, "ip" if is_ip else "instance"
    shop.add(TargetGroup(name, record.text("VpcId"), port, tuple(targets), protocol, kind, id=arn, place=record.place))
    return True

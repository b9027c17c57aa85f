"""The base topology on which the worked scenarios of the semantics play (section 10.0).

Everything that a scenario changes is a keyword: ``base(SecurityGroup("new", "vpc-a"), web="new")`` puts web's interface
into the group `new`; who is not named is in `lab` (in: everything from 10.0.0.0/8; out: everything).
"""

import dataclasses
from ipaddress import ip_address, ip_network

from emulator.model.entities import (
    EgressOnlyInternetGateway,
    ExternalHost,
    Instance,
    InternetGateway,
    Link,
    NatGateway,
    NetworkInterface,
    Policy,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import PrefixList, Rule, SecurityGroup
from emulator.model.topology import Topology

WEB, WEB_V6, WEB_PUBLIC = "10.0.0.10", "2001:db8:a::10", "198.51.100.10"
WEB2, WEB2_PUBLIC = "10.0.0.11", "198.51.100.11"
WEB3, WEB3_V6, MBX = "10.0.0.12", "2001:db8:a::12", "10.0.0.50"
APP1, APP1_V6, APP2, APP2_V6, DB = "10.0.1.11", "2001:db8:a:1::11", "10.0.1.12", "2001:db8:a:1::12", "10.0.2.20"
B1, C1 = "10.1.0.10", "10.2.0.10"
EXT, EXT_V6, EXT2 = "203.0.113.12", "2001:db8:ffff::12", "203.0.113.99"

ANYONE, ANYONE_V6 = "0.0.0.0/0", "::/0"
ALL_OUT, ALL_OUT_V6 = Rule.of("all", ANYONE), Rule.of("all", ANYONE_V6)
HOSTS = {  # instance: VPC, subnet, private addresses, public address
    "web": ("vpc-a", "pub-a", (WEB, WEB_V6), WEB_PUBLIC),
    "web2": ("vpc-a", "pub-a", (WEB2,), WEB2_PUBLIC),
    "web3": ("vpc-a", "pub-a", (WEB3, WEB3_V6), None),
    "mbx": ("vpc-a", "pub-a", (MBX,), None),
    "app1": ("vpc-a", "app-a", (APP1, APP1_V6), None),
    "app2": ("vpc-a", "app-a", (APP2, APP2_V6), None),
    "db": ("vpc-a", "db-a", (DB,), None),
    "b1": ("vpc-b", "b", (B1,), None),
    "c1": ("vpc-c", "c", (C1,), None),
}


def group(name, ingress=(), egress=None, vpc="vpc-a"):
    """A security group; its rules are pairs of service and peer, ``("tcp/22", "203.0.113.12/32")``, or `Rule`s."""
    rules = [
        rules if rules is None else tuple(rule if isinstance(rule, Rule) else Rule.of(*rule) for rule in rules)
        for rules in (ingress, egress)
    ]
    return SecurityGroup(name, vpc, *rules)


def route(destination, target):
    """A static route."""
    return Route(ip_network(destination), target)


def base(*more, policy=None, **groups_of):
    """The base topology, with more entities, other settings, and other groups for some instances.

    Parameters
    ----------
    more : further entities and links; one of the same kind and name stands in for the base's own
    policy : settings by name, ``{"midstream_tcp": "pickup"}``
    groups_of : instance = name of its group, or a tuple of names
    """
    parts = [
        Vpc("vpc-a", (ip_network("10.0.0.0/16"), ip_network("2001:db8:a::/56"))),
        Vpc("vpc-b", (ip_network("10.1.0.0/16"),)),
        Vpc("vpc-c", (ip_network("10.2.0.0/16"),)),
        InternetGateway("igw-a", "vpc-a"),
        EgressOnlyInternetGateway("eigw-a", "vpc-a"),
        NatGateway("nat-a", "pub-a", ip_address("10.0.0.220"), ip_address("198.51.100.20")),
        VpcPeeringConnection("pcx-ab", "vpc-a", "vpc-b"),
        VpcPeeringConnection("pcx-bc", "vpc-b", "vpc-c"),
        Subnet("pub-a", "vpc-a", (ip_network("10.0.0.0/24"), ip_network("2001:db8:a::/64")), route_table="rtb-pub"),
        Subnet("app-a", "vpc-a", (ip_network("10.0.1.0/24"), ip_network("2001:db8:a:1::/64")), route_table="rtb-priv"),
        Subnet("db-a", "vpc-a", (ip_network("10.0.2.0/24"),)),
        Subnet("b", "vpc-b", (ip_network("10.1.0.0/24"),)),
        Subnet("c", "vpc-c", (ip_network("10.2.0.0/24"),)),
        RouteTable("rtb-pub", "vpc-a", (route(ANYONE, "igw-a"), route(ANYONE_V6, "igw-a"), route("10.1.0.0/16", "pcx-ab"))),
        RouteTable("rtb-priv", "vpc-a", (route(ANYONE, "nat-a"), route(ANYONE_V6, "eigw-a"), route("10.1.0.0/16", "pcx-ab"))),
        RouteTable("rtb-b", "vpc-b", (route("10.0.0.0/16", "pcx-ab"), route("10.2.0.0/16", "pcx-bc")), main=True),
        RouteTable("rtb-c", "vpc-c", (route("10.1.0.0/16", "pcx-bc"),), main=True),
        ExternalHost("ext", (ip_address(EXT), ip_address(EXT_V6))),
        ExternalHost("ext2", (ip_address(EXT2),)),
    ]
    parts += [group("lab", [("all", "10.0.0.0/8")], [ALL_OUT, ALL_OUT_V6], vpc) for vpc in ("vpc-a", "vpc-b", "vpc-c")]
    for name, (vpc, subnet, ips, public) in HOSTS.items():
        named = groups_of.pop(name, "lab")
        private = tuple(ip_address(ip) for ip in ips)
        elastic = ((private[0], ip_address(public)),) if public else ()
        parts.append(Instance(name, vpc))
        parts.append(NetworkInterface("eth0", name, subnet, private, elastic, (named,) if isinstance(named, str) else named, name != "mbx"))
    assert not groups_of, f"no such instance: {groups_of}"
    given = {key for part in more if (key := _key(part))}
    kept = [part for part in parts if _key(part) not in given]
    return Topology.of(*kept, *more, name="base", policy=dataclasses.replace(Policy(), **(policy or {})))


def _key(part):
    if isinstance(part, Link):
        return None
    return type(part), getattr(part, "vpc", ""), getattr(part, "instance", ""), part.name


__all__ = ["PrefixList", "base", "group", "route"]

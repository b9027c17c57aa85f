"""The worked scenarios S-32 to S-34 of the semantics (section 10.4): network ACLs."""

from dataclasses import replace

from emulator.model.entities import Subnet
from emulator.model.groups import AclRule, NetworkAcl, Rule
from emulator.model.services import parse_service
from tests.base import ANYONE, EXT, EXT2, WEB, WEB_PUBLIC, base, group, ip_network
from tests.dialogue import NO_RULES, Dialogue, icmp, tcp

ACL = "SUBNET_ACL_RESTRICTION"


def entry(number, service, block=ANYONE, allow=True):
    """A numbered entry of a network ACL."""
    return AclRule(number, allow, *parse_service(service), ip_network(block))


def pub_a(ingress, egress):
    """The subnet pub-a with a network ACL of its own."""
    blocks = (ip_network("10.0.0.0/24"), ip_network("2001:db8:a::/64"))
    return NetworkAcl("own", "vpc-a", ingress, egress), Subnet("pub-a", "vpc-a", blocks, route_table="rtb-pub", network_acl="own")


def change(topology, **fields):
    """Exchange the entries of that ACL."""
    return topology.changed("acl-own", **fields)


def test_s32_forgotten_ephemeral_ports():
    """An ACL remembers nothing: replies need entries for high ports, in both directions (NA-3, NA-7, NA-13)."""
    https = (entry(100, "tcp/443"),)
    talk = Dialogue(base(*pub_a(https, https), group("web", [("tcp/443", ANYONE)], [("all", ANYONE)]), web="web"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>443", "S")).accepted()
    talk.send(tcp(WEB, EXT, "443>50000", "SA")).dropped("E5(pub-a)", ACL)
    talk.edit(lambda topology: change(topology, egress=(*https, entry(110, "tcp/1024-65535"))))
    talk.send(tcp(WEB, EXT, "443>50000", "SA")).accepted()
    talk.send(tcp(WEB, EXT, "40000>443", "S")).accepted()
    talk.send(tcp(EXT, WEB_PUBLIC, "443>40000", "SA")).dropped("I1(pub-a)", ACL)


def test_s33_first_match():
    """The lowest number that matches decides, whether it allows or denies (NA-4)."""
    deny, allow = entry(90, "tcp/22", f"{EXT}/32", allow=False), entry(100, "all")
    talk = Dialogue(base(*pub_a((deny, allow), (allow,)), group("ssh", [("tcp/22", ANYONE)]), web="ssh"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).dropped("I1(pub-a)", ACL)
    talk.send(tcp(EXT2, WEB_PUBLIC, "50000>22")).accepted()
    talk.edit(lambda topology: change(topology, ingress=(replace(deny, number=110), allow)))
    talk.send(tcp(EXT, WEB_PUBLIC, "50001>22")).accepted()


def test_s34_the_guides_ping():
    """A group lets the reply of an allowed ping out, an ACL does not (NA-3, CT-3)."""
    ping, nothing = (entry(100, "icmp"),), (entry(100, "icmp", allow=False),)
    echo = group("echo", [Rule.of("icmp", ANYONE)], [])
    talk = Dialogue(base(*pub_a(ping, nothing), echo, web="echo"))
    talk.send(icmp(EXT, WEB_PUBLIC, 8)).accepted()
    talk.send(icmp(WEB, EXT, 0)).dropped("E5(pub-a)", ACL)
    talk = Dialogue(base(*pub_a(ping, ping), echo, web="echo"))
    talk.send(icmp(EXT, WEB_PUBLIC, 8)).accepted()
    talk.send(icmp(WEB, EXT, 0)).accepted()
    talk = Dialogue(base(*pub_a(ping, ping), group("none", [], []), web="none"))
    talk.send(icmp(EXT, WEB_PUBLIC, 8)).dropped("I2(web)", NO_RULES)

"""What people type on a machine: results as fields, and the words of the tool."""

import json
import subprocess
import sys

import pytest

from emulator import Network, SecurityGroup, loads
from emulator.errors import UsageError
from emulator.model.edits import authorize, revoke
from emulator.model.groups import Direction, Rule

SHOP = """
topology: shop
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      public: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public}
      data:   {cidr_block: 10.0.9.0/24, availability_zone: b}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}
    security_groups:
      web: {ingress: [{type: HTTP, source: 0.0.0.0/0}, {protocol: tcp, ports: 8080, source: 0.0.0.0/0}]}
      db:  {ingress: [{type: MSSQL, source: web}, {type: All ICMP - IPv4, source: 10.0.0.0/16}]}
    instances:
      web-1: {subnet: public, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [web], listen: [HTTP]}
      db: {subnet: data, private_ip: 10.0.9.10, security_groups: [db], listen: [MSSQL, tcp/5201]}
internet:
  customer: {ip: 192.0.2.77, listen: [HTTP]}
links:
  - {between: [customer, igw], latency: 20ms}
"""


@pytest.fixture
def network() -> Network:
    """A shop with a web server, a database and a customer."""
    return Network(loads(SHOP))


def test_ping(network):
    """Answers are counted, and timed by the link; the text is iputils'."""
    found = network["web-1"].ping("customer", 3)
    assert (found.transmitted, found.received, found.loss) == (3, 3, 0)
    assert all(40_000_000 < time < 41_000_000 for time in found.times_ns)
    assert str(found).splitlines()[0] == "PING customer (192.0.2.77) 56(84) bytes of data."
    assert "3 packets transmitted, 3 received, 0% packet loss, time 2000ms" in str(found)


def test_ping_without_answer(network):
    """A filtered ping is lost without a word."""
    found = network["customer"].ping("web-1", 2)
    assert not found
    assert "2 packets transmitted, 0 received, 100% packet loss, time 1000ms" in str(found)
    assert [trace.reason for trace in network.drops()] == ["ENI_SG_RULES_MISMATCH"] * 2


@pytest.mark.parametrize(
    ("source", "target", "port", "outcome", "words"),
    [
        ("customer", "web-1", 80, "open", "Connection to web-1 (198.51.100.10) 80 port [tcp/http] succeeded!"),
        ("customer", "web-1", 8080, "refused", "nc: connect to web-1 (198.51.100.10) port 8080 (tcp) failed: Connection refused"),
        (
            "customer",
            "web-1",
            "SSH",
            "timed out",
            "nc: connect to web-1 (198.51.100.10) port 22 (tcp) failed: Connection timed out after 127.02 s",
        ),
        ("web-1", "db", "MSSQL", "open", "Connection to db (10.0.9.10) 1433 port [tcp/ms-sql-s] succeeded!"),
        ("web-1", "nobody", 80, "name not found", 'nc: getaddrinfo for host "nobody" port 80: Name or service not known'),
    ],
    ids=["open", "allowed, but nobody listens", "not allowed", "a group as source", "no such name"],
)
def test_connect(network, source, target, port, outcome, words):
    """Open, refused, silent and unknown are told apart, as on a machine."""
    found = network[source].connect(target, port)
    assert found.outcome == outcome
    assert str(found) == words.replace("127.02 s", "127 s")


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("http://web-1/", 0, "Hello from web-1\n"),
        ("web-1/missing", 0, "404 Not Found\n"),
        ("http://web-1:8080/", 7, "curl: (7) Failed to connect to web-1 port 8080 after 40 ms: Couldn't connect to server"),
        ("http://nobody/", 6, "curl: (6) Could not resolve host: nobody"),
        ("http://web-1:22/", 28, "curl: (28) Failed to connect to web-1 port 22 after 5000 ms: Connection timed out"),
    ],
    ids=["page", "no such page", "refused", "no such name", "silence"],
)
def test_curl(network, url, code, words):
    """A page or curl's own words and exit code."""
    found = network["customer"].curl(url, timeout="5s")
    assert (found.code, str(found)) == (code, words)


def test_https_goes_as_far_as_the_connection(network):
    """TLS is not emulated, and curl says so instead of pretending."""
    network.edit(authorize(network.topology, "web", Direction.INGRESS, Rule.of("HTTPS", "0.0.0.0/0")))
    network["web-1"].serve("HTTPS")
    found = network["customer"].curl("https://web-1/")
    assert (found.code, found.outcome) == (35, "open")


def test_dig(network):
    """The resolver answers without a rule; another server is asked as usual."""
    network.edit(network.topology.changed(group(network, "web").id, egress=()))
    assert [str(ip) for ip in network["web-1"].dig("db").addresses] == ["10.0.9.10"]
    assert "status: NXDOMAIN" in str(network["web-1"].dig("nobody"))
    assert ";; no servers could be reached" in str(network["web-1"].dig("db", server="192.0.2.77"))


def test_scan_tells_open_closed_and_filtered(network):
    """Open answers, closed refuses, filtered says nothing."""
    found = network["customer"].scan("web-1", [22, 80, 8080])
    assert (found.open, found.closed, found.filtered) == ([80], [8080], [22])
    assert "22/tcp    filtered  ssh" in str(found)


def test_traceroute(network):
    """A VPC's router lowers no time to live, so the other instance is the first hop (FB-18)."""
    found = network["web-1"].traceroute("db", icmp=True)
    assert [(hop.ttl, hop.address) for hop in found.hops] == [(1, "10.0.9.10")]
    assert found.reached
    blocked = network["web-1"].traceroute("db", hops=2)
    assert not blocked.reached
    assert str(blocked).splitlines()[1] == " 1  * * *"


def test_iperf(network):
    """The transfer is whole and measured."""
    network.edit(authorize(network.topology, "db", Direction.INGRESS, Rule.of("tcp/5201", "10.0.0.0/16")))
    found = network["web-1"].iperf("db", "300KB")
    assert (found.bytes, found.error) == (300_000, "")
    assert found.rate_bps > 0
    assert network["web-1"].iperf("customer", "1KB").error == "Connection refused"


def test_pingall(network):
    """Who reaches whom; one direction may work without the other."""
    found = network.pingall()
    assert found["web-1", "db"]
    assert not found["db", "web-1"]
    assert str(found).splitlines()[-1] == "*** Results: 50% dropped (1/2 received)"


def test_metadata_and_router_need_no_rule(network):
    """The metadata service and the router's ping are the fabric's own (FB-3, FB-16)."""
    assert network["web-1"].curl("http://169.254.169.254/latest/meta-data/local-ipv4").text == "10.0.1.10"
    assert network["web-1"].ping("10.0.1.1", 1).received == 1
    assert network["web-1"].ping("10.0.9.1", 1).received == 0


def test_tcpdump_shows_what_the_machine_sees(network):
    """A packet that the group drops on its way in is in the sender's capture, not in the receiver's."""
    network["customer"].connect("web-1", 22, timeout="500ms")
    network["customer"].curl("http://web-1/")
    assert len(network.tcpdump("customer", "tcp and port 22")) == 1
    assert len(network.tcpdump("web-1", "port 22")) == 0
    rows = network.tcpdump("web-1", "port 80").rows
    assert rows[0].startswith("00:00:00.52")
    assert rows[0].endswith(", win 65535, options [mss 1460,nop,wscale 5], length 0")
    assert "Flags [S.]" in rows[1]
    assert any("Flags [P.], seq 1:" in row for row in rows)
    with pytest.raises(UsageError, match='"sctp!" is not understood'):
        network.tcpdump("web-1", "sctp!")


def test_capture_file(network, tmp_path):
    """A capture opens with one interface, directions, and comments that say what became of each packet."""
    from emulator.wire.capture import read_frames

    network["customer"].ping("web-1", 1, timeout="1s")
    assert network.tcpdump("customer").save(tmp_path / "customer.pcapng") == 1
    assert len(read_frames(tmp_path / "customer.pcapng")) == 1
    assert b"DROP ENI_SG_RULES_MISMATCH" in (tmp_path / "customer.pcapng").read_bytes()


def test_conntrack(network):
    """An interface's memory in the rows of conntrack -L."""
    network["web-1"].connect("db", 1433)
    table = network.conntrack("db")
    assert len(table) == 1
    assert "tcp      6 43" in str(table)
    assert "src=10.0.1.10 dst=10.0.9.10" in str(table)
    assert str(table).endswith("1 flow entry has been shown.")


def test_live_rows(network, capsys):
    """With live=True rows are printed as packets come."""
    network.tcpdump("web-1", "icmp", live=True)
    network["web-1"].ping("customer", 1)
    assert [row.split(": ")[1].split(",")[0] for row in capsys.readouterr().out.splitlines()] == ["ICMP echo request", "ICMP echo reply"]


# Time in hand.


def test_rewind_gives_the_same_run_again(network):
    """What happens after a moment happens again after going back to it, packet for packet."""
    network["customer"].ping("web-1", 1, timeout="1s")
    moment = network.snapshot()
    runs = []
    for _ in range(2):
        network["customer"].curl("http://web-1/")
        network["web-1"].ping("db", 2)
        runs.append((network.now_ns, network.tcpdump().rows))
        network.rewind(moment)
    assert runs[0] == runs[1]
    assert network.now_ns == moment.now_ns


def test_change_a_rule_and_run_again(network):
    """The same moment under two rule sets: the connection fails, then works."""
    moment = network.snapshot()
    assert network["customer"].connect("web-1", 22, timeout="3s").outcome == "timed out"
    network.rewind(moment)
    network.edit(authorize(network.topology, "web", Direction.INGRESS, Rule.of("SSH", "0.0.0.0/0")))
    assert network["customer"].connect("web-1", 22, timeout="3s").outcome == "refused"
    network.rewind(moment)
    assert network["customer"].connect("web-1", 22, timeout="3s").outcome == "timed out"


def test_an_open_connection_goes_back_in_time(network):
    """A connection in hand is, after going back, as it was then."""
    channel = network["web-1"].connect("db", 1433)
    moment = network.snapshot()
    channel.send("one")
    assert channel.receive() == b"one"
    channel.close()
    assert channel.state == "TIME-WAIT"
    network.rewind(moment)
    assert channel.state == "ESTABLISHED"
    channel.send("two")
    assert channel.receive() == b"two"


def test_a_tracked_connection_outlives_its_rule(network):
    """A connection lives on after its rule was revoked; a new one is not let in (SG-54, S-16)."""
    channel = network["web-1"].connect("db", 1433)
    network.edit(
        revoke(network.topology, "db", Direction.INGRESS, next(rule for rule in group(network, "db").ingress if rule.protocol == 6))
    )
    assert channel.send("still there?")
    assert network["web-1"].connect("db", 1433, timeout="2s").outcome == "timed out"


def group(network, name):
    return next(found for found in network.topology.all(SecurityGroup) if found.name == name)


def test_twins_go_their_own_ways(network):
    """A copy is another network: what is tried there does not happen here."""
    channel = network["web-1"].connect("db", 1433)
    twin = network.copy()
    twin["web-1"].ping("db", 2)
    twin.run("10s")
    assert len(twin.tcpdump("db")) > len(network.tcpdump("db"))
    assert twin.now_ns > network.now_ns
    assert channel.send("here")


def test_run_until_a_packet_drops(network):
    """The run stops at the loss, and shows it."""
    from emulator.verbs.ping import Ping

    machine = network["customer"]
    network.runtime.act(machine.key, machine.host.run(Ping(machine.host, "web-1", count=3), 0))
    lost = network.run_until_drop()
    assert lost.reason == "ENI_SG_RULES_MISMATCH"
    assert network.now_ns == 20_000_000
    network.run("100s")
    assert network.run_until_drop("1s") is None


def test_step_by_step_is_the_same_run(network):
    """One event at a time ends where one go ends."""
    other = Network(loads(SHOP))
    from emulator.verbs.curl import Curl

    for one in (network, other):
        machine = one["customer"]
        one.runtime.act(machine.key, machine.host.run(Curl(machine.host, "http://web-1/"), 0))
    network.run("1s")
    while other.runtime.next_time_ns() is not None and other.runtime.next_time_ns() <= 1_000_000_000:
        assert other.step()
    assert other.tcpdump().rows == network.tcpdump().rows


def test_a_question_asks_no_living_machine(network):
    """`explain` leaves the machines and the time as they are."""
    network["web-1"].ping("db", 1)
    before = (network.now_ns, len(network.tcpdump()))
    assert network.explain("web-1", "db", "tcp/1433").reachable
    assert (network.now_ns, len(network.tcpdump())) == before


# The command line.


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "emulator", *words], capture_output=True, text=True, check=False)


def test_command_line(tmp_path):
    """Verbs are commands: text or JSON, exit 0 for yes, 1 for no, 2 for bad input; captures on request."""
    shop = tmp_path / "shop.yaml"
    shop.write_text(SHOP)
    lines = ("customer: curl http://web-1/", "web-1: nc -w 2 customer 25")
    done = command("run", str(shop), *lines, "--conntrack", "--record", str(tmp_path / "captures"))
    assert done.returncode == 1, done.stderr
    assert "Hello from web-1" in done.stdout
    assert "Connection timed out after 2 s" in done.stdout
    assert (tmp_path / "captures" / "web-1-eth0.pcapng").is_file()
    found = command("scan", str(shop), "customer", "web-1", "-p", "22,80", "--json")
    assert (found.returncode, json.loads(found.stdout)["states"]) == (0, {"22": "filtered", "80": "open"})
    wrong = command("ping", str(shop), "nobody", "web-1")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "shop: nothing is called nobody; known are customer, db, web-1\n"


def test_curl_that_stalls_says_how_much_came(network):
    """A page that is too big for the path never comes, and curl says that nothing did; with the router's word let in it does."""
    network["web-1"].publish("/large", "x" * 6_000)
    network["customer"].set_mtu(9_001)
    found = network["customer"].curl("http://web-1/large", timeout="10s")
    assert (found.code, found.message[:32]) == (28, "Operation timed out after 10000 ")
    assert {trace.reason for trace in network.drops()} == {"EMU_MTU_EXCEEDED", "ENI_SG_RULES_MISMATCH"}
    network.authorize("web", "icmp/3/4", "0.0.0.0/0")
    assert len(network["customer"].curl("http://web-1/large", timeout="10s").text) == 6_000
    with pytest.raises(UsageError, match="mtu 1: write a number of bytes from 576 to 9001"):
        network["customer"].set_mtu(1)
    with pytest.raises(UsageError, match="has no web server on port 8080"):
        network["web-1"].publish("/", "", port=8080)


@pytest.mark.parametrize(
    ("edit", "trouble"),
    [
        (("authorize", "web", "SSH", "nobody"), "a rule names a block, a security group or a prefix list"),
        (("authorize", "web", "SSH", "0.0.0.0/0", "up"), 'direction "up": write ingress or egress'),
        (("acl_entry", "default", 90, "maybe", "SSH", "0.0.0.0/0"), 'action "maybe": write allow or deny'),
        (("acl_entry", "none", 90, "deny", "SSH", "0.0.0.0/0"), "network ACL none: there is none; known are default"),
        (("delete_acl_entry", "default", 7), "default: there is no ingress entry 7"),
        (("route", "none", "0.0.0.0/0", "igw"), "route table none: there is none; known are "),
        (("delete_route", "public", "10.9.0.0/16"), "public: there is no route to 10.9.0.0/16"),
        (("associate", "web-1", "public"), "web-1 is no subnet"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(map(str, value)),
)
def test_edits_that_cannot_be(network, edit, trouble):
    """An edit that names something unknown is one line, and changes nothing."""
    before = network.topology
    with pytest.raises(UsageError, match=trouble):
        getattr(network, edit[0])(*edit[1:])
    assert network.topology is before


def test_edits_act_on_the_next_packet(network):
    """Routes, ACL entries, groups and rules are changed between two packets."""
    moment = network.snapshot()
    network.acl_entry("default", 50, "deny", "HTTP", "192.0.2.77/32")
    assert network["customer"].curl("http://web-1/", timeout="1s").code == 28
    network.delete_acl_entry("default", 50)
    assert network["customer"].curl("http://web-1/", timeout="1s").ok
    network.delete_route("public", "0.0.0.0/0")
    assert network["customer"].curl("http://web-1/", timeout="1s").code == 28
    network.route("public", "0.0.0.0/0", "igw")
    assert network["customer"].curl("http://web-1/", timeout="1s").ok
    network.set_groups("web-1", "db")
    assert network["customer"].curl("http://web-1/", timeout="1s").code == 28
    network.rewind(moment)
    assert network["customer"].curl("http://web-1/", timeout="1s").ok


def test_a_packet_by_hand_among_living_machines(network):
    """`send` gives the way of that packet, and what the network made of it, while the machines answer what arrives."""
    from scapy.layers.inet import ICMP, IP, UDP

    network["web-1"].ping("db", 1)
    trace = network.send(IP(src="192.0.2.77", dst="198.51.100.10") / ICMP(type=3, code=1) / b"xxxx")
    assert trace.reason == "ENI_SG_RULES_MISMATCH"
    large = network.send(IP(src="10.0.1.10", dst="192.0.2.77", flags="DF") / UDP(sport=5, dport=6) / bytes(3_000))
    assert large.reason == "EMU_MTU_EXCEEDED"
    assert [made.sent.five_tuple.destination.compressed for made in large.made] == ["10.0.1.10"]


def test_names_cannot_speak_to_the_terminal(tmp_path):
    """What a page or a name holds is shown, never obeyed: an escape sequence is no escape sequence any more."""
    from emulator.cli_verbs import _shown

    assert "\x1b" not in _shown("a\x1b[31mb\tc")
    assert _shown("one\ntwo\n") == "one\ntwo"

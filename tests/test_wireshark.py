"""Files for Wireshark: tshark reads back what was written of verdicts, interfaces and packets."""

import shutil
import subprocess
from collections import Counter

import pytest

from emulator import load, loads
from emulator.bulk.annotated import COLOUR_FILTERS, colour_filters
from emulator.errors import UsageError
from emulator.observe.flowlogs import FlowLog
from emulator.replay import replay
from emulator.wire.capture import read_frames
from emulator.wire.packet import Packet
from emulator.wire.status import Status

FIELDS = (
    "frame.interface_name",
    "frame.packet_id",
    "frame.packet_flags_direction",
    "frame.verdict.ebpf_tc",
    "ip.src",
    "ip.dst",
    "frame.comment",
)


def tshark(path, *words):
    """What tshark prints, line by line, cells apart."""
    if shutil.which("tshark") is None:
        pytest.skip("no tshark here")
    fields = [word for field in FIELDS for word in ("-e", field)]
    command = ["tshark", "-r", str(path), *words, "-T", "fields", "-E", "separator=/t", *fields]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture
def shop(topologies, captures):
    """The web server's capture, replayed."""
    return replay(load(topologies / "web-server.yaml"), captures / "web-server.pcap")


@pytest.fixture
def folder(shop, tmp_path):
    """Its interfaces' files."""
    shop.save_interfaces(tmp_path / "wireshark", merged=True)
    return tmp_path / "wireshark"


def test_tshark_reads_names_ids_directions_verdicts_and_comments(shop, folder):
    """Each row of an interface's file says where it was seen, which packet it is, which way it went, and what became of it."""
    rows = tshark(folder / "web-1-eth0.pcapng")
    results = list(shop.packets)
    assert len(rows) == 112
    for name, number, direction, verdict, source, destination, comment in rows:
        result = results[int(number)]
        inbound = int(direction, 16) == 1
        assert name == "web-1:eth0"
        assert (destination if inbound else source) in ("10.0.1.10", "")  # the private address; IPv6 stands elsewhere
        assert verdict == ("0" if result.verdict == "accept" else "2")
        assert comment.startswith(f"{result.verdict.upper()} ")
        if result.why is not None:
            assert comment.split(" ")[1] == result.why.code
            assert comment.endswith(result.why.way_out)


def test_a_packet_has_one_id_in_all_files(topologies, captures, tmp_path):
    """A packet between two interfaces leaves the one and reaches the other, under one number."""
    found = replay(load(topologies / "app-and-sql-server.yaml"), captures / "app-and-sql-server.pcap")
    counts = found.save_interfaces(tmp_path, merged=True)
    rows = tshark(tmp_path / "all-interfaces.pcapng")
    places: dict[str, list[tuple[str, int]]] = {}
    for name, number, direction, *_ in rows:
        places.setdefault(number, []).append((name, int(direction, 16)))
    accepted = [result for result in found.packets if result.verdict == "accept"]
    assert accepted
    for result in accepted:
        (_, leaving), (_, coming) = places[str(result.index)]
        assert (leaving, coming) == (2, 1)
    assert counts["all-interfaces.pcapng"] == len(rows) == sum(count for name, count in counts.items() if not name.startswith("all-"))


def test_colouring_rules_select_what_was_blocked(shop, folder):
    """The rule for red is a filter that tshark takes, and it finds the dropped packets, all of them and no others."""
    text = (folder / COLOUR_FILTERS).read_text(encoding="utf-8")
    assert text == colour_filters()
    rules = [line.split("@")[1:3] for line in text.splitlines() if line.startswith("@")]
    assert rules[0][0] == "Blocked"
    path = folder / "annotated.pcapng"
    shop.save_pcapng(path)
    for (_, test), verdict in zip(rules, ("drop", "unsent"), strict=True):
        found = {int(row[1]) for row in tshark(path, "-Y", test)}
        assert found == {result.index for result in shop.packets if result.verdict == verdict}
        assert found


def test_files_agree_with_flow_logs(shop, topologies, captures, tmp_path):
    """As many packets stand in an interface's file as its flow logs count."""
    logged = replay(load(topologies / "web-server.yaml"), captures / "web-server.pcap", flow_logs=True)
    packets: Counter[str] = Counter()
    for row in FlowLog().rows(logged.topology, logged.engine.ids, logged.engine.state):
        packets[row["interface-id"]] += row["packets"] or 0
    assert shop.save_interfaces(tmp_path) == {"web-1-eth0.pcapng": sum(packets.values())}


def test_frames_are_whole_datagrams(folder):
    """Every frame parses, with its checksums and the addresses of the place; bytes and times go up within a direction."""
    frames = read_frames(folder / "web-1-eth0.pcapng")
    for _, link_type, frame in frames:
        packet = Packet.parse(frame, link_type)
        assert packet.status == Status.PARSED
        assert {str(packet.five_tuple.source), str(packet.five_tuple.destination)} & {"10.0.1.10", "2001:db8:a::10"}
    assert [time for time, _, _ in frames] == sorted(time for time, _, _ in frames)


def test_bad_names_stay_in_the_folder(topologies, captures, tmp_path):
    """An interface called like a path, or with control characters, gets a file inside the folder, and two never share one."""
    text = (topologies / "app-and-sql-server.yaml").read_text(encoding="utf-8")
    hostile = text.split("expect:")[0].replace("app-1:", '"../../app 1":').replace("db:", '"..-..-app-1":')
    network = loads(hostile, "hostile")
    counts = replay(network, captures / "app-and-sql-server.pcap").save_interfaces(tmp_path / "in")
    assert {path.name for path in (tmp_path / "in").iterdir()} == {*counts, COLOUR_FILTERS}
    assert len(counts) >= 2
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_the_network_made_is_there(tmp_path):
    """An ICMP error that a gateway sends stands in the file of who gets it, with a number of its own."""
    from scapy.layers.inet import ICMP, IP
    from scapy.utils import wrpcap

    network = loads("""
topology: narrow
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets: {a: {cidr_block: 10.0.1.0/24, route_table: public}}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}
    security_groups: {open: {ingress: [{type: All traffic, source: 0.0.0.0/0}]}}
    instances: {one: {subnet: a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [open]}}
internet: {far: {ip: 192.0.2.77}}
""")
    path = tmp_path / "large.pcap"
    wrpcap(str(path), [IP(src="10.0.1.10", dst="192.0.2.77", flags="DF") / ICMP() / bytes(3000)])
    counts = replay(network, path).save_interfaces(tmp_path / "out")
    rows = tshark(tmp_path / "out" / "one-eth0.pcapng")
    assert counts == {"one-eth0.pcapng": len(rows)}
    made = [row for row in rows if int(row[1]) >= 1 << 40]
    assert len(made) == 1
    assert made[0][5].split(",")[0] == "10.0.1.10"
    assert "made by the network" in made[0][6]


def test_the_command_line_writes_a_folder(vpcemu, topologies, captures, tmp_path):
    """`--pcapng FOLDER --merged`; the flag alone is refused; nothing half-written is left."""
    words = ("replay", topologies / "web-server.yaml", captures / "web-server.pcap")
    assert vpcemu(*words, "--pcapng", tmp_path / "f", "--merged").code == 0
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["all-interfaces.pcapng", "colorfilters", "web-1-eth0.pcapng"]
    ran = vpcemu(*words, "--merged")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    (tmp_path / "taken").write_text("x")
    ran = vpcemu(*words, "--pcapng", tmp_path / "taken")
    assert (ran.code, "name a folder" in ran.err) == (2, True)


def test_several_captures_are_refused(topologies, captures, tmp_path):
    """Comments are made of one capture."""
    found = replay(load(topologies / "web-server.yaml"), [captures / "web-server.pcap", captures / "ipv6.pcap"])
    with pytest.raises(UsageError, match="one capture file"):
        found.save_interfaces(tmp_path)


def test_a_small_window_changes_nothing(topologies, captures, tmp_path, monkeypatch):
    """Packets that are still on their way when others are handed out keep their place in the files."""
    from emulator.bulk import windows

    network = load(topologies / "web-server.yaml")
    whole = replay(network, captures / "web-server.pcap").save_interfaces(tmp_path / "whole")
    monkeypatch.setattr(windows, "WINDOW", 16)
    assert replay(network, captures / "web-server.pcap").save_interfaces(tmp_path / "parts") == whole
    rows = [sorted(read_frames(tmp_path / part / "web-1-eth0.pcapng")) for part in ("whole", "parts")]
    assert rows[0] == rows[1]

"""Files for Wireshark: tshark reads back what was written of verdicts, interfaces and packets."""

import os
import re
import shutil
import subprocess
from collections import Counter

import pytest

from emulator import NetworkInterface, load, loads
from emulator.bulk import annotated
from emulator.bulk.annotated import COLOUR_FILTERS, colour_filters
from emulator.bulk.results import comments_of
from emulator.errors import UsageError
from emulator.observe.flowlogs import FlowLog
from emulator.replay import replay
from emulator.wire.capture import read_frames
from emulator.wire.packet import Packet
from emulator.wire.record import InterfaceInfo, RecordFrame, write_pcapng
from emulator.wire.status import Status
from tests.hostile.test_hostile_text import CAPTURE, ESCAPES, MARKUP, lab

FIELDS = (
    "frame.interface_name",
    "frame.packet_id",
    "frame.packet_flags_direction",
    "frame.verdict.ebpf_tc",
    "ip.src",
    "ip.dst",
    "frame.comment",
)


SEVERAL = "^"  # between the comments of one frame


def tshark(path, *words, columns=FIELDS, settings=None):
    """What tshark prints, line by line, cells apart."""
    if shutil.which("tshark") is None:
        pytest.skip("no tshark here")
    fields = [word for field in columns for word in ("-e", field)]
    command = ["tshark", "-r", str(path), *words, "-T", "fields", "-E", "separator=/t", "-E", f"aggregator={SEVERAL}", *fields]
    environment = os.environ | ({"XDG_CONFIG_HOME": str(settings)} if settings else {})
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
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


@pytest.mark.parametrize("name", [*ESCAPES, *MARKUP, "../../../etc/x", "..", "con\\aux", "x" * 300, "a\nb"])
def test_bad_names_stay_text_and_in_the_folder(tmp_path, name):
    """Whatever a machine is called, its file lies in the folder under a plain name, and what tshark shows of it is text."""
    counts = replay(lab(name), CAPTURE).save_interfaces(tmp_path / "in", merged=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    names = {path.name for path in (tmp_path / "in").iterdir()}
    assert names == {*counts, COLOUR_FILTERS}
    assert len(names) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) for name in names)
    columns = ("frame.interface_name", "frame.interface_description", "frame.comment")
    shown = [cell for row in tshark(tmp_path / "in" / "all-interfaces.pcapng", columns=columns) for cell in row]
    assert shown
    assert all(cell.isprintable() for cell in shown)


def test_names_that_look_alike_have_files_of_their_own(topologies, captures, tmp_path):
    """Two interfaces whose names become the same file's name, large and small letters alike, never share one."""
    text = (topologies / "app-and-sql-server.yaml").read_text(encoding="utf-8")
    network = loads(text.split("expect:")[0].replace("app-1:", '"a/B":').replace("db:", '"A b":'), "alike")
    counts = replay(network, captures / "app-and-sql-server.pcap").save_interfaces(tmp_path / "in")
    assert {"a-B-eth0.pcapng", "A-b-eth0-2.pcapng"} <= set(counts) or {"A-b-eth0.pcapng", "a-B-eth0-2.pcapng"} <= set(counts)


@pytest.mark.parametrize("open_loop", [False, True], ids=["causal", "open loop"])
@pytest.mark.parametrize(
    ("network", "capture"),
    [("web-server.yaml", "web-server.pcap"), ("web-server.yaml", "ipv6.pcap"), ("app-and-sql-server.yaml", "app-and-sql-server.pcap")],
)
def test_tshark_reads_every_file_back(topologies, captures, tmp_path, network, capture, open_loop):
    """Of every file each frame has its interface's name, its packet's id and direction, the verdict line and then the way out."""
    found = replay(load(topologies / network), captures / capture, open_loop=open_loop)
    counts = found.save_interfaces(tmp_path / "out")
    results = {str(result.index): result for result in found.packets}
    names = set()
    for name, count in counts.items():
        rows = tshark(tmp_path / "out" / name, columns=(*FIELDS[:4], "frame.comment"))
        assert len(rows) == count
        assert len({row[0] for row in rows}) == 1
        names.add(rows[0][0])
        for _, number, direction, verdict, comments in rows:
            result, inbound = results[number], int(direction, 16) == 1
            assert comments == SEVERAL.join(comments_of(result))
            assert (verdict == "2") == (result.verdict == "drop" and result.why.stage[0] == ("I" if inbound else "E"))
    assert names <= {found.topology.display(eni.id) for eni in found.topology.all(NetworkInterface)}


def test_wireshark_colours_what_was_blocked(shop, folder, tmp_path):
    """With our rules among its settings tshark gives blocked packets, and no others, the colour of blocked ones."""
    (tmp_path / "settings" / "wireshark").mkdir(parents=True)
    shutil.copy(folder / COLOUR_FILTERS, tmp_path / "settings" / "wireshark" / "colorfilters")
    columns = ("frame.packet_id", "frame.coloring_rule.name")
    rows = tshark(folder / "all-interfaces.pcapng", "--color", columns=columns, settings=tmp_path / "settings")
    blocked = {str(result.index) for result in shop.packets if result.verdict == "drop"}
    assert {number for number, rule in rows if rule == "Blocked"} == blocked
    assert {rule for number, rule in rows if number not in blocked} <= {"", "Not sent, for its cause was blocked"}


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
    assert made[0][5].split(SEVERAL)[0] == "10.0.1.10"
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
    assert (ran.code, ran.out, "name a folder" in ran.err) == (2, "", True)
    ran = vpcemu(*words, captures / "ipv6.pcap", "--pcapng", tmp_path / "several")
    assert (ran.code, ran.out, "one capture file" in ran.err) == (2, "", True)


def test_several_captures_are_refused(topologies, captures, tmp_path):
    """Comments are made of one capture."""
    found = replay(load(topologies / "web-server.yaml"), [captures / "web-server.pcap", captures / "ipv6.pcap"])
    with pytest.raises(UsageError, match="one capture file"):
        found.save_interfaces(tmp_path)


def test_a_small_memory_changes_nothing(topologies, captures, tmp_path, monkeypatch):
    """Windows, pieces and buffers of a few packets, of which none is kept, give the same frames; none is lost on its way."""
    network = load(topologies / "web-server.yaml")
    whole = replay(network, captures / "web-server.pcap").save_interfaces(tmp_path / "whole")
    monkeypatch.setattr("emulator.bulk.windows.WINDOW", 16)
    monkeypatch.setattr("emulator.bulk.annotated.HELD_BYTES", 500)
    for name in ("emulator.replay.KEPT", "emulator.bulk.running.KEPT"):
        monkeypatch.setattr(name, 10)
    bulk = replay(network, captures / "web-server.pcap")
    assert bulk.kept is None
    assert bulk.save_interfaces(tmp_path / "parts") == whole
    rows = [sorted(tshark(tmp_path / part / "web-1-eth0.pcapng")) for part in ("whole", "parts")]
    assert rows[0] == rows[1]


def test_memory_does_not_grow_with_the_capture(topologies, captures, tmp_path, monkeypatch):
    """However many packets come, what interfaces saw of them is forgotten once it is written, and so are their bytes."""
    monkeypatch.setattr("emulator.bulk.windows.WINDOW", 64)
    monkeypatch.setattr("emulator.bulk.annotated.HELD_BYTES", 2000)
    long, frames = tmp_path / "long.pcapng", read_frames(captures / "web-server.pcap")
    hours = (RecordFrame(time_ns + hour * 3600 * 10**9, 0, data) for hour in range(20) for time_ns, _, data in frames)
    write_pcapng(long, [InterfaceInfo("outside", frames[0][1])], hours)
    held = []
    ended = annotated._Sights.ended

    def watched(sights, state, every=False):
        packets = sum(len(packet.frame) for packet, _, _ in sights._packets.values())
        yield from ended(sights, state, every)
        held.append((packets, len(state.sightings)))

    monkeypatch.setattr(annotated._Sights, "ended", watched)
    counts = replay(load(topologies / "web-server.yaml"), long).save_interfaces(tmp_path / "out")
    assert sum(counts.values()) > 2 * 1024
    assert max(packets for packets, _ in held) < 2000 + 1600
    assert {rows for _, rows in held} == {1024}

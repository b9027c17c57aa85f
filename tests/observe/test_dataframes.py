"""What DataFrames promise: the numbers of the replay, kinds of columns that suit them, and a way out where pandas is not there."""

import sys

import pandas as pd
import pytest

from emulator.errors import UsageError
from emulator.model.files import load
from emulator.network import Network
from emulator.replay import replay
from emulator.verbs.conntrack import ConntrackTable
from emulator.wire.capture import read_frames

UTC = pd.DatetimeTZDtype("ns", "UTC")
FLOW_KINDS = {
    "time": UTC,
    **dict.fromkeys(
        ("protocol", "source", "source_name", "destination", "destination_name", "verdict", "reason", "at", "text"), "category"
    ),
    **dict.fromkeys(("source_port", "destination_port"), "int32"),
    **dict.fromkeys(("packets", "accepted", "dropped", "unsent", "first_index"), "int64"),
}
PACKET_KINDS = {
    **{name: kind for name, kind in FLOW_KINDS.items() if kind != "int64"},
    "length": "int64",
    "rule": "category",
    "tracked": "bool",
    "hangs_on": "Int64",
}
ENTRY_KINDS = {
    **dict.fromkeys(("interface", "protocol", "source", "destination", "state", "rule"), "category"),
    "number": "int64",
    "source_port": "int32",
    "destination_port": "int32",
    "expires_in": "timedelta64[ns]",
}


@pytest.fixture
def shop(topologies):
    return load(topologies / "web-server.yaml")


@pytest.fixture
def found(shop, captures):
    return replay(shop, captures / "web-server.pcap")


def kinds(frame):
    return {name: kind if kind == UTC else str(kind) for name, kind in frame.dtypes.items()}


def test_flows(found):
    """A row a flow, with the counts, names, reasons and times that the flow has."""
    frame = found.to_dataframe()
    assert kinds(frame) == FLOW_KINDS
    assert frame["packets"].sum() == found.counts["total"] - found.counts["skipped"]
    assert frame["dropped"].tolist() == [flow.dropped for flow in found.flows]
    assert frame["time"].astype("int64").tolist() == [flow.first_time_ns for flow in found.flows]
    for row, flow in zip(frame.itertuples(), found.flows, strict=True):
        assert (row.source, row.source_port, row.verdict) == (flow.source.ip, flow.source.port, flow.verdict)
        assert flow.destination.name == ("" if pd.isna(row.destination_name) else row.destination_name)
        assert (row.reason if flow.why else pd.isna(row.reason)) == (flow.why.code if flow.why else True)
    assert frame["verdict"].cat.categories.tolist() == ["accept", "partial", "drop"]
    assert frame.groupby("verdict", observed=True)["packets"].sum().sum() == frame["packets"].sum()


def test_packets(found, captures):
    """A row a packet of the capture, by its index, with the capture's times and what became of it."""
    frame = found.to_dataframe("packets")
    assert kinds(frame) == PACKET_KINDS
    assert frame.index.tolist() == list(range(157))
    assert frame["time"].astype("int64").tolist() == [time_ns for time_ns, _, _ in read_frames(captures / "web-server.pcap")]
    results = list(found.packets)
    assert frame["verdict"].tolist() == [result.verdict for result in results]
    assert frame["reason"].isna().tolist() == [result.why is None for result in results]
    assert frame["hangs_on"].dropna().tolist() == [result.hangs_on for result in results if result.hangs_on is not None]
    assert frame["tracked"].tolist() == [result.tracked for result in results]
    blocked = frame[frame["verdict"] == "drop"]
    assert set(blocked["destination_name"]) == {"web-1"}
    assert frame.loc[frame["reason"] == "EMU_ARP", "source"].isna().all()


def test_packets_of_a_large_replay(shop, captures, monkeypatch, found):
    """A replay that keeps no packet gives the same rows, made stretch by stretch by a second run."""
    small = found.to_dataframe("packets")
    for name in ("emulator.replay.KEPT", "emulator.bulk.running.KEPT"):
        monkeypatch.setattr(name, 10)
    monkeypatch.setattr("emulator.bulk.windows.WINDOW", 16)
    large = replay(shop, captures / "web-server.pcap")
    assert large.kept is None
    pd.testing.assert_frame_equal(large.to_dataframe("packets"), small)


def test_addresses_are_those_of_the_capture_and_names_those_of_the_topology(shop, captures):
    """With a map, the address is what the capture says and the name is who that is."""
    mapped = replay(shop, captures / "web-server.pcap", map={"192.0.2.77": "office-pc"})
    for of in ("flows", "packets"):
        frame = mapped.to_dataframe(of)
        assert set(frame.loc[frame["source"] == "192.0.2.77", "source_name"]) == {"office-pc"}


def test_entries(topologies):
    """A row a tracked connection; the time that it has left can be counted with."""
    running = Network(topologies / "web-server.yaml")
    running["office-pc"].connect("web-1", "SSH")
    table = running.conntrack("web-1")
    frame = table.to_dataframe()
    assert kinds(frame) == ENTRY_KINDS
    (entry,) = table
    assert (frame["expires_in"] > pd.Timedelta("1s")).all()
    assert frame.iloc[0][["source", "destination_port", "rule"]].tolist() == [entry.source, 22, "web ingress 4"]


def test_kinds_do_not_depend_on_what_is_there(tmp_path, shop):
    """Of an empty capture, and of no entry at all, the columns are the same."""
    from scapy.utils import wrpcap

    wrpcap(str(tmp_path / "none.pcap"), [])
    nothing = replay(shop, tmp_path / "none.pcap")
    assert kinds(nothing.to_dataframe()) == FLOW_KINDS
    assert kinds(nothing.to_dataframe("packets")) == PACKET_KINDS
    assert kinds(ConntrackTable(()).to_dataframe()) == ENTRY_KINDS


def test_without_pandas_there_is_a_way_out(found, monkeypatch):
    """Where pandas is not installed, one line says how it is."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    for ask in (found.to_dataframe, lambda: found.to_dataframe("packets"), ConntrackTable(()).to_dataframe):
        with pytest.raises(UsageError, match=r"a DataFrame needs pandas; install it with: pip install 'vpcemu\[pandas\]'"):
            ask()

"""Figures: files of all three kinds, the same every time, harmless whatever the names, and there whole or not at all."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from emulator.errors import UsageError
from emulator.model.topology import Topology
from emulator.views import figure
from emulator.views.scene import FlowLine, layout
from tests.views.examples import HOSTILE, MISMATCH, estate, web

START = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-"}
FLOWS = [
    FlowLine("ext-customer", "eni-web-1", "tcp/443", "accept", 9),
    FlowLine("ext-customer", "eni-web-1", "tcp/22", "drop", 3, 3, "eni-web-1", "", MISMATCH),
    FlowLine("eni-web-1", "ext-scanner", "tcp/80", "partial", 5, 2, "eni-web-1", "", MISMATCH),
]
AGAIN = """
import sys
from emulator.views import figure
from tests.views.examples import web
from tests.views.test_figure import FLOWS
for kind in figure.FORMATS:
    figure.save(web(), f"{sys.argv[1]}.{kind}", FLOWS)
"""


def saved(folder: Path, kind: str, topology: Topology, flows: list[FlowLine], title: str = "") -> bytes:
    """The bytes of a figure as it is saved."""
    path = folder / f"map.{kind}"
    figure.save(topology, path, flows, title)
    return path.read_bytes()


@pytest.mark.parametrize("kind", figure.FORMATS)
def test_every_kind_is_written(kind: str, tmp_path: Path) -> None:
    """PNG, SVG and PDF are written by the name's suffix, whatever its case."""
    assert saved(tmp_path, kind, web(), FLOWS).startswith(START[kind])
    figure.save(web(), tmp_path / f"MAP.{kind.upper()}")
    assert (tmp_path / f"MAP.{kind.upper()}").read_bytes().startswith(START[kind])


def test_the_same_figure_has_the_same_bytes(tmp_path: Path) -> None:
    """Two processes with different hash seeds write the same bytes, of all kinds."""
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "NUMBA_DISABLE_JIT": "1"}
        subprocess.run([sys.executable, "-c", AGAIN, str(tmp_path / seed)], env=environment, check=True, cwd=Path(__file__).parents[2])
    for kind in figure.FORMATS:
        first, second = ((tmp_path / f"{seed}.{kind}").read_bytes() for seed in ("1", "2"))
        assert first == second, kind
        assert first == saved(tmp_path, kind, web(), FLOWS), kind


def test_a_users_settings_change_nothing(tmp_path: Path) -> None:
    """Fonts, sizes and TeX of a user's matplotlib settings leave a saved figure as it is."""
    plain = {kind: saved(tmp_path, kind, web(), FLOWS) for kind in figure.FORMATS}
    theirs: Any = {
        "font.family": ["monospace"],
        "font.size": 31,
        "lines.linewidth": 9,
        "text.usetex": True,
        "svg.fonttype": "path",
        "savefig.bbox": "tight",
    }
    with mpl.rc_context(theirs):
        assert {kind: saved(tmp_path, kind, web(), FLOWS) for kind in figure.FORMATS} == plain


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("kind", figure.FORMATS)
def test_hostile_names_are_drawn_as_text(kind: str, name: str, tmp_path: Path) -> None:
    """Markup, formulas, control characters and endless names are written in every kind without a warning."""
    topology = web().changed("ext-customer", name=name).changed("i-web-1", name=name)
    flow = FlowLine("ext-customer", "eni-web-1", name, "drop", 1, 1, "eni-web-1", name, name)
    assert len(saved(tmp_path, kind, topology, [flow], name)) > 1_000


def test_an_svg_has_names_as_text(tmp_path: Path) -> None:
    """An SVG is well-formed, has no script, and its texts can be searched and read aloud, as they were written."""
    names = {key: HOSTILE[key] for key in ("markup", "mathtext", "east asian", "entities and quotes")}
    for name in names.values():
        root = ET.fromstring(saved(tmp_path, "svg", web().changed("i-web-1", name=name), FLOWS, name))
        texts = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert name in texts
        assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    texts = [
        "".join(element.itertext())
        for element in ET.fromstring(saved(tmp_path, "svg", web(), FLOWS)).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert {"web-1", "customer", "web", "no ingress rule in web", MISMATCH, "tcp/443"} <= set(texts)


def test_files_say_nothing_of_when_and_where(tmp_path: Path) -> None:
    """No date, no version and no path stands in a file."""
    for kind in figure.FORMATS:
        data = saved(tmp_path, kind, web(), FLOWS)
        assert str(tmp_path).encode() not in data
        assert not re.search(rb"Matplotlib v|CreationDate|<dc:date>|20\d\d-\d\d-\d\d", data), kind


def test_accepted_and_blocked_differ_by_more_than_colour() -> None:
    """The three kinds of lanes have lines and final marks of their own, and each colour is seen on white."""
    assert len({str(line) for _, line in figure.LANE.values()}) == 3
    assert len({lane.marks[-1].kind for lane in layout(web(), FLOWS).legend}) == 3
    for colour, _ in figure.LANE.values():
        assert contrast(_luminance(colour), 1.0) >= 3, colour


def test_texts_can_be_read() -> None:
    """Every colour of a text has a contrast of 4.5 on every ground that it stands on (WCAG 2.2, 1.4.3)."""
    grounds = [face for face, *_ in figure.LOOK.values() if face != "none"]
    for role, colour in figure.INK.items():
        for ground in ["#FFFFFF", *grounds] if role in ("ink", "quiet") else [figure.LOOK[role][0]] if role in figure.LOOK else []:
            if ground != "none":
                assert contrast(_luminance(colour), _luminance(ground)) >= 4.5, (role, ground)
    for colour in (*figure.TAGS, figure.NO_TAG):
        assert contrast(_luminance(colour), 1.0) >= 4.5, colour


def test_a_given_axis_is_drawn_on() -> None:
    """`draw` fills the axis it is given, scaled to it, and gives it back; nothing is drawn elsewhere."""
    canvas = Figure(figsize=(6, 3))
    FigureCanvasAgg(canvas)
    left, right = canvas.subplots(1, 2)
    assert figure.draw(web(), FLOWS, ax=left, title="before") is left
    assert {"before", "web-1"} <= {text.get_text() for text in left.texts}
    assert not right.texts
    assert max(float(text.get_fontsize()) for text in left.texts) < 10, "letters shrink with the axis"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("map.gif", "map.gif: gif is not a kind of picture; end the name in .png, .svg or .pdf"),
        ("map", "map: no suffix says what kind of picture; end the name in .png, .svg or .pdf"),
    ],
    ids=["a suffix of another kind", "no suffix"],
)
def test_a_wrong_suffix_is_refused(name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that says no kind, or another one, is one clear line, and no file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        figure.save(web(), name)
    assert str(caught.value).count("\n") == 0
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A missing folder is told in one line with the way out."""
    with pytest.raises(UsageError, match="make the folder first") as caught:
        figure.save(web(), tmp_path / "missing" / "map.png")
    assert str(caught.value).count("\n") == 0


def test_a_figure_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up while a figure is written leaves the file that was there, and no other."""
    path = tmp_path / "map.png"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match="make room"):
        figure.save(web(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_large_figure_takes_bounded_time_and_size(tmp_path: Path) -> None:
    """500 instances and 5,000 flows are a picture of at most 9,000 pixels a side, drawn in seconds."""
    topology = estate(subnets=9, instances=500, zones=3)
    flows = [FlowLine("ext-out-0", f"eni-host-0-{number % 500}", f"tcp/{number % 90}", "accept") for number in range(5_000)]
    start = time.process_time()
    data = saved(tmp_path, "png", topology, flows)
    assert time.process_time() - start < 30
    assert max(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) <= figure.MOST_PIXELS
    assert len(data) < 3_000_000


def test_a_topology_shows_itself_in_a_notebook() -> None:
    """A topology's picture for a notebook is a PNG."""
    assert web()._repr_png_().startswith(START["png"])


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: float, second: float) -> float:
    """The contrast ratio of two luminances (WCAG 2.2)."""
    high, low = max(first, second), min(first, second)
    return (high + 0.05) / (low + 0.05)

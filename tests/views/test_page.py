"""The interactive page, in a real browser: what it loads, shows, filters and plays, and that hostile text is text."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator.model.files import load, loads
from emulator.replay import Replay, replay
from emulator.views.page import island
from tests.views.examples import web

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = [(1400, 900), (820, 1100), (390, 844)]
NAMES = {
    "markup": "<script>document.title='broken'</script>",
    "end of script": "</script><img src=x onerror=document.title='broken'>",
    "quotes": "\"'`${7*7}&quot;",
    "line separator": "a\u2028b\u2029c",
    "right to left": "\u202eabc\u202c שלום",
    "ten thousand characters": "x" * 10_000,
}


@pytest.fixture(scope="module")
def result() -> Replay:
    """The web server's own capture."""
    root = Path(__file__).parents[2]
    return replay(load(root / "topologies" / "web-server.yaml"), root / "tests" / "captures" / "web-server.pcap", compiled=False)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Debian's Chromium with an empty profile; says so where it is absent."""
    if not CHROMIUM.is_file():
        pytest.skip("no Chromium at /usr/bin/chromium: the page is not tested in a browser")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the page is not tested in a browser")
    with sync_api.sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")), executable_path=str(CHROMIUM), args=ARGUMENTS, headless=True
        )
        yield context
        context.close()


def expect() -> Any:
    """What waits until a page is as it should be."""
    return pytest.importorskip("playwright.sync_api").expect


class Opened:
    """A page that is open, and what it said and asked for."""

    def __init__(self, context: Any, path: Path, size: tuple[int, int] = SIZES[0]) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = context.new_page()
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def text(self, selector: str) -> str:
        """What stands in an element."""
        found: str = self.page.inner_text(selector)
        return found


@pytest.fixture
def opened(browser: Any, result: Replay, tmp_path: Path) -> Iterator[Opened]:
    """The page of the web server's capture."""
    result.save_html(tmp_path / "report.html")
    found = Opened(browser, tmp_path / "report.html")
    yield found
    found.page.close()
    assert not found.said


@pytest.mark.parametrize("size", SIZES, ids=["wide", "tablet", "telephone"])
def test_it_loads_offline(browser: Any, result: Replay, tmp_path: Path, size: tuple[int, int]) -> None:
    """The page asks for itself alone, says nothing on the console, and is no wider than the window."""
    result.save_html(tmp_path / "report.html")
    found = Opened(browser, tmp_path / "report.html", size)
    assert found.page.locator("#map svg .lane[role=button]").count() > 3
    assert found.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert found.asked == [(tmp_path / "report.html").as_uri()]
    assert not found.said
    found.page.close()


def test_a_reason_by_click(opened: Opened) -> None:
    """A click on a blocked flow's row tells the code, the rules and why each failed, and the headers."""
    opened.page.click("#flows tr:has-text('tcp/22'):has-text('customer') button")
    panel = opened.text("#panel")
    assert "ENI_SG_RULES_MISMATCH" in panel
    assert "192.0.2.77 is not in prefix list office" in panel
    assert "SYN" in panel
    assert opened.page.locator("#panel li.bad li").count() >= 3
    assert "✕" in opened.text("#ladder")


def test_a_reason_by_keyboard(opened: Opened) -> None:
    """Enter on a lane of the map, and Enter in the table, tell the same; Escape lets go."""
    opened.page.keyboard.press("Escape")
    assert "ENI_SG" not in opened.text("#panel")
    for selector in ("#map .lane.drop[role=button]", "#flows tbody button"):
        opened.page.keyboard.press("Escape")
        opened.page.locator(selector).first.focus()
        opened.page.keyboard.press("Enter")
        assert "ENI_SG_RULES_MISMATCH" in opened.text("#why")


def test_filters_change_what_is_shown(opened: Opened) -> None:
    """Verdict, port and search leave fewer rows and lanes; clearing brings them back."""
    lanes, rows = opened.page.locator("#map .lane[role=button]:not(.off)"), opened.page.locator("#flows tbody tr")
    before = lanes.count(), rows.count()
    opened.page.select_option("#verdict", "accept")
    assert lanes.count() < before[0]
    assert rows.count() == 0
    opened.page.select_option("#verdict", "")
    opened.page.fill("#port", "3306")
    assert rows.count() == 1
    opened.page.fill("#port", "")
    opened.page.fill("#search", "customer")
    assert 0 < rows.count() < before[1]
    opened.page.click("button[type=reset]")
    expect()(rows).to_have_count(before[1])


def test_the_table_sorts(opened: Opened) -> None:
    """A head sorts one way and then the other."""
    head = opened.page.locator("#flows th button").nth(3)
    head.click()
    up = opened.page.locator("#flows tbody td:nth-child(4)").all_inner_texts()
    opened.page.locator("#flows th button").nth(3).click()
    down = opened.page.locator("#flows tbody td:nth-child(4)").all_inner_texts()
    assert up != down
    assert sorted(up) == sorted(down)


def test_the_slider_moves_packets(opened: Opened) -> None:
    """A packet is elsewhere when the time is; a step and play go on from there."""

    def place(at: float) -> str | None:
        opened.page.eval_on_selector("#time", f"t => {{ t.value = {at}; t.dispatchEvent(new Event('input', {{bubbles: true}})); }}")
        found: str | None = opened.page.locator("#map [data-moves='0'] .mover").get_attribute("cx")
        return found

    assert place(0.3) != place(0.9)
    told = opened.text("#now")
    opened.page.click("#forth")
    assert opened.text("#now") != told
    before = opened.page.input_value("#time")
    opened.page.click("#play")
    expect()(opened.page.locator("#time")).not_to_have_value(before)
    opened.page.click("#play")


def test_an_interface_tells_its_groups_and_tracking_table(opened: Opened) -> None:
    """The tracking table is that of the moment: empty at the start, with entries later."""
    interface = "#map [data-interface]"
    opened.page.locator(interface).first.focus()
    opened.page.keyboard.press("Enter")
    assert "No tracked connection" in opened.text("#panel")
    assert "Security group web" in opened.text("#panel")
    opened.page.eval_on_selector("#time", "t => { t.value = 95; t.dispatchEvent(new Event('input', {bubbles: true})); }")
    assert opened.page.locator("#tracking tr").count() > 1


def test_playing_keeps_quiet_until_it_is_paused(opened: Opened) -> None:
    """While packets move nothing is announced and the slider's words are told once a second; a pause speaks again."""
    live = "id => document.getElementById(id).getAttribute('aria-live')"
    opened.page.locator("#map [data-interface]").first.focus()
    opened.page.keyboard.press("Enter")
    opened.page.evaluate(
        "() => { window.told = 0; new MutationObserver(seen => { window.told += seen.length; })"
        ".observe(document.getElementById('time'), {attributes: true, attributeFilter: ['aria-valuetext']}); }"
    )
    opened.page.select_option("#speed", "10")
    opened.page.click("#play")
    before = opened.page.input_value("#time")
    expect()(opened.page.locator("#time")).not_to_have_value(before)
    assert [opened.page.evaluate(live, name) for name in ("now", "panel")] == ["off", "off"]
    for _ in range(4):
        expect()(opened.page.locator("#now")).not_to_have_text(opened.text("#now"))
    assert opened.page.evaluate("window.told") < 20
    opened.page.click("#play")
    assert [opened.page.evaluate(live, name) for name in ("now", "panel")] == ["polite", "polite"]
    assert opened.text("#now") == opened.page.get_attribute("#time", "aria-valuetext")
    assert "Tracking table" in opened.text("#panel")


def test_the_table_is_copied_as_it_is_shown(opened: Opened) -> None:
    """What is copied are the rows that the filters leave, in their order, a line each, cells parted by tabs."""
    opened.page.evaluate("() => { navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); }; }")
    opened.page.fill("#search", "customer")
    opened.page.click("#copy")
    expect()(opened.page.locator("#copied")).to_have_text("copied")
    lines = opened.page.evaluate("window.copied").split("\n")
    assert len(lines) == 1 + opened.page.locator("#flows tbody tr").count() > 2
    assert all(line.count("\t") == 7 for line in lines)
    assert all("customer" in line for line in lines[1:])


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """Two hundred instances of which a hundred try to reach the other hundred."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap

    enis = "".join(f"      host-{n}: {{subnet: a, private_ip: 10.0.1.{n + 10}}}\n" for n in range(200))
    text = f"vpcs:\n  v:\n    cidr_block: 10.0.0.0/16\n    subnets: {{a: {{cidr_block: 10.0.1.0/24}}}}\n    instances:\n{enis}"
    frames = [
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=f"10.0.1.{n + 10}", dst=f"10.0.1.{n + 110}") / TCP(dport=22)
        for n in range(100)
    ]
    path = tmp_path_factory.mktemp("crowd") / "crowd.pcap"
    wrpcap(str(path), frames)
    return replay(loads(text), path, compiled=False)


def test_a_lane_of_many_lists_its_flows(browser: Any, crowd: Replay, tmp_path: Path) -> None:
    """A lane that stands for many ends says how many, and leads to each of their flows."""
    crowd.save_html(tmp_path / "crowd.html")
    found = Opened(browser, tmp_path / "crowd.html")
    found.page.keyboard.press("Escape")
    found.page.locator("#map .lane[role=button]").first.focus()
    found.page.keyboard.press("Enter")
    assert "host-0 and 99 more → host-100 and 99 more" in found.text("#panel")
    assert found.page.locator("#panel li button").count() == 100
    found.page.locator("#panel li button").nth(7).click()
    assert "host-7 → host-107" in found.text("#panel")
    assert not found.said
    found.page.close()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_hostile_names_are_text(browser: Any, result: Replay, tmp_path: Path, name: str) -> None:
    """Markup, quotes, separators, other directions and endless names are shown as text; nothing of them runs."""
    topology = web().changed("i-web-1", name=name).changed("ext-customer", name=name)
    hostile = replay(replace(topology, name=name), result.run.captures[0], compiled=False)
    hostile.save_html(tmp_path / "hostile.html")
    found = Opened(browser, tmp_path / "hostile.html")
    assert found.page.title() != "broken"
    assert found.page.locator("script").count() == 2
    assert found.page.locator("img").count() == 0
    assert not found.said
    assert found.page.locator("#flows tbody tr").count() > 0
    found.page.close()


def test_a_map_alone(browser: Any, vpcemu: Any, topologies: Path, tmp_path: Path) -> None:
    """`draw -o map.html` is the map with search and groups, and shows nothing of traffic."""
    assert vpcemu("draw", topologies / "web-server.yaml", "-o", tmp_path / "map.html").code == 0
    found = Opened(browser, tmp_path / "map.html")
    found.page.locator("#map [data-interface]").first.focus()
    found.page.keyboard.press("Enter")
    assert "Security group web" in found.text("#panel")
    assert "Tracking" not in found.text("#panel")
    assert not any(found.page.is_visible(part) for part in ("#player", "#list", "#ladder", "#verdict"))
    found.page.fill("#search", "office")
    assert found.page.locator("#map .found").count() == 1
    assert found.asked == [(tmp_path / "map.html").as_uri()]
    assert not found.said
    found.page.close()


def test_a_notebooks_frame_works(browser: Any, result: Replay, tmp_path: Path) -> None:
    """Within a notebook the page lives in a frame that may run its script and nothing else."""
    text = result._repr_html_()
    assert re.match(r'<iframe title="[^"<>]*" sandbox="allow-scripts" srcdoc="', text)
    (tmp_path / "notebook.html").write_text(f"<!doctype html><meta charset=utf-8>{text}", "utf-8")
    found = Opened(browser, tmp_path / "notebook.html")
    frame = found.page.frame_locator("iframe")
    frame.locator("#flows tbody button").first.click()
    assert "ENI_SG_RULES_MISMATCH" in frame.locator("#why").inner_text()
    found.page.close()


def test_data_cannot_end_its_script() -> None:
    """Whatever is in the data, its island has no markup and is the same data when read."""
    for name in NAMES.values():
        assert not set("<>&\u2028\u2029") & set(island({name: [name]}))
        assert json.loads(island({name: [name]})) == {name: [name]}


def test_the_command_line_writes_it(vpcemu: Any, topologies: Path, captures: Path, tmp_path: Path) -> None:
    """`--html` writes one file; a wrong place is one line and exit code 2."""
    words = ("replay", topologies / "web-server.yaml", captures / "web-server.pcap", "--html")
    assert vpcemu(*words, tmp_path / "report.html").code == 0
    assert "default-src 'none'" in (tmp_path / "report.html").read_text("utf-8")
    ran = vpcemu(*words, tmp_path / "missing" / "report.html")
    assert ran.code == 2
    assert "make the folder first" in ran.err

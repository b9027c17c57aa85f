"""The interactive page of a replay, or of a topology alone: one HTML file that needs no network and lets none be reached.

The data is an island of JSON in which nothing can end the script that holds it; the page's policy (CSP) names its
script and its style by their hashes and forbids everything else.
"""

import base64
import hashlib
import json
import os
from functools import cache
from html import escape
from importlib.resources import files

from emulator.errors import CaptureError, UsageError
from emulator.model.topology import Topology
from emulator.replay import Replay
from emulator.views.pagedata import map_data, page_data
from emulator.views.text import clean
from emulator.wire.atomic import written

HIGH = 860  # pixels of the frame in a notebook


def to_html(shown: Replay | Topology) -> str:
    """The whole document."""
    script, style = _part("view.js"), _part("view.css")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'; connect-src 'none'; img-src 'none'"
    )
    if isinstance(shown, Replay):
        name, data = f"{shown.topology.name}: replay", page_data(shown)
    else:
        name, data = shown.name, map_data(shown)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(clean(name))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<script type="application/json" id="data">{island(data)}</script>\n'
        f"{_part('view.html')}<noscript>This page draws itself with its own script; let it run.</noscript>\n"
        f'<script type="module">{script}</script>\n</body>\n</html>\n'
    )


def island(data: object) -> str:
    """JSON that holds no ``<``, ``>``, ``&`` and no line separator, so that no text in it is markup.

    Examples
    --------
    >>> island("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def save_html(shown: Replay | Topology, path: str | os.PathLike[str]) -> None:
    """Write the page, whole or not at all.

    Raises
    ------
    UsageError : a place that cannot be written to.
    """
    data = to_html(shown).encode("utf-8", "replace")
    try:
        with written(path) as file:
            file.write(data)
    except CaptureError as error:
        raise UsageError(str(error)) from None


def frame(replay: Replay) -> str:
    """The page in a frame of its own, for a notebook: its script reaches nothing of the notebook."""
    title = escape(clean(f"Replay through {replay.topology.name}"))
    return (
        f'<iframe title="{title}" sandbox="allow-scripts" srcdoc="{escape(to_html(replay))}" '
        f'width="100%" height="{HIGH}" frameborder="0"></iframe>'
    )


@cache
def _part(name: str) -> str:
    return files("emulator.views").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

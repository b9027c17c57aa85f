"""Tables for notebooks and spreadsheets: whatever a name holds, a cell shows it as text."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from emulator.errors import printable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # OWASP, "CSV Injection"


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV, every cell made `harmless`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def harmless(cell: str) -> str:
    """A cell that no spreadsheet runs: control characters replaced, in one line, an apostrophe before a sign that begins a formula.

    Examples
    --------
    >>> harmless("=cmd|'/C calc'!A0"), harmless("web-1")
    ("'=cmd|'/C calc'!A0", 'web-1')
    """
    shown = _one_line(cell)
    return f"'{shown}" if cell.lstrip(" ").startswith(_FORMULA) else shown


def html_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as HTML, every cell as text in one line: no markup, no control or direction signs.

    Examples
    --------
    >>> html_table("a & b", ["Name"], [["<b>"]])
    '<p><b>a &amp; b</b></p><table><tr><th>Name</th></tr><tr><td>&lt;b&gt;</td></tr></table>'
    """
    head = f"<p><b>{html_text(caption)}</b></p>" if caption else ""
    return f"{head}<table>{_row('th', heads)}{''.join(_row('td', row) for row in rows)}</table>"


def html_text(text: object) -> str:
    """A text as it stands in HTML."""
    from html import escape

    return escape(_one_line(text))


def _one_line(text: object) -> str:
    return printable(re.sub(r"[\r\n]+", " ", str(text)))


def _row(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html_text(cell)}</{tag}>' for cell in cells)}</tr>"

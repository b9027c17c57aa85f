"""Text in a picture: names made harmless, measured without a drawing library, cut and wrapped to a width.

Widths are those of DejaVu Sans, the font that matplotlib brings along, in hundredths of the font's size.
"""

import unicodedata

ELLIPSIS = "…"
_LONGEST = 400  # characters of one text that are looked at

_REGULAR = (
    "32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 53 "
    "100 68 69 70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 61 73 68 99 69 61 69 39 34 39 84 50 "
    "50 61 63 55 63 62 35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 64 84"
)
_BOLD = (
    "35 46 52 84 70 100 87 31 46 46 52 84 38 42 38 37 70 70 70 70 70 70 70 70 70 70 40 40 84 84 84 58 "
    "100 77 76 73 83 68 68 82 84 37 37 77 64 100 84 85 73 85 77 72 68 81 77 110 77 72 73 46 37 46 84 50 "
    "50 67 72 59 72 68 44 72 71 34 34 67 34 104 71 69 72 72 49 60 48 71 65 92 65 65 58 71 37 71 84"
)
_WIDTHS = tuple({chr(32 + place): int(width) for place, width in enumerate(row.split())} for row in (_REGULAR, _BOLD))
_OTHER = {"·": 38, "–": 50, ELLIPSIS: 100, "→": 84, "×": 84, "\ufffd": 111}


def clean(text: str) -> str:
    """The text without control, format, private and unassigned characters; tabs and line ends are spaces.

    Examples
    --------
    >>> clean("web\\x1b[31m\\n-1")
    'web[31m -1'
    """
    spaced = " ".join(text[:_LONGEST].split())
    return "".join(character for character in spaced if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def width(text: str, size: float, bold: bool = False) -> float:
    """How wide a text is at a font size, in the unit of the size."""
    table = _WIDTHS[bold]
    return sum(table[character] if character in table else _wide(character) for character in text) * size / 100


def _wide(character: str) -> int:
    if character in _OTHER:
        return _OTHER[character]
    if unicodedata.combining(character):
        return 0
    return 111 if unicodedata.east_asian_width(character) in ("W", "F", "A") or ord(character) > 0x2FF else 84


def cut(text: str, room: float, size: float, bold: bool = False) -> str:
    """The text made harmless and, where it is wider than the room, cut short with an ellipsis.

    Examples
    --------
    >>> cut("a-rather-long-name", 50, 10)
    'a-rathe…'
    """
    text = clean(text)
    if width(text, size, bold) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle] + ELLIPSIS, size, bold) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + ELLIPSIS


def wrap(text: str, room: float, size: float, lines: int) -> list[str]:
    """The text on at most so many lines, broken at spaces, the last one cut if it is too long."""
    words = clean(text).split(" ")
    done: list[str] = []
    while words and len(done) < lines - 1:
        line = words.pop(0)
        while words and width(f"{line} {words[0]}", size) <= room:
            line += f" {words.pop(0)}"
        done.append(cut(line, room, size))
    if words:
        done.append(cut(" ".join(words), room, size))
    return [line for line in done if line]

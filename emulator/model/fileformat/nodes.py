"""YAML text to plain values that know their lines, by the rules of YAML 1.2 and nothing beyond a topology's needs.

PyYAML gives the events (some 500,000 a second, a fifth of what its node tree takes); its own reading of scalars is
YAML 1.1, where ``22:22`` is 1342 and ``yes`` is true, so scalars are read here by YAML 1.2's core schema (§10.3.2).
Anchors, aliases, tags, merge keys and duplicate keys are troubles: five lines of anchors can stand for 123,456 nodes,
and a key written twice hides a rule.  Nothing recurses, and depth, size and number of values are bounded, so no text
can cost more than it is long.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from emulator.errors import TopologyError

MAX_BYTES = 64_000_000
MAX_VALUES = 5_000_000
MAX_DEPTH = 20
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep; no field of a topology goes so deep"
MAX_DIGITS = 40  # a longer number stays text; no field takes one

Path = tuple[str | int, ...]
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML does not print, and the line breaks of YAML 1.1 that editors do not count.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_TAB = re.compile(r"^ *\t[ \t]*[^ \t\r\n#]", re.MULTILINE)
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class Fields(dict[str, Any]):
    """A mapping that knows the line of each key, from 1."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class Items(list[Any]):
    """A list that knows the line of each item, from 1."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


class Trouble(NamedTuple):
    """Something wrong in a file: its line, the path of keys and indices to it, what is wrong and the way out."""

    line: int
    path: Path
    text: str


@dataclass
class Document:
    """The plain values of one file; ``name`` is what stands before the colon in messages."""

    name: str
    value: Any = None
    troubles: list[Trouble] = field(default_factory=list)

    def line(self, *path: str | int) -> int:
        """The line of the deepest part of a path that is there."""
        value, line = self.value, 1
        for step in path:
            if isinstance(value, Fields) and step in value:
                line = value.lines[str(step)]
            elif isinstance(value, Items) and isinstance(step, int) and step < len(value):
                line = value.lines[step]
            else:
                continue
            value = value[step]
        return line

    def place(self, *path: str | int) -> str:
        """``file:line`` of a path."""
        return f"{self.name}:{self.line(*path)}"


def read(text: str, name: str) -> Document:
    """The one document of a YAML text.

    Troubles that leave the rest readable (a key written twice, a missing value) are noted in the document.

    Raises
    ------
    TopologyError : not YAML, empty, more than one document, or out of bounds.

    Examples
    --------
    >>> document = read("ports:\\n  - 22:22\\n  - 0o17\\n  - yes", "web.yaml")
    >>> document.value, document.place("ports", 1)
    ({'ports': ['22:22', 15, 'yes']}, 'web.yaml:3')
    """
    text = text.removeprefix("\ufeff")
    _check_characters(text, name)
    reader = _Reader(Document(name))
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        raise TopologyError(_syntax(error, text, name)) from None
    except yaml.YAMLError as error:
        raise TopologyError(f"{name}: this is not YAML ({' '.join(str(error).split())}); correct it") from None
    if reader.document.value is None:
        raise TopologyError(f"{name}: the file is empty; start it with `topology: a name` and `vpcs:`")
    return reader.document


def scalar(text: str) -> Any:
    """The value of a plain scalar by YAML 1.2's core schema: null, true, a number or text.

    Examples
    --------
    >>> scalar("0x1F"), scalar("1e3"), scalar("no"), scalar("00:11:22:33:44:55"), scalar("~")
    (31, 1000.0, 'no', '00:11:22:33:44:55', None)
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text) > MAX_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".I", "i").replace(".N", "n"))
    return text


def unprintable(text: str) -> bool:
    """Whether a text has characters that no value of a topology file may have, line breaks and tabs among them."""
    return bool(_CONTROL.search(text)) or "\n" in text or "\t" in text or "\r" in text


def _check_characters(text: str, name: str) -> None:
    if len(text) > MAX_BYTES:
        raise TopologyError(f"{name}: the file has more than {MAX_BYTES // 10**6} MB; split the network into several files")
    found = _CONTROL.search(text)
    if found is not None:
        line = text.count("\n", 0, found.start()) + 1
        raise TopologyError(f"{name}:{line}: the character U+{ord(found.group()):04X} is not text; take it out")
    found = _TAB.search(text)
    if found is not None:
        line = text.count("\n", 0, found.start()) + 1
        raise TopologyError(f"{name}:{line}: a tab indents this line; indent with spaces")


def _syntax(error: yaml.MarkedYAMLError, text: str, name: str) -> str:
    mark = error.problem_mark or error.context_mark
    number = mark.line if mark is not None else 0
    if "nesting depth" in str(error.problem):  # libyaml reads ahead, and has a bound of its own
        return f"{name}:{number + 1}: {_TOO_DEEP}"
    lines = text.splitlines()
    line = lines[number] if number < len(lines) else ""
    opened = f", in what line {error.context_mark.line + 1} opens" if error.context_mark and error.context_mark.line != number else ""
    way_out = "check its brackets, quotes, colons and indentation"
    if "::" in line:
        way_out = 'put IPv6 addresses and blocks in quotes, such as "::/0"'
    elif "\t" in line:
        way_out = "indent with spaces, not tabs"
    elif re.search(r":\s+[^\s\"'{\[].*:\s", line):
        way_out = "put a text with a colon in quotes"
    return f"{name}:{number + 1}: this is not YAML ({error.problem}{opened}); {way_out}"


def _line(event: Any) -> int:
    """The line that an event starts in, from 1."""
    return int(event.start_mark.line) + 1


class _Frame:
    """An open mapping or list; ``key`` is the mapping's key whose value comes next."""

    __slots__ = ("container", "has_key", "key", "line")

    def __init__(self, container: Fields | Items) -> None:
        self.container = container
        self.has_key = False
        self.key: str | None = None  # None after a key that cannot be taken: its value is read over
        self.line = 0


class _Reader:
    """Takes events one by one and builds the document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: list[_Frame] = []
        self.values = 0
        self.documents = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.open.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._trouble(event, f"aliases such as *{event.anchor} are not taken here; write the thing out again")
            self._put(None, event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                line = _line(event)
                raise TopologyError(f"{self.document.name}:{line}: a second document starts here; save each topology in a file of its own")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._check(event)
        text: str = event.value
        # The file's own characters are checked; escapes and empty lines bring others.
        if (not event.implicit[0] or "\n" in text) and unprintable(text):
            self._trouble(event, "this text has a line break or another control character in it; write it on one line")
        frame = self.open[-1] if self.open else None
        if frame is not None and isinstance(frame.container, Fields) and not frame.has_key:
            self._key(frame, text, event)
            return
        plain = event.implicit[0] and event.tag is None
        value = scalar(text) if plain else text
        if value is None and frame is not None:
            self._missing(frame, event)
        self._put(value, event)

    def _missing(self, frame: _Frame, event: yaml.ScalarEvent) -> None:
        if isinstance(frame.container, Items):
            self._trouble(event, "an item of this list has no value; write one, or take the item out")
        elif frame.key is not None:
            self._trouble(event, f"`{frame.key}` has no value; write one ([] is an empty list, {{}} an empty mapping), or leave it out")

    def _key(self, frame: _Frame, text: str, event: yaml.ScalarEvent) -> None:
        frame.has_key, frame.key, frame.line = True, text, _line(event)
        if text == "<<" and event.implicit[0]:
            frame.key = None
            self._trouble(event, "merge keys (<<) are not taken here; write the fields out again")
        elif text in frame.container:
            assert isinstance(frame.container, Fields)
            frame.key = None
            self._trouble(event, f"`{text}` stands here twice, first in line {frame.container.lines[text]}; keep one of them")

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        self._check(event)
        frame = self.open[-1] if self.open else None
        if frame is not None and isinstance(frame.container, Fields) and not frame.has_key:
            line = _line(event)
            raise TopologyError(f"{self.document.name}:{line}: a list or mapping stands where a name must; write the name as text")
        if len(self.open) >= MAX_DEPTH:
            raise TopologyError(f"{self.document.name}:{_line(event)}: {_TOO_DEEP}")
        container = Fields() if isinstance(event, yaml.MappingStartEvent) else Items()
        self._put(container, event)
        self.open.append(_Frame(container))

    def _check(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self.values += 1
        if self.values > MAX_VALUES:
            raise TopologyError(f"{self.document.name}: more than {MAX_VALUES:,} values; split the network into several files")
        if event.anchor is not None:
            # Nothing behind it can be trusted to be small, so this is the only trouble told.
            text = f"anchors such as &{event.anchor} are not taken here; write the thing out where it is needed"
            raise TopologyError(f"{self.document.name}:{_line(event)}: {text}")
        if event.tag is not None:
            self._trouble(event, f"tags such as {event.tag.replace('tag:yaml.org,2002:', '!!')} are not taken here; leave it out")

    def _put(self, value: Any, event: Any) -> None:
        """Put a value where it belongs: under the open key, at the end of the open list, or as the whole document."""
        if not self.open:
            self.document.value = value
            return
        frame = self.open[-1]
        container = frame.container
        if isinstance(container, Items):
            container.append(value)
            container.lines.append(_line(event))
        elif not frame.has_key:  # an alias for a key
            frame.has_key, frame.key = True, None
        else:
            if frame.key is not None:
                container[frame.key] = value
                container.lines[frame.key] = frame.line
            frame.has_key = False

    def _trouble(self, event: Any, text: str) -> None:
        path: list[str | int] = []
        for frame in self.open[:-1]:
            step = len(frame.container) - 1 if isinstance(frame.container, Items) else frame.key
            path.extend([] if step is None else [step])
        line = _line(event)
        if self.open:
            last = self.open[-1]
            if isinstance(last.container, Items):
                path.append(len(last.container))
            elif last.has_key and last.line:
                line = last.line  # an empty value has the place of what comes next, which may be lines below its key
        self.document.troubles.append(Trouble(line, tuple(path), text))

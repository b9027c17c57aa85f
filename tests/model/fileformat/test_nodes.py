"""YAML text to plain values: YAML 1.2's scalars, lines, and what is refused."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import TopologyError
from emulator.model.fileformat import nodes
from emulator.model.fileformat.nodes import MAX_DEPTH, read, scalar


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request, monkeypatch):
    """Both of PyYAML's scanners: the one in C, and the one that is always there."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(nodes, "_LOADER", getattr(yaml, request.param))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("22:22", "22:22", id="a pair of ports is text, not sixty times sixty"),
        pytest.param("00:11:22:33:44:55", "00:11:22:33:44:55", id="a MAC of digits is text"),
        pytest.param("yes", "yes", id="yes is text"),
        pytest.param("Off", "Off", id="off is text"),
        pytest.param("2001-12-14", "2001-12-14", id="a date is text"),
        pytest.param("10.0.1.10", "10.0.1.10", id="an address is text"),
        pytest.param("1_000", "1_000", id="a number with an underscore is text"),
        pytest.param("True", True, id="True is true"),
        pytest.param("0o17", 15, id="0o17 is octal"),
        pytest.param("017", 17, id="a leading zero is decimal"),
        pytest.param("0xfF", 255, id="0xfF is hexadecimal"),
        pytest.param("-1", -1, id="a sign"),
        pytest.param("1.5", 1.5, id="a fraction"),
        pytest.param("1e3", 1000.0, id="an exponent needs no sign"),
        pytest.param("-.INF", float("-inf"), id="infinity"),
        pytest.param("+", "+", id="a lone sign is text"),
        pytest.param("9" * 5000, "9" * 5000, id="a number too long for any field stays text"),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text, value):
    """A plain scalar has the value of YAML 1.2's core schema."""
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_quoted_scalars_are_text(loader):
    """Quotes keep a text from being read as anything else."""
    assert read("a: '22'\nb: \"true\"\nc: ''\nd: '~'", "f").value == {"a": "22", "b": "true", "c": "", "d": "~"}


def test_keys_are_text(loader):
    """A name is what stands there, also where it looks like a number or nothing."""
    assert list(read("{10: a, yes: b, null: c, 0x1: d}", "f").value) == ["10", "yes", "null", "0x1"]


def test_lines_are_those_of_the_file(loader):
    """Keys and items know the line they start in, also across comments, CRLF and a byte order mark."""
    document = read("\ufeff# one\r\na:\r\n  - x\r\n\r\n  - {b: 1,\r\n     c: 2}\r\n", "f")
    assert [document.line(*path) for path in (("a",), ("a", 0), ("a", 1), ("a", 1, "c"), ("a", 9), ("z",))] == [2, 3, 5, 6, 2, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", "f:3: `a` stands here twice, first in line 1; keep one of them", id="a key twice"),
        pytest.param("a: !!str 1", "f:1: tags such as !!str are not taken here; leave it out", id="a tag"),
        pytest.param(
            "a: !!python/object/apply:os.system [ls]", "f:1: tags such as !!python/object/apply:os.system are not taken", id="code"
        ),
        pytest.param("a: {<<: {b: 1}}", "f:1: a: merge keys (<<) are not taken here; write the fields out again", id="a merge key"),
        pytest.param("a:\n  b:\n\n\nc: 1", "f:2: a: `b` has no value; write one ([] is an empty list", id="a key without a value"),
        pytest.param(
            "a: [~]", "f:1: a 1: an item of this list has no value; write one, or take the item out", id="an item without a value"
        ),
        pytest.param('a: "x\\ny"', "f:1: this text has a line break or another control character in it", id="an escaped line break"),
        pytest.param('a: "x\\e[31m"', "f:1: this text has a line break or another control character in it", id="a terminal's escape"),
        pytest.param("a: |\n  x\n  y\n", "f:1: this text has a line break or another control character in it", id="a block of lines"),
    ],
)
def test_troubles_that_leave_the_rest_readable_are_noted(loader, text, said):
    """What YAML allows and a topology does not is noted with its line and a way out."""
    from emulator.model.fileformat.complaints import told

    document = read(text, "f")
    assert [told(document, trouble)[: len(said)] for trouble in document.troubles] == [said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "f: the file is empty; start it with `topology: a name` and `vpcs:`", id="nothing"),
        pytest.param("# only words\n---\n", "f: the file is empty", id="comments only"),
        pytest.param(
            "a: 1\n---\nb: 2\n", "f:2: a second document starts here; save each topology in a file of its own", id="two documents"
        ),
        pytest.param("a:\n\tb: 1\n", "f:2: a tab indents this line; indent with spaces", id="a tab"),
        pytest.param("a: 1\nb: x\0y", "f:2: the character U+0000 is not text; take it out", id="a NUL"),
        pytest.param("a: \x1b[31m", "f:1: the character U+001B is not text; take it out", id="a control character"),
        pytest.param("a: \ud800", "f:1: the character U+D800 is not text; take it out", id="half a character"),
        pytest.param("? [a]\n: b", "f:1: a list or mapping stands where a name must; write the name as text", id="a list for a key"),
        pytest.param("a: {source: ::/0}", "f:1: this is not YAML", id="IPv6 without quotes in braces"),
        pytest.param("a: [b", "f:", id="an open bracket"),
        pytest.param("a: 'b\n\n", "f:", id="an open quote"),
        pytest.param("a: b: c", "f:1: this is not YAML", id="two colons"),
        pytest.param("a: &x 1", "f:1: anchors such as &x are not taken here; write the thing out where it is needed", id="an anchor"),
        pytest.param(
            "a: &x [1]", "f:1: anchors such as &x are not taken here; write the thing out where it is needed", id="an anchored list"
        ),
        pytest.param("a: *x", "", id="an alias of nothing"),
        pytest.param("[" * 100_000, f"f:1: nested more than {MAX_DEPTH} deep", id="a nesting bomb in brackets"),
        pytest.param("{a: " * 100_000, f"f:1: nested more than {MAX_DEPTH} deep", id="a nesting bomb in braces"),
        pytest.param("- " * 100_000, f"f:1: nested more than {MAX_DEPTH} deep", id="a nesting bomb in dashes"),
        pytest.param("%YAML 3.0\n---\na: 1", "f:", id="another YAML"),
    ],
)
def test_what_is_no_document_is_refused_in_one_line(loader, text, said):
    """A text that cannot be read at all gives one line with the place and the way out."""
    if not said:
        assert "aliases such as *x" in read(text, "f").troubles[0].text
        return
    with pytest.raises(TopologyError) as caught:
        read(text, "f")
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(said)
    assert ";" in str(caught.value)


def test_the_way_out_of_ipv6_without_quotes_is_named():
    """`::/0` in braces is the likeliest mistake of all, so its line says what to do."""
    with pytest.raises(TopologyError, match='put IPv6 addresses and blocks in quotes, such as "::/0"'):
        read("rules:\n  - {type: HTTPS, source: ::/0}\n", "f")


def test_aliases_cannot_multiply():
    """Lines of anchors that would stand for a thousand million nodes are refused at the first of them."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    with pytest.raises(TopologyError, match=r"^f:1: anchors such as &a0") as caught:
        read(bomb, "f")
    assert len(caught.value.problems) == 1


@given(st.text(max_size=200) | st.text(alphabet="ab:-[]{}, \n\t'\"#&*!|>?%@`~<.0", max_size=60))
def test_no_text_does_worse_than_a_topology_error(text):
    """Whatever stands in a file, reading it gives values or lines for a person."""
    told = refused(text)
    assert all(line.startswith("f:") and line.isprintable() for line in told)


def refused(text):
    """The lines that a text is refused with, none if it is not."""
    try:
        assert read(text, "f").value is not None
    except TopologyError as error:
        return error.problems
    return ()

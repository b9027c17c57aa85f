"""Rule coverage: how many packets each rule decided, and the rules that nothing met.

Of few rules each has a row with a bar; of many, each group has a row that is shared out between rules that were hit
and rules that never were, those with the most unused rules first.
"""

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING, NamedTuple

from emulator.model.groups import AclRule, Direction, NetworkAcl
from emulator.model.topology import Topology
from emulator.observe.coverage import Coverage, RuleHits, peer_name
from emulator.views.figure import ACCEPT, DROP, PARTIAL, Pen, pen_on
from emulator.views.shapes import Mark, Rect, Text
from emulator.views.sheet import MARGIN
from emulator.views.text import cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emulator.replay import Replay

RULES, OWNERS = 45, 45  # rows at most
WIDE, HEAD, ROW, FOOT = 760.0, 64.0, 17.0, 38.0
LABEL, BAR, NUMBER = 300.0, 310.0, 84.0  # widths of the columns
NEVER, HATCH = "#FFF3DC", "////"


class Row(NamedTuple):
    """A heading (no ``bar``), a rule (``bar`` is the length of its bar, 0 to 1) or a group (the share of its rules that were hit)."""

    label: str
    note: str
    bar: float | None = None
    denies: bool = False
    is_share: bool = False


class CoverageBars:
    """The rule coverage of a replay laid out; ``size`` in points."""

    def __init__(self, replay: "Replay", title: str = "") -> None:
        self.title = title or f"{replay.topology.name}: rules that {replay.run.title} met"
        found = replay.coverage
        rules, hit = sum(len(owner.rules) for owner in found), sum(owner.hit for owner in found)
        self.said = f"{hit:,} of {rules:,} rules were hit, {rules - hit:,} never"
        if rules <= RULES:
            self.rows = _rules(replay.topology, found)
            self.said += "  –  bars of packets on a logarithmic scale"
        else:
            self.rows = _owners(found)
            self.said += "  –  a bar shares out the rules of a group"
        self.size = WIDE, HEAD + ROW * len(self.rows) + FOOT

    def paint(self, ax: "Axes", every_glyph: bool = False) -> "Axes":
        """Draw everything on an axis, and give it back."""
        pen = pen_on(ax, *self.size, every_glyph=every_glyph)
        pen.text(Text(MARGIN, 26, cut(self.title, WIDE - 2 * MARGIN, 14, True), 14, "ink", True), 5)
        pen.text(Text(MARGIN, 43, self.said, 8.6, "quiet"), 5)
        for place, row in enumerate(self.rows):
            self._row(pen, HEAD + ROW * place, row)
        self._legend(pen, self.size[1] - 14)
        return ax

    def _row(self, pen: Pen, y: float, row: Row) -> None:
        if row.bar is None:
            pen.text(Text(MARGIN, y + 12, cut(row.label, LABEL, 9, True), 9, "ink", True), 5)
            pen.text(Text(MARGIN + LABEL + 8, y + 12, cut(row.note, BAR + NUMBER, 8), 8, "quiet"), 5)
            return
        x, high = MARGIN + LABEL + 8, ROW - 6
        pen.text(Text(MARGIN + 12, y + 11.5, cut(row.label, LABEL - 16, 8.2), 8.2, "ink"), 5)
        if row.is_share or not row.bar:
            pen.plain(Rect(x, y + 3, BAR, high), NEVER, PARTIAL, HATCH, 2)
        if row.bar:
            pen.plain(Rect(x, y + 3, BAR * row.bar, high), DROP if row.denies else ACCEPT, "white", "xxx" if row.denies else "", 3)
        if row.denies and row.bar:
            pen.mark(Mark("cross", x + BAR * row.bar + 8, y + 3 + high / 2, 4.6), DROP)
        role, bold = ("partial", True) if not row.bar else ("ink", False)
        pen.text(Text(WIDE - MARGIN, y + 11.5, row.note, 8.2, role, bold, "end"), 5)

    def _legend(self, pen: Pen, y: float) -> None:
        kinds = [(ACCEPT, "white", "", "hit"), (NEVER, PARTIAL, HATCH, "never hit")]
        if any(row.denies and row.bar for row in self.rows):
            kinds.insert(1, (DROP, "white", "xxx", "hit, and denies"))
        for place, (face, edge, hatch, word) in enumerate(kinds):
            pen.plain(Rect(MARGIN + 110 * place, y - 9, 22, 11), face, edge, hatch)
            pen.text(Text(MARGIN + 110 * place + 28, y, word, 8.2, "quiet"), 5)


def _rules(topology: Topology, found: Sequence[Coverage]) -> list[Row]:
    most = max([rule.packets for owner in found for rule in owner.rules] or [0])
    rows = []
    for owner in found:
        rows.append(Row(owner.owner.name, _kind(owner)))
        for rule in owner.rules:
            length = log10(1 + rule.packets) / log10(1 + most) if rule.packets else 0.0
            rows.append(Row(_told(topology, rule), _packets(rule.packets), length, _denies(rule)))
    return rows


def _owners(found: Sequence[Coverage]) -> list[Row]:
    ranked = sorted((owner for owner in found if owner.rules), key=lambda owner: owner.hit - len(owner.rules))
    shown, rest = ranked[:OWNERS], ranked[OWNERS:]
    rows = [_share(f"{owner.owner.name}  ({_kind(owner)})", [owner]) for owner in shown]
    return [*rows, _share(f"{len(rest):,} more groups and network ACLs", rest)] if rest else rows


def _share(label: str, owners: Sequence[Coverage]) -> Row:
    hit, rules = sum(owner.hit for owner in owners), sum(len(owner.rules) for owner in owners)
    return Row(label, f"{hit:,} of {rules:,} hit", hit / rules, False, True)


def _kind(owner: Coverage) -> str:
    noun, of = ("network ACL", "subnet") if isinstance(owner.owner, NetworkAcl) else ("security group", "interface")
    users = f"of {owner.users:,} {of}{'' if owner.users == 1 else 's'}" if owner.users else "that nothing has"
    return f"{noun} {users}{'' if owner.rules else ', without rules'}"


def _packets(packets: int) -> str:
    return f"{packets:,} packet{'' if packets == 1 else 's'}" if packets else "never hit"


def _denies(rule: RuleHits) -> bool:
    return isinstance(rule.rule.rule, AclRule) and not rule.rule.rule.allow


def _told(topology: Topology, hits: RuleHits) -> str:
    named, rule = hits.rule, hits.rule.rule
    side = "from" if named.direction == Direction.INGRESS else "to"
    number = named.name.rpartition(" ")[2]
    deny = "deny " if _denies(hits) else ""
    return f"{named.direction.name.lower()} {number}  {deny}{named.service} {side} {peer_name(topology, rule)}"

"""What a change of a network does to recorded traffic: conversations whose verdict differs between two replays."""

from dataclasses import dataclass
from typing import Any

from emulator.errors import UsageError
from emulator.observe.flows import Flow
from emulator.replay import Replay

SCHEMA = "vpcemu.diff/1"


@dataclass(frozen=True)
class Change:
    """A conversation before and after.

    Parameters
    ----------
    let_in : the rule that decides its first packet where it passes, before or after; empty if no rule does
    """

    before: Flow
    after: Flow
    let_in: str

    @property
    def because(self) -> str:
        """What made it so: the rule that lets it pass now, or what stops it now and which rule let it pass."""
        if self.after.why is None:
            return f"{self.let_in} lets it pass" if self.let_in else "nothing stops it any more"
        return f"{self.after.why.at}: {self.after.why.text}" + (f"; {self.let_in} let it pass" if self.let_in else "")

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``diff --json`` prints it."""
        sides = {"before": self.before.to_json(), "after": self.after.to_json()}
        return {"schema": SCHEMA, **sides, "rule": self.let_in or None, "because": self.because}


def changes(before: Replay, after: Replay) -> list[Change]:
    """The conversations that another verdict meets, in the order of their first packets.

    Raises
    ------
    UsageError : the two are not replays of the same captures.
    """
    if before.run.captures != after.run.captures or before.tally.packets != after.tally.packets:
        raise UsageError(f"{before.capture} and {after.capture} are not the same traffic; replay the same captures through both")
    pairs = [(old, new) for old, new in zip(before.flows, after.flows, strict=True) if old.verdict != new.verdict]
    rules = _rules(before, {old.first_index for old, _ in pairs if old.accepted})
    rules |= _rules(after, {new.first_index for _, new in pairs if new.accepted})
    return [Change(old, new, rules.get(old.first_index, "")) for old, new in pairs]


def _rules(replay: Replay, wanted: set[int]) -> dict[int, str]:
    """The deciding rule of some packets, by index."""
    found: dict[int, str] = {}
    for packet in replay.packets if wanted else ():
        if packet.index in wanted:
            found[packet.index] = packet.rule or ""
            if len(found) == len(wanted):
                break
    return found

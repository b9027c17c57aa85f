"""Explanation: the answer to "would this pass, which rule decided, and what came nearest"."""

from dataclasses import dataclass
from typing import Any

from emulator.model.services import ICMP, ICMPV6, Service
from emulator.observe.trace import Trace
from emulator.observe.words import Why
from emulator.policy.keys import QUERY_REQUEST, query_role
from emulator.wire.headers import Field

SCHEMA = "vpcemu.explain/1"


@dataclass(frozen=True)
class Explanation:
    """One probe and its answer.

    Parameters
    ----------
    forward, back : traces of the first packet and of what came back (None if nothing was sent back)
    kind : what the far end sent: ``reply``, ``refused`` or ``none``
    """

    source: str
    destination: str
    service: Service
    source_name: str
    destination_name: str
    forward: Trace
    back: Trace | None
    kind: str

    @property
    def verdict(self) -> str:
        """What became of the first packet: ``accept`` or ``drop``."""
        return "accept" if self.forward.accepted else "drop"

    @property
    def reachable(self) -> bool:
        """Whether the packet arrived and an answer came back; a message that asks for none needs only to arrive."""
        if not self.forward.accepted:
            return False
        if self.back is not None:
            return self.back.accepted
        return self.kind == "reply" or not self._asks()

    def _asks(self) -> bool:
        header = self.forward.sent.header
        protocol = int(header[Field.PROTOCOL])
        return protocol not in (ICMP, ICMPV6) or query_role(protocol, int(header[Field.TYPE])) == QUERY_REQUEST

    @property
    def answer(self) -> str:
        """What came back to the sender: ``reply``, ``refused`` or ``none``."""
        return self.kind if self.back is None or self.back.accepted else "none"

    @property
    def why(self) -> Why | None:
        """Why it is not reachable: the reason of the first packet, or of the answer."""
        if self.reachable:
            return None
        return self.forward.why or (self.back.why if self.back else None)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``explain --json`` prints it (schema ``vpcemu.explain/1``)."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "reachable": self.reachable,
            "answer": self.answer,
            "reason": self.why.to_json() if self.why else None,
            "forward": [step.to_json() for step in self.forward.steps],
            "return": [step.to_json() for step in self.back.steps] if self.back else [],
        }

    def __str__(self) -> str:
        head = "reachable" if self.reachable else "not reachable"
        text = f"{head}: {self.source} → {self.destination} {self.service}\n{self.forward}"
        return f"{text}\n{self.back}" if self.back else text

    def _repr_html_(self) -> str:
        head = "Reachable" if self.reachable else f"Not reachable ({self.why.code if self.why else self.answer})"
        back = self.back._repr_html_() if self.back else ""
        return f"<p><b>{head}</b></p>{self.forward._repr_html_()}{back}"

"""TCP's states as a table (RFC 9293 §3.3.2, figure 5).

                              ┌────────┐  connect: send SYN
               ┌──────────────│ CLOSED │──────────────┐
         listen│              └────────┘              │
               ▼    SYN: send SYN,ACK                  ▼
          ┌────────┐────────────────┐  SYN       ┌──────────┐
          │ LISTEN │                ▼  ◄─────────│ SYN_SENT │
          └────────┘        ┌──────────────┐     └──────────┘
                            │ SYN_RECEIVED │           │ SYN,ACK: send ACK
                            └──────────────┘           │
                   ACK of SYN │          ┌─────────────┘
                              ▼          ▼
        close: send FIN   ┌───────────────┐   FIN: send ACK
        ┌─────────────────│  ESTABLISHED  │──────────────────┐
        ▼                 └───────────────┘                  ▼
   ┌────────────┐ FIN: ACK ┌─────────┐                ┌────────────┐
   │ FIN_WAIT_1 │─────────►│ CLOSING │                │ CLOSE_WAIT │
   └────────────┘          └─────────┘                └────────────┘
        │ ACK of FIN            │ ACK of FIN                 │ close: send FIN
        ▼                       ▼                            ▼
   ┌────────────┐ FIN: ACK ┌───────────┐              ┌────────────┐
   │ FIN_WAIT_2 │─────────►│ TIME_WAIT │              │  LAST_ACK  │
   └────────────┘          └───────────┘              └────────────┘
                                │ 2 MSL                      │ ACK of FIN
                                ▼                            ▼
                             CLOSED                        CLOSED

A reset, an abort or the last retransmission that nobody answers leads from every state to CLOSED.
"""

from enum import Enum


class State(Enum):
    """Where a connection stands; the names are the RFC's."""

    CLOSED = "CLOSED"
    LISTEN = "LISTEN"
    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECEIVED"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"


class Event(Enum):
    """What moves a connection from one state to another."""

    CONNECT = "connect"
    LISTEN = "listen"
    SYN = "SYN"
    SYN_ACK = "SYN,ACK"
    ACK_OF_SYN = "ACK of SYN"
    CLOSE = "close"
    FIN = "FIN"
    ACK_OF_FIN = "ACK of FIN"
    TWO_MSL = "2 MSL"
    END = "reset, abort or timeout"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.CLOSED, Event.CONNECT): State.SYN_SENT,
    (State.CLOSED, Event.LISTEN): State.LISTEN,
    (State.LISTEN, Event.SYN): State.SYN_RECEIVED,
    (State.LISTEN, Event.CLOSE): State.CLOSED,
    (State.SYN_SENT, Event.SYN): State.SYN_RECEIVED,
    (State.SYN_SENT, Event.SYN_ACK): State.ESTABLISHED,
    (State.SYN_SENT, Event.CLOSE): State.CLOSED,
    (State.SYN_RECEIVED, Event.ACK_OF_SYN): State.ESTABLISHED,
    (State.SYN_RECEIVED, Event.CLOSE): State.FIN_WAIT_1,
    (State.SYN_RECEIVED, Event.FIN): State.CLOSE_WAIT,
    (State.ESTABLISHED, Event.CLOSE): State.FIN_WAIT_1,
    (State.ESTABLISHED, Event.FIN): State.CLOSE_WAIT,
    (State.FIN_WAIT_1, Event.ACK_OF_FIN): State.FIN_WAIT_2,
    (State.FIN_WAIT_1, Event.FIN): State.CLOSING,
    (State.FIN_WAIT_2, Event.FIN): State.TIME_WAIT,
    (State.CLOSING, Event.ACK_OF_FIN): State.TIME_WAIT,
    (State.CLOSE_WAIT, Event.CLOSE): State.LAST_ACK,
    (State.LAST_ACK, Event.ACK_OF_FIN): State.CLOSED,
    (State.TIME_WAIT, Event.TWO_MSL): State.CLOSED,
    **{(state, Event.END): State.CLOSED for state in State},
}

SYNCHRONIZED = frozenset(State) - {State.CLOSED, State.LISTEN, State.SYN_SENT, State.SYN_RECEIVED}
"""States in which both sides know each other's sequence numbers."""
MAY_SEND = frozenset({State.ESTABLISHED, State.CLOSE_WAIT})
"""States in which the user may still write."""
MAY_RECEIVE = frozenset({State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2})
"""States in which data may still come in."""
CLOSE_SENT = frozenset({State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK})
"""States in which a FIN of ours waits for its acknowledgement."""


def after(state: State, event: Event) -> State:
    """The state that follows; an event that means nothing in a state leaves it.

    Examples
    --------
    >>> after(State.ESTABLISHED, Event.FIN).value
    'CLOSE-WAIT'
    """
    return TRANSITIONS.get((state, event), state)

"""How long TCP waits for an acknowledgement (RFC 6298).

    first sample R      SRTT = R                 RTTVAR = R / 2
    each later one      RTTVAR = ¾ RTTVAR + ¼ |SRTT − R|      SRTT = ⅞ SRTT + ⅛ R
    always              RTO = SRTT + max(1 ms, 4 RTTVAR), between 200 ms and 120 s
    not acknowledged    RTO doubles (back-off) until a new sample
    before any sample   1 s; 3 s once the SYN itself was sent again (§5.7)

A segment that was sent twice gives no sample (Karn's rule, §3).  The lower bound is Linux's; the RFC would have 1 s,
and says that less may do.
"""

FIRST_NS = 1_000_000_000
AFTER_SYN_LOSS_NS = 3_000_000_000
LEAST_NS, MOST_NS = 200_000_000, 120_000_000_000
_GRANULARITY_NS = 1_000_000


class RetransmissionTimer:
    """The smoothed round trip of one connection, and the timeout that follows from it, in ns."""

    def __init__(self) -> None:
        self.smoothed_ns: int | None = None
        self.variation_ns = 0
        self.timeout_ns = FIRST_NS

    def sample(self, round_trip_ns: int) -> None:
        """Take a measured round trip."""
        if self.smoothed_ns is None:
            self.smoothed_ns, self.variation_ns = round_trip_ns, round_trip_ns // 2
        else:
            self.variation_ns = (3 * self.variation_ns + abs(self.smoothed_ns - round_trip_ns)) // 4
            self.smoothed_ns = (7 * self.smoothed_ns + round_trip_ns) // 8
        self.timeout_ns = min(max(self.smoothed_ns + max(_GRANULARITY_NS, 4 * self.variation_ns), LEAST_NS), MOST_NS)

    def back_off(self) -> None:
        """Wait twice as long for the next one."""
        self.timeout_ns = min(2 * self.timeout_ns, MOST_NS)

    def established(self, syn_was_lost: bool) -> None:
        """The handshake is done; without a sample begin anew."""
        if self.smoothed_ns is None:
            self.timeout_ns = AFTER_SYN_LOSS_NS if syn_was_lost else FIRST_NS

"""How much TCP puts on the way at once: NewReno (RFC 5681, RFC 6582).

slow start            window < threshold: each acknowledgement adds a segment
congestion avoidance  above it: each round trip adds a segment
third duplicate       threshold = half of what is out; the lost segment goes again; recovery begins
in recovery           a duplicate adds a segment; a partial acknowledgement sends the next hole; a full one ends it
timeout               window = one segment, threshold = half of what was out
"""

from emulator.hosts.tcp_segment import distance

INITIAL_SEGMENTS = 10  # RFC 6928
DUPLICATES = 3


class Congestion:
    """The congestion window of one direction, in bytes."""

    def __init__(self, mss: int) -> None:
        self.mss = mss
        self.window = INITIAL_SEGMENTS * mss
        self.threshold = 1 << 30
        self.duplicates = 0
        self.recover: int | None = None

    @property
    def recovering(self) -> bool:
        """Whether a loss is being repaired without waiting for the timer."""
        return self.recover is not None

    def acknowledged(self, size: int, una: int) -> bool:
        """New data was acknowledged up to ``una``; True if the next hole has to be sent again."""
        self.duplicates = 0
        if self.recover is not None:
            if distance(una, self.recover) >= 0:
                self.window, self.recover = max(self.threshold, 2 * self.mss), None
                return False
            self.window = max(self.window - size, 0) + self.mss
            return True
        if self.window < self.threshold:
            self.window += min(size, self.mss)
        else:
            self.window += max(self.mss * self.mss // self.window, 1)
        return False

    def duplicate(self, out: int, highest: int, una: int, last_recover: int | None) -> bool:
        """An acknowledgement came a second time; True if the segment at ``una`` has to be sent again.

        ``last_recover`` is how far an earlier loss had been out: what is acknowledged below it is the same loss.
        """
        self.duplicates += 1
        if self.recover is not None:
            self.window += self.mss
            return False
        if self.duplicates != DUPLICATES or (last_recover is not None and distance(una, last_recover) < 0):
            return False
        self.threshold = max(out // 2, 2 * self.mss)
        self.window = self.threshold + DUPLICATES * self.mss
        self.recover = highest
        return True

    def timed_out(self, out: int) -> None:
        """The timer ran out."""
        self.threshold = max(out // 2, 2 * self.mss)
        self.window, self.duplicates, self.recover = self.mss, 0, None

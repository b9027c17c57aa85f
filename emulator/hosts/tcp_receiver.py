"""What TCP has received: put in order, handed on once, and the window that is left (RFC 9293 §3.8.6)."""

from emulator.hosts.tcp_segment import advanced, distance


class Receiver:
    """The receiving side's stream.

    Parameters
    ----------
    initial : the other side's first sequence number (of its SYN)
    capacity : bytes that may wait for the user or for a hole to be filled
    """

    def __init__(self, initial: int, capacity: int) -> None:
        self.next = advanced(initial, 1)
        self.capacity = capacity
        self.unread = bytearray()
        self.fin_at: int | None = None
        self.early: dict[int, bytes] = {}  # out of order, by sequence number
        self._early_bytes = 0

    @property
    def window(self) -> int:
        """Bytes that may still come."""
        return max(self.capacity - len(self.unread), 0)

    @property
    def has_hole(self) -> bool:
        """Whether something came that what is missing keeps back."""
        return bool(self.early)

    @property
    def ended(self) -> bool:
        """Whether everything up to the other side's FIN has come."""
        return self.fin_at is not None and distance(self.next, self.fin_at) > 0

    def acceptable(self, sequence: int, length: int) -> bool:
        """Whether any of a segment lies in the window (RFC 9293 §3.4, table 6)."""
        first = distance(sequence, self.next)
        if length == 0:
            return first == 0 or 0 <= first < self.window
        last = first + length - 1
        return self.window > 0 and (0 <= first < self.window or 0 <= last < self.window or (first < 0 <= last))

    def take(self, sequence: int, data: bytes, fin: bool) -> None:
        """Keep a segment's data, what lies outside the window cut off."""
        if fin and self.fin_at is None:
            self.fin_at = advanced(sequence, len(data))
        skip = -distance(sequence, self.next)
        if skip > 0:
            data, sequence = data[skip:], self.next
        room = self.window - distance(sequence, self.next)
        if len(data) > room:
            data = data[: max(room, 0)]
        if data:
            self._keep(sequence, data)
        self._join()

    def _keep(self, sequence: int, data: bytes) -> None:
        known = self.early.get(sequence)
        if known is None or len(known) < len(data):
            if self._early_bytes + len(data) > 2 * self.capacity:  # overlapping copies must not fill the memory
                return
            self._early_bytes += len(data) - len(known or b"")
            self.early[sequence] = data

    def _join(self) -> None:
        """Move on over everything that now lies in order."""
        while self.early:
            data = self.early.pop(self.next, None)
            if data is None:
                start = next((at for at in self.early if distance(at, self.next) < 0), None)
                if start is None:
                    break
                data = self.early.pop(start)
                self._early_bytes -= len(data)
                data = data[-distance(start, self.next) :]
            else:
                self._early_bytes -= len(data)
            self.unread += data
            self.next = advanced(self.next, len(data))
        if self.fin_at is not None and self.next == self.fin_at:
            self.next = advanced(self.next, 1)

    def read(self, most: int | None = None) -> bytes:
        """What has come in order, at most so many bytes."""
        count = len(self.unread) if most is None else most
        data = bytes(self.unread[:count])
        del self.unread[:count]
        return data

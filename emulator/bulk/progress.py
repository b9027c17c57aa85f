"""A bar on a terminal: how much of the captures is read, and how long the rest will take."""

from emulator.bulk.windows import Reader

_WARMING = 2  # windows in which kernels are compiled or loaded
_ROWS = 20  # a terminal may say 0, as in a container, and has room for a bar all the same


class Progress:
    """Shows how far a reader has come; without a terminal, nothing.

    What the first windows take says nothing about the others, so the time left is told from those that follow.
    """

    def __init__(self, reader: Reader) -> None:
        from tqdm import tqdm

        self._reader, self._windows = reader, 0
        self._bar = tqdm(total=reader.size or None, unit="B", unit_scale=True, desc="replay", disable=None, leave=False, nrows=_ROWS)

    def after_window(self) -> None:
        """Show that a window more was read and run."""
        bar, position = self._bar, self._reader.position
        self._windows += 1
        if self._windows > _WARMING:
            bar.update(position - bar.n)
        elif not bar.disable:
            bar.n = bar.initial = bar.last_print_n = position
            bar.unpause()
            bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

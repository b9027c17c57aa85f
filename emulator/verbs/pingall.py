"""pingall: everybody pings everybody, all at once; the matrix as Mininet writes it."""

from dataclasses import dataclass

from emulator.verbs.ping import PingResult


@dataclass(frozen=True)
class PingAll:
    """Who reaches whom: results by (source, target), both by name."""

    names: tuple[str, ...]
    results: dict[tuple[str, str], PingResult]

    def __getitem__(self, pair: tuple[str, str]) -> bool:
        return self.results[pair].reachable

    @property
    def reached(self) -> int:
        """Pairs that work."""
        return sum(result.reachable for result in self.results.values())

    def __bool__(self) -> bool:
        return self.reached == len(self.results)

    def __str__(self) -> str:
        lines = ["*** Ping: testing ping reachability"]
        for source in self.names:
            targets = [target for target in self.names if (source, target) in self.results]
            lines.append(f"{source} -> " + " ".join(target if self[source, target] else "X" for target in targets))
        count = len(self.results)
        share = 100 * (count - self.reached) / count if count else 0
        return "\n".join([*lines, f"*** Results: {share:.0f}% dropped ({self.reached}/{count} received)"])

    __repr__ = __str__

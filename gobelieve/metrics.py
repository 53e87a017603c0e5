"""Counting what happens, for the status pages and the tests."""


class Tally:
    """Named counters that only grow. Reading one that never moved gives 0."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, name: str, by: int = 1) -> None:
        """Move a counter."""
        self.counts[name] = self.counts.get(name, 0) + by

    def __getitem__(self, name: str) -> int:
        return self.counts.get(name, 0)

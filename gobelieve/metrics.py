"""Counting what happens, for the status pages and the tests.

What counts only adds integers. How the figures are shown, and under which names, is up to those
who show them.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence


class Counters:
    """Named counters that only grow. Reading one that never moved gives 0."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, name: str, by: int = 1) -> None:
        """Move a counter."""
        self.counts[name] = self.counts.get(name, 0) + by

    def __getitem__(self, name: str) -> int:
        return self.counts.get(name, 0)


class GatewayCounters(Counters):
    """A gateway's: what clients were sent, too."""

    __slots__ = ("sent",)

    def __init__(self) -> None:
        super().__init__()
        self.sent = [0] * 256
        """Frames, by command."""


class Outcomes:
    """How many requests of each command came to which end."""

    __slots__ = ("done", "failed", "refused")

    def __init__(self) -> None:
        self.done: defaultdict[int, int] = defaultdict(int)
        """By command: answered with what was asked for."""
        self.failed: defaultdict[int, int] = defaultdict(int)
        """By command: storage could not do it, or not all of it."""
        self.refused: defaultdict[int, int] = defaultdict(int)
        """By command: not done here."""


class Histogram:
    """How many measured values lie up to each of some bounds, which ascend, and their sum.

    A value costs 0.2 us.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """Of the values up to each bound and above the one before; last, above all."""
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """One more value, or as many that are equal."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def __len__(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound, infinity at last, and how many values lie up to it."""
        count = 0
        for bound, more in zip((*self.bounds, float("inf")), self.counts, strict=True):
            count += more
            yield bound, count

"""Counters for the status pages and the tests.

Code that counts only adds integers. The status pages choose the names and the form in which the
figures are shown.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence


class Counters:
    """Counters with names, which only grow. A counter that never moved reads as 0."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, name: str, by: int = 1) -> None:
        """Add to the counter with this name."""
        self.counts[name] = self.counts.get(name, 0) + by

    def __getitem__(self, name: str) -> int:
        return self.counts.get(name, 0)


class GatewayCounters(Counters):
    """The counters of a gateway, with the frames that it sent to clients."""

    __slots__ = ("sent",)

    def __init__(self) -> None:
        super().__init__()
        self.sent = [0] * 256
        """The number of sent frames by command."""


class Outcomes:
    """The outcomes of requests: a count per command and outcome."""

    __slots__ = ("done", "failed", "refused")

    def __init__(self) -> None:
        self.done: defaultdict[int, int] = defaultdict(int)
        """By command: requests that were answered as asked."""
        self.failed: defaultdict[int, int] = defaultdict(int)
        """By command: requests that failed, or failed in part, in storage."""
        self.refused: defaultdict[int, int] = defaultdict(int)
        """By command: requests that this storage or port does not carry out."""


class Histogram:
    """Counts measured values per range between ascending bounds, and adds them up.

    One value costs 0.2 us.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """The number of values up to each bound and above the one before; last, those above all."""
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value; `times`: as if it came this number of times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def __len__(self) -> int:
        """Return the number of values."""
        return sum(self.counts)

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Yield each bound and the number of values up to it; the last bound is infinity."""
        count = 0
        for bound, more in zip((*self.bounds, float("inf")), self.counts, strict=True):
            count += more
            yield bound, count

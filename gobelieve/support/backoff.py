"""The delays between attempts at something that fails."""


class Backoff:
    """Delays in seconds: `first`, then each time `factor` times the delay before, up to `last`."""

    __slots__ = ("_delay", "_factor", "_first", "_last", "failures")

    def __init__(self, first: float, last: float, factor: float = 2.0) -> None:
        self._first = self._delay = first
        self._last = last
        self._factor = factor
        self.failures = 0
        """The number of delays since the start or the last `reset`."""

    def next(self) -> float:
        """Count a failure; return the delay until the next attempt."""
        self.failures += 1
        delay, self._delay = self._delay, min(self._delay * self._factor, self._last)
        return delay

    def reset(self) -> None:
        """Begin with the first delay again, since an attempt succeeded."""
        self.failures = 0
        self._delay = self._first

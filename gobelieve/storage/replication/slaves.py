"""The progress of each slave, as plain values for the status pages of its master."""


class Slave:
    """The progress of one connected slave."""

    __slots__ = ("_mark", "_marked_at", "address", "durable", "sent")

    def __init__(self, address: str) -> None:
        self.address = address
        self.sent = 0
        """The id up to which everything was sent to the slave."""
        self.durable = 0
        """The id up to which the slave reported everything to be on disk; 0 without a report."""
        self._mark = 0
        self._marked_at = 0.0

    @property
    def has(self) -> int:
        """Return the id up to which the slave has everything, as far as the master knows.

        Slaves of the Go server do not report. For them it is the id up to which all was sent.
        """
        return self.durable or self.sent

    def note(self, end: int, now: float) -> None:
        """Note that the master has everything up to `end`, or that the slave reported its end."""
        if self._mark <= self.has < end:
            self._mark, self._marked_at = end, now

    def lag_bytes(self, end: int) -> int:
        """Return the number of bytes that the slave lacks of those up to `end`."""
        return max(0, end - self.has)

    def lag_seconds(self, now: float) -> float:
        """Return for how many seconds the slave has lacked something that the master has."""
        return now - self._marked_at if self._mark > self.has else 0.0

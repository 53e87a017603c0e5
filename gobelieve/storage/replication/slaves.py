"""What a master knows of each slave, as plain values for whoever wants to show them."""


class Slave:
    """One slave that is connected."""

    __slots__ = ("_mark", "_marked_at", "address", "durable", "sent")

    def __init__(self, address: str) -> None:
        self.address = address
        self.sent = 0
        """The id up to which it was sent everything."""
        self.durable = 0
        """The id up to which it has everything on disk, as it says; 0 if it never did."""
        self._mark = 0
        self._marked_at = 0.0

    @property
    def has(self) -> int:
        """The id up to which it has everything, as far as we know: upstream's say nothing."""
        return self.durable or self.sent

    def note(self, end: int, now: float) -> None:
        """We have everything up to an id, or the slave said how far it is."""
        if self._mark <= self.has < end:
            self._mark, self._marked_at = end, now

    def lag_bytes(self, end: int) -> int:
        """How many bytes it is behind our end."""
        return max(0, end - self.has)

    def lag_seconds(self, now: float) -> float:
        """For how long it has lacked something that we have."""
        return now - self._marked_at if self._mark > self.has else 0.0

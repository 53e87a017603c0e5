"""A message under way that unit tests give to storage in place of the gateway's."""

from collections.abc import Callable

from gobelieve.interfaces import Entries


class Waiting:
    """A `gobelieve.interfaces.MessageInFlight` that passes the answer to a function."""

    def __init__(
        self, answered: Callable[[int, Entries], None] = lambda status, entries: None
    ) -> None:
        self._answered = answered

    def stored(self, status: int, entries: Entries) -> None:
        self._answered(status, entries)

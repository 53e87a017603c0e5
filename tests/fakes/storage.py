"""What unit tests hand to storage in the place of a message of the gateway."""

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

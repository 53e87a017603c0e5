"""A factory that knows its connections, and ends them in good order when the daemon stops."""

from typing import Generic, Protocol, TypeVar

from twisted.internet.protocol import Factory

from gobelieve.event_loop.waiting import called_back, called_within
from gobelieve.interfaces import Time
from gobelieve.support.when_empty import WhenEmpty


class Drainable(Protocol):
    """A connection that can be ended."""

    def finish(self) -> None:
        """Send what is owed, then end."""

    def abort(self) -> None:
        """End now."""

    def __hash__(self) -> int: ...


C = TypeVar("C", bound=Drainable)


class DrainingFactory(Factory, Generic[C]):
    """Keeps `connections`, into which a connection enters itself, and tells of its end by `left`.

    `drain_timeout`: seconds that a peer has, at the end, to take what it is owed.
    """

    noisy = False
    drain_timeout: float

    def __init__(self) -> None:
        self.connections: set[C] = set()
        self._when_empty = WhenEmpty(self.connections)

    def left(self, connection: C) -> None:
        """The connection is gone."""
        self.connections.discard(connection)
        self._when_empty.check()

    async def close(self, time: Time) -> None:
        """End all connections; a peer that does not read what it is owed is not waited for."""
        for connection in list(self.connections):
            connection.finish()
        if not await called_within(self.drain_timeout, time, self._when_empty):
            for connection in list(self.connections):
                connection.abort()
            await called_back(self._when_empty)

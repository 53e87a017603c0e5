"""A factory that knows its connections, and ends them in order when the daemon stops."""

from typing import Generic, Protocol, TypeVar

from twisted.internet.protocol import Factory

from gobelieve.event_loop.waiting import called_back, called_within
from gobelieve.interfaces import Time
from gobelieve.support.when_empty import WhenEmpty


class Drainable(Protocol):
    """A connection that can be ended."""

    def finish(self) -> None:
        """Send what the peer still waits for, then end the connection."""

    def abort(self) -> None:
        """End the connection now; what waits is lost."""

    def __hash__(self) -> int: ...


C = TypeVar("C", bound=Drainable)


class DrainingFactory(Factory, Generic[C]):
    """Keeps the set `connections`: a connection adds itself, and calls `left` when it has ended.

    `drain_timeout` is the seconds that a peer has, at the end, to read the rest.
    """

    noisy = False
    drain_timeout: float

    def __init__(self) -> None:
        self.connections: set[C] = set()
        self._when_empty = WhenEmpty(self.connections)

    def left(self, connection: C) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        self._when_empty.check()

    async def close(self, time: Time) -> None:
        """End all connections. Abort those whose peers do not read the rest in time."""
        for connection in list(self.connections):
            connection.finish()
        if not await called_within(self.drain_timeout, time, self._when_empty):
            for connection in list(self.connections):
                connection.abort()
            await called_back(self._when_empty)

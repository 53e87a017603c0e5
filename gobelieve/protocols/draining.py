"""A factory that knows its connections, and ends them in good order when the daemon stops."""

from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from gobelieve.interfaces import Time


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
        self._empty: Deferred[None] | None = None

    def left(self, connection: C) -> None:
        """The connection is gone."""
        self.connections.discard(connection)
        if not self.connections and self._empty is not None:
            empty, self._empty = self._empty, None
            empty.callback(None)

    async def close(self, time: Time) -> None:
        """End all connections; a peer that does not read what it is owed is not waited for."""
        if self.connections:
            empty: Deferred[None] = Deferred()
            self._empty = empty
            late = time.callLater(self.drain_timeout, self._abort_all)
            for connection in list(self.connections):
                connection.finish()
            await empty
            if late.active():
                late.cancel()

    def _abort_all(self) -> None:
        for connection in list(self.connections):
            connection.abort()

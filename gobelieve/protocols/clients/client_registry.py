"""Counts the connections of clients, and makes and ends their sessions."""

from collections.abc import Callable
from typing import Any

from gobelieve.gateway.sessions.session import Session
from gobelieve.gateway.sessions.timeouts import Timeouts
from gobelieve.gateway.sessions.unauthenticated_limit import UnauthenticatedLimit
from gobelieve.interfaces import Connection
from gobelieve.metrics import Counters


class ClientRegistry:
    """All connections of clients, on every transport.

    A connection exists before its session while a handshake is in progress.
    """

    def __init__(
        self,
        new_session: Callable[[Connection, int], Session],
        gone: Callable[[Session], None],
        timeouts: Timeouts,
        unauthenticated: UnauthenticatedLimit,
    ) -> None:
        self._new_session = new_session
        self._gone = gone
        self.timeouts = timeouts
        self.received = [0] * 256
        """By command: the number of frames received."""
        self._unauthenticated = unauthenticated
        self.arrivals = Counters()
        """By transport: the number of connections so far."""
        self.departures = Counters()
        """By transport: the number of connections that have ended."""

    def connected(self, connection: Connection, transport: Any, transport_name: str) -> None:
        """Count a new connection; `transport_name` is its key in the counters."""
        self.arrivals.add(transport_name)
        self._unauthenticated.entered(connection, getattr(transport.getPeer(), "host", ""))

    def disconnected(self, connection: Connection, transport_name: str) -> None:
        """Count a connection that has ended."""
        self.departures.add(transport_name)
        self._unauthenticated.left(connection)

    def ready(self, connection: Connection) -> Session:
        """Return a new session, since the client can send frames now."""
        session = self._new_session(connection, self.timeouts.tick)
        self.timeouts.add(session)
        return session

    def closed(self, session: Session) -> None:
        """End the session, since the client can send no more frames."""
        session.closed = True
        self.timeouts.remove(session)
        self._gone(session)

"""Connections of clients and their sessions, from their beginning to their end."""

from collections.abc import Callable
from typing import Any

from gobelieve.gateway.sessions.session import Session
from gobelieve.gateway.sessions.timeouts import Timeouts
from gobelieve.gateway.sessions.unauthenticated_limit import UnauthenticatedLimit
from gobelieve.interfaces import Connection
from gobelieve.metrics import Counters


class ClientRegistry:
    """Where connections and their sessions begin and end, whatever their transport.

    A connection may be there before its session: while a handshake is under way.
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
        """By command: how many frames came."""
        self._unauthenticated = unauthenticated
        self.arrivals = Counters()
        """By transport: how many connections there ever were."""
        self.departures = Counters()
        """And how many of them are gone."""

    def connected(self, connection: Connection, transport: Any, transport_name: str) -> None:
        """Somebody connected; `transport_name` names how."""
        self.arrivals.add(transport_name)
        self._unauthenticated.entered(connection, getattr(transport.getPeer(), "host", ""))

    def disconnected(self, connection: Connection, transport_name: str) -> None:
        """The connection is gone."""
        self.departures.add(transport_name)
        self._unauthenticated.left(connection)

    def ready(self, connection: Connection) -> Session:
        """A client can send frames now."""
        session = self._new_session(connection, self.timeouts.tick)
        self.timeouts.add(session)
        return session

    def closed(self, session: Session) -> None:
        """It cannot any more."""
        session.closed = True
        self.timeouts.remove(session)
        self._gone(session)

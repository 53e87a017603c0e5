"""Connections of clients and their sessions, from their beginning to their end."""

from collections.abc import Callable
from typing import Any

from gobelieve.gateway.sessions.session import Session
from gobelieve.gateway.sessions.timeouts import Watch
from gobelieve.gateway.sessions.unauthenticated_limit import Lobby
from gobelieve.interfaces import Connection
from gobelieve.metrics import Tally


class Reception:
    """Where connections and their sessions begin and end, whatever their transport.

    A connection may be there before its session: while a handshake is under way.
    """

    def __init__(
        self,
        new_session: Callable[[Connection, int], Session],
        gone: Callable[[Session], None],
        watch: Watch,
        lobby: Lobby,
    ) -> None:
        self._new_session = new_session
        self._gone = gone
        self.watch = watch
        self.received = [0] * 256
        """By command: how many frames came."""
        self._lobby = lobby
        self.arrivals = Tally()
        """By transport: how many connections there ever were."""
        self.departures = Tally()
        """And how many of them are gone."""

    def arrived(self, connection: Connection, transport: Any, via: str) -> None:
        """Somebody connected; `via` names how."""
        self.arrivals.add(via)
        self._lobby.entered(connection, getattr(transport.getPeer(), "host", ""))

    def left(self, connection: Connection, via: str) -> None:
        """The connection is gone."""
        self.departures.add(via)
        self._lobby.left(connection)

    def opened(self, connection: Connection) -> Session:
        """A client can send frames now."""
        session = self._new_session(connection, self.watch.tick)
        self.watch.add(session)
        return session

    def closed(self, session: Session) -> None:
        """It cannot any more."""
        session.closed = True
        self.watch.remove(session)
        self._gone(session)

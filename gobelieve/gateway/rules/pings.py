"""Pings and the unread count, which clients report."""

from gobelieve.gateway.reports.write_behind import WriteBehind
from gobelieve.gateway.rules.table import receives
from gobelieve.gateway.sessions.session import Session
from gobelieve.names import User
from gobelieve.wire import client
from gobelieve.wire.frames import Frame


class Pings:
    """The rules for PING and UNREAD_COUNT."""

    def __init__(self, unread: WriteBehind[User]) -> None:
        self._unread = unread

    @receives(client.UnreadCount)
    def unread_count(self, session: Session, frame: Frame) -> None:
        """Keep the count for the push workers. The client gets no answer."""
        self._unread.put(session.user, client.UnreadCount.decode(frame.body).count)

    @receives(client.Ping, before_login=True)
    def ping(self, session: Session, frame: Frame) -> None:
        """Answer with PONG; an app that gets none within 3 s closes the connection."""
        session.send(client.Pong.number, b"")

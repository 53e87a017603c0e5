"""Delivery to all sessions of a user or in a room, at this gateway and at the others."""

from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.rooms import Rooms
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Routing
from gobelieve.names import Room, User
from gobelieve.wire import client
from gobelieve.wire.frames import PUSH


class Delivery:
    """Delivers to sessions here, and publishes for the sessions at other gateways.

    With `direct_push` a stored message itself is delivered, and clients that can place it need no
    sync. Without, clients are only notified of its id.
    """

    def __init__(
        self, *, sessions: Sessions, rooms: Rooms, routing: Routing, direct_push: bool = True
    ) -> None:
        self._sessions = sessions
        self._rooms = rooms
        self._routing = routing
        self.direct_push = direct_push

    def stored(
        self,
        user: User,
        cmd: int,
        body: bytes,
        flag: int,
        key: int,
        prev: int,
        sender: Session | None,
    ) -> None:
        """Deliver a message that is in the user's queue, but not to the session that sent it."""
        direct = self.direct_push
        for session in self._sessions.of(user):
            if session is not sender:
                session.deliver(cmd, body, flag, key, prev if direct else 0)
        if direct:
            self._routing.publish(user, cmd, body, flag | PUSH, key, prev)
        else:
            key_body = key.to_bytes(8, "big")
            self._routing.publish(user, client.SyncNotify.number, key_body)

    def live(
        self, user: User, cmd: int, body: bytes, sender: Session | None, flag: int = 0
    ) -> None:
        """Deliver a message that is not stored, but not to the session that sent it.

        `flag` is that of the publication. Kinds that are stored elsewhere have UNPERSISTENT;
        without it the router would take the message for a request of a phone push.
        """
        for session in self._sessions.of(user):
            if session is not sender:
                session.live(cmd, body)
        self._routing.publish(user, cmd, body, flag)

    def room(self, room: Room, cmd: int, body: bytes, sender: Session | None) -> None:
        """Deliver a message to all sessions in a room but the one that sent it."""
        self._routing.publish_room(room, cmd, body)
        for session in self._rooms.of(room):
            if session is not sender:
                session.live(cmd, body)

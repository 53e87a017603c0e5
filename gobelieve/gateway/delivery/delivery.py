"""Delivery: to all sessions of a user, here and at the other gateways, and from them to here."""

from collections.abc import Callable
from typing import NamedTuple

from gobelieve.errors import BodyError
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.rooms import Rooms
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Routing
from gobelieve.metrics import Counters
from gobelieve.names import Room, User
from gobelieve.wire import client
from gobelieve.wire.frames import HEADER, HEADER_SIZE, PUSH, TEXT
from gobelieve.wire.message import GROWN


class Inner(NamedTuple):
    """An inner frame as clients are to get it."""

    cmd: int
    flag: int
    body: bytes


GroupAudience = Callable[[int, int, Inner, int, int], None]
"""Called with (appid, group, inner frame, msgid, previous msgid) for what another gateway publishes
to a super group; a msgid asks for the SYNC_GROUP_NOTIFY too."""


class Delivery:
    """Tells users of messages; a `gobelieve.interfaces.Subscriber`.

    With `direct_push` a stored message travels itself, and clients that can place it need not
    sync; without, only its id does.
    """

    def __init__(
        self,
        sessions: Sessions,
        rooms: Rooms,
        routing: Routing,
        counters: Counters,
        direct_push: bool = True,
    ) -> None:
        self._sessions = sessions
        self._rooms = rooms
        self._routing = routing
        self._counters = counters
        self.direct_push = direct_push
        self.group_audience: GroupAudience | None = None

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
        """A message is in the user's queue: tell all sessions but the one that sent it."""
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
        """Something that is not stored, for all sessions of the user but the one that sent it.

        `flag`: of the publication. Kinds that are stored elsewhere have UNPERSISTENT, or else the
        router takes them for the question who gets a push.
        """
        for session in self._sessions.of(user):
            if session is not sender:
                session.live(cmd, body)
        self._routing.publish(user, cmd, body, flag)

    def room(self, room: Room, cmd: int, body: bytes, sender: Session | None) -> None:
        """Something for all sessions in a room but the one that sent it."""
        self._routing.publish_room(room, cmd, body)
        for session in self._rooms.of(room):
            if session is not sender:
                session.live(cmd, body)

    # --- what other gateways publish: see `gobelieve.interfaces.Subscriber`

    def published_to_user(self, user: User, inner: bytes, msgid: int, prev: int) -> None:
        """To all sessions of the user. `BodyError` if it is not a frame, as for the others."""
        cmd, flag, body = _opened(inner)
        sessions = self._sessions.of(user)
        if not sessions:
            self._counters.add("publications_for_nobody")
        elif flag & PUSH:
            for session in sessions:
                self._pushed(session, cmd, body, flag, msgid, prev)
        elif cmd == client.SyncNotify.number:
            notified = client.SyncNotify.decode(body).sync_key
            for session in sessions:
                session.notify(notified)
        elif cmd == client.SyncGroupNotify.number:
            said = client.SyncGroupNotify.decode(body)
            for session in sessions:
                session.notify_group(said.group_id, said.sync_key)
        else:
            for session in sessions:
                session.live(cmd, body)

    def published_to_group(
        self, appid: int, group_id: int, inner: bytes, msgid: int, prev: int
    ) -> None:
        """To `group_audience`, if there is one: who is a member is not known here."""
        cmd, flag, body = _opened(inner)
        if self.group_audience is None:
            self._counters.add("publications_for_nobody")
        else:
            self.group_audience(appid, group_id, Inner(cmd, flag, body), msgid, prev)

    def published_to_room(self, room: Room, inner: bytes) -> None:
        """To all sessions in the room."""
        cmd, _, body = _opened(inner)
        sessions = self._rooms.of(room)
        if not sessions:
            self._counters.add("publications_for_nobody")
        for session in sessions:
            session.live(cmd, body)

    def _pushed(
        self, session: Session, cmd: int, body: bytes, flag: int, key: int, prev: int
    ) -> None:
        if key:
            # Upstream's gateways hand on whatever flags a sender sets.
            session.deliver(cmd, body, flag & TEXT, key, prev if self.direct_push else 0)
        # Without ids no client could place it; the notify that follows brings it by sync.


def _opened(inner: bytes) -> tuple[int, int, bytes]:
    """Command, flag and body of an inner frame."""
    if len(inner) < HEADER_SIZE:
        raise BodyError("a publication without a whole frame")
    length, _, cmd, version, flag, _ = HEADER.unpack_from(inner)
    body = inner[HEADER_SIZE:]
    if length != len(body):
        raise BodyError(f"a frame of {length} bytes in a publication of {len(body)}")
    if version == 0 and cmd in GROWN:
        raise BodyError("a publication in the layout of version 0")
    return cmd, flag, body

"""Publications: what other gateways send through the routers for sessions at this one."""

from gobelieve.errors import BodyError
from gobelieve.gateway.delivery.group_members_here import GroupMembersHere
from gobelieve.gateway.sessions.packing import GroupMessage
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.rooms import Rooms
from gobelieve.gateway.sessions.session import Session
from gobelieve.metrics import Counters
from gobelieve.names import Room, User
from gobelieve.wire import client
from gobelieve.wire.frames import HEADER, HEADER_SIZE, PUSH, TEXT
from gobelieve.wire.message import GROWN


class Publications:
    """Delivers publications to the sessions here; a `gobelieve.interfaces.Subscriber`.

    All methods raise `BodyError` if a publication has no whole frame of the present layout. Without
    `direct_push` clients are only notified of stored messages.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        rooms: Rooms,
        members_here: GroupMembersHere,
        counters: Counters,
        direct_push: bool = True,
    ) -> None:
        self._sessions = sessions
        self._rooms = rooms
        self._members_here = members_here
        self._counters = counters
        self._direct_push = direct_push

    def published_to_user(self, user: User, inner: bytes, msgid: int, prev: int) -> None:
        """Deliver to all sessions of the user."""
        cmd, flag, body = _opened(inner)
        sessions = self._sessions.of(user)
        if not sessions:
            self._counters.add("publications_for_nobody")
        elif flag & PUSH:
            # Without an id no client could place the message. The notify that follows makes the
            # client sync. (The Go server's gateways pass on all flags that a sender sets.)
            if msgid:
                known = prev if self._direct_push else 0
                for session in sessions:
                    session.deliver(cmd, body, flag & TEXT, msgid, known)
        elif cmd == client.SyncNotify.number:
            newest = client.SyncNotify.decode(body).sync_key
            for session in sessions:
                session.notify(newest)
        elif cmd == client.SyncGroupNotify.number:
            notify = client.SyncGroupNotify.decode(body)
            for session in sessions:
                session.notify_group(notify.group_id, notify.sync_key)
        else:
            for session in sessions:
                session.live(cmd, body)

    def published_to_group(
        self, appid: int, group_id: int, inner: bytes, msgid: int, prev: int
    ) -> None:
        """Deliver to the sessions of a super group's members.

        With a msgid the members are notified of it too.
        """
        cmd, flag, body = _opened(inner)
        key = msgid
        if flag & PUSH:
            if not key:
                return  # as for a user
            message = GroupMessage(cmd, body, group_id, key, prev if self._direct_push else 0)

            def deliver(session: Session) -> None:
                session.deliver_group(message)
        elif cmd == client.SyncGroupNotify.number:
            key = client.SyncGroupNotify.decode(body).sync_key

            def deliver(session: Session) -> None:
                session.notify_group(group_id, key)
        else:

            def deliver(session: Session) -> None:
                session.live(cmd, body)

        self._members_here.deliver(appid, group_id, deliver, key)

    def published_to_room(self, room: Room, inner: bytes) -> None:
        """Deliver to all sessions in the room."""
        cmd, _, body = _opened(inner)
        sessions = self._rooms.of(room)
        if not sessions:
            self._counters.add("publications_for_nobody")
        for session in sessions:
            session.live(cmd, body)


def _opened(inner: bytes) -> tuple[int, int, bytes]:
    """Return command, flag and body of the frame in a publication."""
    if len(inner) < HEADER_SIZE:
        raise BodyError("a publication without a whole frame")
    length, _, cmd, version, flag, _ = HEADER.unpack_from(inner)
    body = inner[HEADER_SIZE:]
    if length != len(body):
        raise BodyError(f"a frame of {length} bytes in a publication of {len(body)}")
    if version == 0 and cmd in GROWN:
        raise BodyError("a publication in the layout of version 0")
    return cmd, flag, body

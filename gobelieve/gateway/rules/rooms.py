"""Rooms: what is said in one reaches those who are in it now, and is not stored."""

from struct import Struct

from gobelieve.errors import BodyError
from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.rules.table import receives
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.rooms import Rooms
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Routing
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, Room
from gobelieve.wire import client
from gobelieve.wire.frames import Frame

_SENDER_ROOM = Struct(">qq")


class RoomMessages:
    """The rules for ENTER_ROOM, LEAVE_ROOM and ROOM_IM.

    `at_once`: in how many rooms a session may be. Who enters one too many leaves the one that was
    entered first. A device is in a room once: when it enters again on a new connection, the old
    one, which may be dead and not know it, is out.
    """

    def __init__(
        self,
        *,
        rooms: Rooms,
        sessions: Sessions,
        delivery: Delivery,
        routing: Routing,
        counters: Counters,
        at_once: int = 1,
    ) -> None:
        self._rooms = rooms
        self._sessions = sessions
        self._delivery = delivery
        self._routing = routing
        self._counters = counters
        self._at_once = at_once

    @receives(client.EnterRoom)
    def enter(self, session: Session, frame: Frame) -> None:
        """Not answered, as in both eras. What is said from now on comes, from every gateway: what
        the client sends behind it is handled when the router knows."""
        number = client.EnterRoom.decode(frame.body, frame.version).room
        if number == 0 or number in session.rooms:
            return
        while len(session.rooms) >= self._at_once:
            self._leave(session, session.rooms[0])
        room = Room(session.user.appid, number)
        # First in, then out: a room that is never empty stays known to the router.
        self._rooms.enter(room, session)
        if session.device:
            self._put_out_older(session, number)
        session.rooms = (*session.rooms, number)
        session.hold()
        self._routing.when_room_known(room, session.release)

    def _put_out_older(self, session: Session, number: int) -> None:
        for other in self._sessions.of(session.user):
            if other.device == session.device and number in other.rooms:
                self._leave(other, number)

    @receives(client.LeaveRoom)
    def leave(self, session: Session, frame: Frame) -> None:
        """Not answered either."""
        number = client.LeaveRoom.decode(frame.body, frame.version).room
        if number in session.rooms:
            self._leave(session, number)

    def _leave(self, session: Session, number: int) -> None:
        session.rooms = tuple(one for one in session.rooms if one != number)
        self._rooms.leave(Room(session.user.appid, number), session)

    def closed(self, session: Session) -> None:
        """The session is gone."""
        rooms, session.rooms = session.rooms, ()
        for number in rooms:
            self._rooms.leave(Room(session.user.appid, number), session)

    @receives(client.RoomIM)
    def room_im(self, session: Session, frame: Frame) -> None:
        """To everybody in the room but the very session that said it; then the ack."""
        body = frame.body
        if len(body) < _SENDER_ROOM.size:
            raise BodyError(f"{len(body)} bytes, at least {_SENDER_ROOM.size} are needed")
        sender, number = _SENDER_ROOM.unpack_from(body)
        if sender != session.user.uid:
            self._counters.add("forged_senders")
            session.ack(frame.seq, AckStatus.FORGED_SENDER)
        elif session.forbidden:
            self._counters.add("room_messages_refused")
            session.ack(frame.seq, AckStatus.FORBIDDEN)
        elif number not in session.rooms:
            self._counters.add("room_messages_refused")
            session.ack(frame.seq, AckStatus.WRONG_ROOM)
        else:
            self._counters.add("live")
            room = Room(session.user.appid, number)
            self._delivery.room(room, client.RoomIM.number, body, session)
            session.ack(frame.seq)

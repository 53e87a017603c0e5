"""Messages in rooms: they reach the clients that are in the room now, and are not stored."""

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

    `at_once` is the number of rooms in which a session may be. A session that enters one more
    leaves the room that it entered first. A device is in a room once: if it enters again on a new
    connection, its older session leaves the room, since that connection may be dead.
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
        """Let a session enter a room; the client gets no answer.

        The frames behind it wait until the router knows the room: from then on messages in the room
        arrive from all gateways.
        """
        number = client.EnterRoom.decode(frame.body, frame.version).room
        if number == 0 or number in session.rooms:
            return
        while len(session.rooms) >= self._at_once:
            self._leave(session, session.rooms[0])
        room = Room(session.user.appid, number)
        # Enter before the older session leaves: a room that is never empty stays known to the
        # router.
        self._rooms.enter(room, session)
        if session.device:
            self._remove_older(session, number)
        session.rooms = (*session.rooms, number)
        session.hold()
        self._routing.when_room_known(room, session.release)

    def _remove_older(self, session: Session, number: int) -> None:
        for other in self._sessions.of(session.user):
            if other.device == session.device and number in other.rooms:
                self._leave(other, number)

    @receives(client.LeaveRoom)
    def leave(self, session: Session, frame: Frame) -> None:
        """Let a session leave a room; the client gets no answer."""
        number = client.LeaveRoom.decode(frame.body, frame.version).room
        if number in session.rooms:
            self._leave(session, number)

    def _leave(self, session: Session, number: int) -> None:
        session.rooms = tuple(one for one in session.rooms if one != number)
        self._rooms.leave(Room(session.user.appid, number), session)

    def closed(self, session: Session) -> None:
        """Remove a session that has ended from its rooms."""
        rooms, session.rooms = session.rooms, ()
        for number in rooms:
            self._rooms.leave(Room(session.user.appid, number), session)

    @receives(client.RoomIM)
    def room_im(self, session: Session, frame: Frame) -> None:
        """Deliver a message to all other sessions in the room, then ack it."""
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

"""Messages between two users: IM, which is stored, and RT and INPUTING, which are not."""

from struct import Struct

from gobelieve.errors import BodyError
from gobelieve.gateway.checks.relations import Permission
from gobelieve.gateway.checks.word_filter import WordFilter
from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.delivery.peer_delivery import PeerDelivery
from gobelieve.gateway.rules.table import receives
from gobelieve.gateway.rules.waiting import run_in_order
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import World
from gobelieve.names import AckStatus, User
from gobelieve.wire import bodies, client
from gobelieve.wire.frames import TEXT, Frame

_SENDER_RECEIVER = Struct(">qq")


class Peer:
    """The rules for messages from a user to a user."""

    def __init__(
        self,
        *,
        world: World,
        peer_delivery: PeerDelivery,
        delivery: Delivery,
        permission: Permission | None,
        words: WordFilter,
    ) -> None:
        self._peer_delivery = peer_delivery
        self._delivery = delivery
        self._permission = permission
        self._words = words
        self._time = world.time
        self._tasks = world.tasks
        self._counters = world.counters

    @receives(client.IM)
    def im(self, session: Session, frame: Frame) -> None:
        """Store and deliver the message, then ack it."""
        body = bodies.stamped(frame.body, frame.version, int(self._time.seconds()))
        sender, receiver = _SENDER_RECEIVER.unpack_from(body)
        user = session.user
        if sender != user.uid:
            self._counters.add("forged_senders")
            session.ack(frame.seq, AckStatus.FORGED_SENDER)
            return
        if self._permission is None or receiver == sender:
            self._send(session, frame, receiver, body)
        else:
            permitted = self._send_if_permitted(self._permission, session, frame, receiver, body)
            run_in_order(session, permitted, self._tasks)

    async def _send_if_permitted(
        self, permission: Permission, session: Session, frame: Frame, receiver: int, body: bytes
    ) -> None:
        status = await permission.status(session.user, receiver)
        if status:
            self._counters.add("messages_refused")
            session.ack(frame.seq, status)
        else:
            self._send(session, frame, receiver, body)

    def _send(self, session: Session, frame: Frame, receiver: int, body: bytes) -> None:
        to, flag = User(session.user.appid, receiver), frame.flag & TEXT
        body = self._words.clean(body, flag)
        self._peer_delivery.send(session, frame.seq, to, client.IM.number, body, flag)

    @receives(client.RT)
    def rt(self, session: Session, frame: Frame) -> None:
        """Deliver an RT to the receiver's sessions; the client gets no answer."""
        self.live(session, frame)

    @receives(client.Inputing)
    def inputing(self, session: Session, frame: Frame) -> None:
        """Deliver "is typing" to the receiver's sessions, without what a client adds to it."""
        self.live(session, frame._replace(body=frame.body[: _SENDER_RECEIVER.size]))

    def live(self, session: Session, frame: Frame) -> None:
        """Deliver a frame that begins with sender and receiver and is not stored."""
        body = frame.body
        if len(body) < _SENDER_RECEIVER.size:
            raise BodyError(f"{len(body)} bytes, at least {_SENDER_RECEIVER.size} are needed")
        sender, receiver = _SENDER_RECEIVER.unpack_from(body)
        if sender != session.user.uid:
            self._counters.add("forged_senders")
            return
        self._counters.add("live")
        self._delivery.live(User(session.user.appid, receiver), frame.cmd, body, session)

"""Messages between two users: IM, which is stored, and RT and INPUTING, which are not.

The order is the contract: stored before told, told before acked. The message goes to the queues of
the receiver and of the sender, whose other devices find it there; to oneself it is entered once.
"""

from struct import Struct
from typing import NamedTuple

from gobelieve.errors import BodyError
from gobelieve.gateway.delivery import Delivery
from gobelieve.gateway.rules import receives
from gobelieve.gateway.session import Session
from gobelieve.gateway.underway import Underway
from gobelieve.interfaces import Entries, MessageSaver, Routing, Time
from gobelieve.metrics import Tally
from gobelieve.names import AckStatus, User
from gobelieve.wire import client
from gobelieve.wire.frames import TEXT, Frame

_SENDER_RECEIVER = Struct(">qq")


class _Message(NamedTuple):
    """A message that storage has been asked to keep."""

    session: Session
    seq: int
    receiver: User
    body: bytes
    flag: int


class Peer:
    """The rules for messages from a user to a user."""

    def __init__(
        self,
        saver: MessageSaver,
        delivery: Delivery,
        routing: Routing,
        underway: Underway,
        time: Time,
        tally: Tally,
    ) -> None:
        self._saver = saver
        self._delivery = delivery
        self._routing = routing
        self._underway = underway
        self._time = time
        self._tally = tally

    @receives(client.IM)
    def im(self, session: Session, frame: Frame) -> None:
        """Store, tell, ack."""
        body = client.stamped(frame.body, frame.version, int(self._time.seconds()))
        sender, receiver = _SENDER_RECEIVER.unpack_from(body)
        user = session.user
        if sender != user.uid:
            self._tally.add("forged_senders")
            session.ack(frame.seq, AckStatus.FORGED_SENDER)
            return
        to = User(user.appid, receiver)
        message = _Message(session, frame.seq, to, body, frame.flag & TEXT)
        queues = (to, user) if receiver != sender else (user,)
        self._underway.begun(session)
        self._saver.save(client.IM.number, body, session.device, queues, self._stored, message)

    def _stored(self, message: _Message, status: int, entries: Entries) -> None:
        self._underway.ended(message.session)
        self._tell(message, status, entries)
        self._underway.settled()

    def _tell(self, message: _Message, status: int, entries: Entries) -> None:
        session, seq, receiver, body, flag = message
        key, prev = entries[0]
        if key:
            self._routing.push(receiver.appid, (receiver.uid,), client.IM.number, body)
            self._delivery.stored(receiver, client.IM.number, body, flag, key, prev, session)
        if len(entries) > 1:
            key, prev = entries[1]
            if key:
                self._delivery.stored(
                    session.user, client.IM.number, body, flag, key, prev, session
                )
        if status:
            self._tally.add("messages_not_stored")
        else:
            self._tally.add("messages")
            # Not during a sync, for the same reason as in `Session.deliver`.
            if prev and self._delivery.direct_push and session.syncs is None:
                session.metadata(key, prev)
        session.ack(seq, status)

    @receives(client.RT)
    def rt(self, session: Session, frame: Frame) -> None:
        """To the receiver's connections, as it came. Not answered, as in both eras."""
        self._live(session, frame)

    @receives(client.Inputing)
    def inputing(self, session: Session, frame: Frame) -> None:
        """The same for "is typing"; what a client adds to it is dropped."""
        self._live(session, frame._replace(body=frame.body[: _SENDER_RECEIVER.size]))

    def _live(self, session: Session, frame: Frame) -> None:
        body = frame.body
        if len(body) < _SENDER_RECEIVER.size:
            raise BodyError(f"{len(body)} bytes where at least {_SENDER_RECEIVER.size} belong")
        sender, receiver = _SENDER_RECEIVER.unpack_from(body)
        if sender != session.user.uid:
            self._tally.add("forged_senders")
            return
        self._tally.add("live")
        self._delivery.live(User(session.user.appid, receiver), frame.cmd, body, session)

"""A message between two users that is stored: by both, told to both, acked.

The order is the contract: stored before told, told before acked. The message goes to the queues of
the receiver and of the sender, whose other devices find it there; to oneself it is entered once.
What the app's server posts goes the same way; there is no session to ack it to, or to leave out.
"""

from collections.abc import Callable
from typing import NamedTuple

from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.sessions.saves_in_flight import SavesInFlight
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Entries, MessageSaver, Routing
from gobelieve.metrics import Counters
from gobelieve.names import User


class _Message(NamedTuple):
    """A message that storage has been asked to keep."""

    session: Session
    seq: int
    receiver: User
    cmd: int
    body: bytes
    flag: int


PostDone = Callable[[int], None]
"""Called once with 0 when all is on disk and told, else with the `AckStatus` that says why not."""


class _Post(NamedTuple):
    """The same of a message that no session sent."""

    sender: User
    receiver: User
    cmd: int
    body: bytes
    posted: PostDone


class PeerDelivery:
    """Carries such messages, whatever their kind."""

    def __init__(
        self,
        saver: MessageSaver,
        delivery: Delivery,
        routing: Routing,
        saves_in_flight: SavesInFlight,
        counters: Counters,
    ) -> None:
        self._saver = saver
        self._delivery = delivery
        self._routing = routing
        self._saves_in_flight = saves_in_flight
        self._counters = counters

    def send(
        self, session: Session, seq: int, receiver: User, cmd: int, body: bytes, flag: int
    ) -> None:
        """From this session, as its frame `seq`, which is acked when all is done.

        The body is as it is stored, `flag` what of the client's flags the receiver is to see.
        """
        sender = session.user
        queues = (receiver, sender) if receiver != sender else (sender,)
        message = _Message(session, seq, receiver, cmd, body, flag)
        self._saves_in_flight.begun(session)
        self._saver.save(cmd, body, session.device, queues, self._stored, message)

    def post(self, sender: User, receiver: User, cmd: int, body: bytes, posted: PostDone) -> None:
        """In the name of the sender, from no device."""
        queues = (receiver, sender) if receiver != sender else (sender,)
        self._saves_in_flight.begun(None)
        post = _Post(sender, receiver, cmd, body, posted)
        self._saver.save(cmd, body, 0, queues, self._posted, post)

    def _posted(self, post: _Post, status: int, entries: Entries) -> None:
        self._saves_in_flight.ended(None)
        sender, receiver, cmd, body, posted = post
        self._tell(sender, receiver, cmd, body, 0, status, entries, None)
        posted(status)
        self._saves_in_flight.settled()

    def _stored(self, message: _Message, status: int, entries: Entries) -> None:
        session, seq, receiver, cmd, body, flag = message
        self._saves_in_flight.ended(session)
        self._tell(session.user, receiver, cmd, body, flag, status, entries, session)
        # The last are the ids of the sender's own queue. Not during a sync, for the same reason as
        # in `Session.deliver`.
        key, prev = entries[-1]
        if prev and not status and self._delivery.direct_push and not session.syncing():
            session.metadata(key, prev)
        session.ack(seq, status)
        self._saves_in_flight.settled()

    def _tell(
        self,
        sender: User,
        receiver: User,
        cmd: int,
        body: bytes,
        flag: int,
        status: int,
        entries: Entries,
        session: Session | None,
    ) -> None:
        key, prev = entries[0]
        if key:
            self._routing.push(receiver.appid, (receiver.uid,), cmd, body)
            self._delivery.stored(receiver, cmd, body, flag, key, prev, session)
        if len(entries) > 1:
            key, prev = entries[1]
            if key:
                self._delivery.stored(sender, cmd, body, flag, key, prev, session)
        self._counters.add("messages_not_stored" if status else "messages")

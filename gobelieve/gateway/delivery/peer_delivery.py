"""Stored messages between two users: stored, then delivered, then acked.

The order is the contract: a message is on disk before anybody gets it, and the sender gets the ack
after that. The message goes into the queues of the receiver and of the sender, whose other devices
find it there. A message to oneself is entered once. The posts of the app's server go the same way,
but no session sent them and none gets an ack.
"""

from collections.abc import Callable

from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.sessions.saves_in_flight import SavesInFlight
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Entries, MessageSaver, Routing
from gobelieve.metrics import Counters
from gobelieve.names import User
from gobelieve.wire.message import STORED

PostDone = Callable[[int], None]
"""Called once: with 0 when the post is stored and delivered, else with the `AckStatus` of the
failure."""


class PeerDelivery:
    """Stores and delivers messages between two users, of any stored kind."""

    def __init__(
        self,
        *,
        saver: MessageSaver,
        delivery: Delivery,
        routing: Routing,
        saves_in_flight: SavesInFlight,
        counters: Counters,
    ) -> None:
        self._saver = saver
        self.delivery = delivery
        self.routing = routing
        self.saves_in_flight = saves_in_flight
        self.counters = counters

    def send(
        self, session: Session, seq: int, receiver: User, cmd: int, body: bytes, flag: int
    ) -> None:
        """Send a message of a session to a user; then ack the session's frame `seq`.

        The body is in the stored layout. `flag` has those of the client's flags that the receiver
        gets. Raises `ValueError` if the command is not of a stored kind.
        """
        message = _Sent(self, session.user, receiver, cmd, body, flag, session, seq)
        self._save(message, session.device)

    def post(self, sender: User, receiver: User, cmd: int, body: bytes, posted: PostDone) -> None:
        """Send a message of the app's server, in the name of a user and from no device.

        Raises `ValueError` if the command is not of a stored kind.
        """
        self._save(_Posted(self, sender, receiver, cmd, body, posted), 0)

    def _save(self, message: "_Sent | _Posted", device: int) -> None:
        cmd = message.cmd
        if cmd not in STORED:
            # Storage would take it, and no sync would ever give it to a client.
            raise ValueError(f"messages of command {cmd} are not stored")
        receiver, sender = message.receiver, message.sender
        queues = (receiver, sender) if receiver != sender else (sender,)
        self.saves_in_flight.begun(message.session)
        self._saver.save(cmd, message.body, device, queues, message)


class _PeerMessage:
    """A message between two users that storage was asked to store."""

    __slots__ = ("_peer_delivery", "body", "cmd", "flag", "receiver", "sender", "session")

    def __init__(
        self,
        peer_delivery: PeerDelivery,
        sender: User,
        receiver: User,
        cmd: int,
        body: bytes,
        flag: int,
        session: Session | None,
    ) -> None:
        self._peer_delivery = peer_delivery
        self.sender = sender
        self.receiver = receiver
        self.cmd = cmd
        self.body = body
        self.flag = flag
        self.session = session

    def _deliver(self, status: int, entries: Entries) -> None:
        """Deliver the message to the users whose queues have it; some may, even after a failure."""
        peer_delivery, receiver = self._peer_delivery, self.receiver
        cmd, body, flag, session = self.cmd, self.body, self.flag, self.session
        stored = peer_delivery.delivery.stored
        key, prev = entries[0]
        if key:
            peer_delivery.routing.push(receiver.appid, (receiver.uid,), cmd, body)
            stored(receiver, cmd, body, flag, key, prev, session)
        if len(entries) > 1:
            key, prev = entries[1]
            if key:
                stored(self.sender, cmd, body, flag, key, prev, session)
        peer_delivery.counters.add("messages_not_stored" if status else "messages")


class _Sent(_PeerMessage):
    """A message of a session, which gets an ack."""

    __slots__ = ("_seq", "_session")

    def __init__(
        self,
        peer_delivery: PeerDelivery,
        sender: User,
        receiver: User,
        cmd: int,
        body: bytes,
        flag: int,
        session: Session,
        seq: int,
    ) -> None:
        super().__init__(peer_delivery, sender, receiver, cmd, body, flag, session)
        self._session = session
        self._seq = seq

    def stored(self, status: int, entries: Entries) -> None:
        """Deliver the message and ack it; see `gobelieve.interfaces.MessageInFlight`."""
        peer_delivery, session = self._peer_delivery, self._session
        peer_delivery.saves_in_flight.ended(session)
        self._deliver(status, entries)
        # The last entry is that of the sender's own queue. During a sync the client gets no ids,
        # for the reason that `Session.deliver` gives.
        key, prev = entries[-1]
        if prev and not status and peer_delivery.delivery.direct_push and not session.syncing():
            session.metadata(key, prev)
        session.ack(self._seq, status)
        peer_delivery.saves_in_flight.settled()


class _Posted(_PeerMessage):
    """A message that the app's server posted."""

    __slots__ = ("_posted",)

    def __init__(
        self,
        peer_delivery: PeerDelivery,
        sender: User,
        receiver: User,
        cmd: int,
        body: bytes,
        posted: PostDone,
    ) -> None:
        super().__init__(peer_delivery, sender, receiver, cmd, body, 0, None)
        self._posted = posted

    def stored(self, status: int, entries: Entries) -> None:
        """Deliver the post and answer it; see `gobelieve.interfaces.MessageInFlight`."""
        saves_in_flight = self._peer_delivery.saves_in_flight
        saves_in_flight.ended(None)
        self._deliver(status, entries)
        self._posted(status)
        saves_in_flight.settled()

"""Customer service: messages between customers of an app and the sellers who serve them.

Sellers are users of an app of their own, whose appid is the site's ``kefu_appid``. A customer names
the seller, whom the app's server has chosen. Messages of both forms go into the queues of both
users, like all messages between two users. Command 64 is the later form or, as in 2018, the
signalling of a call, which is live; see `gobelieve.wire.customers.is_customer_v2`.
"""

from gobelieve.errors import BodyError
from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.delivery.peer_delivery import PeerDelivery
from gobelieve.gateway.rules.peer import Peer
from gobelieve.gateway.rules.table import receives
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import World
from gobelieve.names import AckStatus, User
from gobelieve.wire import customers
from gobelieve.wire.frames import TEXT, UNPERSISTENT, Frame

_TIMESTAMP = 32
"""The offset of the time in the bodies of all three messages; the content follows it."""
_CONTENT = 36
_VOIP_HEAD = 16
"""The size of sender and receiver in VOIP_CONTROL; the content follows them."""


class CustomerService:
    """The rules for both forms of customer messages.

    `kefu_appid` is the sellers' app; with 0 there are no sellers, and all messages are refused.
    With `unpersistent` the flag of this name on the older form means "do not store". Only apps of
    2018 to 2021 mean it; older apps set the bit by accident in every frame.
    """

    def __init__(
        self,
        *,
        world: World,
        peer_delivery: PeerDelivery,
        delivery: Delivery,
        peer: Peer,
        kefu_appid: int,
        unpersistent: bool,
    ) -> None:
        self._peer_delivery = peer_delivery
        self._delivery = delivery
        self._peer = peer
        self._time = world.time
        self._counters = world.counters
        self._kefu_appid = kefu_appid
        self._unpersistent = unpersistent

    @receives(customers.Customer)
    def customer(self, session: Session, frame: Frame) -> None:
        """Send the message of a customer to a seller."""
        message = customers.Customer.decode(frame.body, frame.version)
        sender = User(message.customer_appid, message.customer_id)
        served = bool(self._kefu_appid and message.seller_id)
        self._send(session, frame, sender, User(self._kefu_appid, message.seller_id), served)

    @receives(customers.CustomerSupport)
    def support(self, session: Session, frame: Frame) -> None:
        """Send the message of a seller to a customer."""
        message = customers.CustomerSupport.decode(frame.body, frame.version)
        sender = User(self._kefu_appid, message.seller_id)
        receiver = User(message.customer_appid, message.customer_id)
        self._send(session, frame, sender, receiver, bool(self._kefu_appid))

    @receives(customers.CustomerV2)
    def later_form(self, session: Session, frame: Frame) -> None:
        """Send a message either way; pass on the signalling of a call as it is."""
        body = frame.body
        if customers.is_customer_v2(body, *session.user):
            message = customers.CustomerV2.decode(body, frame.version)
            receiver = User(message.receiver_appid, message.receiver)
            served = self._kefu_appid in (session.user.appid, receiver.appid)
            self._send(session, frame, session.user, receiver, served and bool(self._kefu_appid))
        elif len(body) <= _VOIP_HEAD:
            raise BodyError(f"{len(body)} bytes are too few for CUSTOMER_V2 and VOIP_CONTROL")
        else:
            self._peer.live(session, frame)

    def _send(
        self, session: Session, frame: Frame, sender: User, receiver: User, served: bool
    ) -> None:
        if not served:
            self._counters.add("customers_not_served")
            session.ack(frame.seq, AckStatus.NO_SELLER)
            return
        if sender != session.user:
            self._counters.add("forged_senders")
            session.ack(frame.seq, AckStatus.FORGED_SENDER)
            return
        now = int(self._time.seconds()).to_bytes(4, "big")
        body = frame.body[:_TIMESTAMP] + now + frame.body[_CONTENT:]
        older = frame.cmd != customers.CustomerV2.number
        if older and self._unpersistent and frame.flag & UNPERSISTENT:
            self._counters.add("live")
            self._delivery.live(receiver, frame.cmd, body, session, UNPERSISTENT)
            session.ack(frame.seq)
            return
        self._peer_delivery.send(session, frame.seq, receiver, frame.cmd, body, frame.flag & TEXT)

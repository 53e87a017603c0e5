"""Messages of the client's link that the gateway accepts and ignores."""

from gobelieve.wire.layout import Rest
from gobelieve.wire.message import Message, Sender, message


@message(1, "HEARTBEAT", senders=Sender.CLIENT)
class Heartbeat(Message):
    """Retired: the gateway ignores this message."""

    rest: Rest


@message(2, "AUTH", senders=Sender.CLIENT)
class Auth(Message):
    """Retired: the gateway ignores this message."""

    rest: Rest


@message(6, "RST", senders=Sender.CLIENT)
class Rst(Message):
    """Retired: the gateway ignores this message."""

    rest: Rest


@message(9, "PEER_ACK", senders=Sender.CLIENT)
class PeerAck(Message):
    """Retired: the gateway ignores this message."""

    rest: Rest


@message(11, "SUBSCRIBE_ONLINE_STATE", senders=Sender.CLIENT)
class SubscribeOnlineState(Message):
    """Retired: the gateway ignores this message."""

    rest: Rest


@message(12, "ONLINE_STATE", senders=Sender.CLIENT)
class OnlineState(Message):
    """Retired: the gateway ignores this message."""

    rest: Rest


@message(16, "LOGIN_POINT", senders=Sender.CLIENT)
class LoginPoint(Message):
    """Retired: the gateway ignores this message."""

    rest: Rest


@message(23, "CUSTOMER_SERVICE", senders=Sender.CLIENT)
class CustomerService(Message):
    """Retired: the gateway ignores this message."""

    rest: Rest

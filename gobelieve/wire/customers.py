"""The messages of customer service, and VOIP_CONTROL, which shares a number with one of them.

A customer is a user of any app. A seller is a user of the app that `kefu_appid` names.
"""

from gobelieve.wire.layout import I32, I64, Rest
from gobelieve.wire.message import Message, Sender, message
from gobelieve.wire.stored import Party, Push, Stored

BOTH = Sender.CLIENT | Sender.SERVER

_PUSH = Push(
    "customer_push_queue",
    with_command=True,
    customer="customer_id",
    customer_appid="customer_appid",
    seller="seller_id",
    store="store_id",
)


@message(
    24,
    "CUSTOMER",
    senders=BOTH,
    acked=True,
    stored=Stored(
        author=Party("customer_id", "customer_appid"),
        addressee=Party("seller_id"),
        time="timestamp",
        unpersistent=True,
        pushed_as=_PUSH,
    ),
)
class Customer(Message):
    """A message from a customer to a seller of the customer-service app; stored."""

    customer_appid: I64
    customer_id: I64
    store_id: I64
    seller_id: I64
    timestamp: I32
    content: Rest


@message(
    25,
    "CUSTOMER_SUPPORT",
    senders=BOTH,
    acked=True,
    stored=Stored(
        author=Party("seller_id"),
        addressee=Party("customer_id", "customer_appid"),
        time="timestamp",
        unpersistent=True,
        pushed_as=_PUSH,
    ),
)
class CustomerSupport(Message):
    """A message from a seller to a customer; stored."""

    customer_appid: I64
    customer_id: I64
    store_id: I64
    seller_id: I64
    timestamp: I32
    content: Rest


@message(
    64,
    "CUSTOMER_V2",
    senders=BOTH,
    acked=True,
    stored=Stored(
        author=Party("sender", "sender_appid"),
        addressee=Party("receiver", "receiver_appid"),
        time="timestamp",
        pushed_as=Push(
            "customer_push_queue_v2",
            receiver_appid="receiver_appid",
            sender="sender",
            sender_appid="sender_appid",
        ),
    ),
)
class CustomerV2(Message):
    """A message between a customer and a seller, in the later form; stored."""

    sender_appid: I64
    sender: I64
    receiver_appid: I64
    receiver: I64
    timestamp: I32
    content: Rest


@message(64, "VOIP_CONTROL", senders=BOTH, twin=True, live=True)
class VoipControl(Message):
    """A signal of a call; live only. Its content is not empty."""

    sender: I64
    receiver: I64
    content: Rest


def is_customer_v2(body: bytes, appid: int, uid: int) -> bool:
    """Return True if a body of number 64 from this user is CUSTOMER_V2, and not VOIP_CONTROL.

    CUSTOMER_V2 is long enough, and its first two fields are the user's own app and id. VOIP_CONTROL
    begins with sender and receiver, and its content is shorter.
    """
    return len(body) >= 36 and body[:16] == appid.to_bytes(8, "big", signed=True) + uid.to_bytes(
        8, "big", signed=True
    )

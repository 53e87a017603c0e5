"""The messages of the client's link: what apps and the gateway say to each other.

The dialogue. A client connects and sends AUTH_TOKEN; the answer is AUTH_STATUS, and the version
in the header of AUTH_TOKEN is from then on the version of the connection. It does not wait for
that answer but sends SYNC with the id of the last message it has (its *sync key*), and gets
SYNC_BEGIN, the messages after that id, and SYNC_END with its new key, which it reports by
SYNC_KEY. A message for a connected client comes at once as METADATA and the message with the flag
PUSH, then SYNC_NOTIFY with its id; a client whose key is not the previous id in METADATA drops the
push and syncs. Whatever a client sends to be stored (IM, GROUP_IM, CUSTOMER...) is answered by
ACK with its seq.

Lengths, limits and the differences between versions: docs/protocol.md.
"""

from struct import Struct

from gobelieve.errors import BodyError
from gobelieve.wire.layout import I8, I32, I64, U8, Gap16, Rest, Short
from gobelieve.wire.message import GROWN, STORED, Message, Sender, message, since
from gobelieve.wire.stored import APP_SERVER, Party, Push, Stored

_GROUP_KEY = Struct(">qq")

CLIENT, SERVER, NOBODY = Sender.CLIENT, Sender.SERVER, Sender.NOBODY
BOTH = CLIENT | SERVER


@message(1, "HEARTBEAT", senders=CLIENT)
class Heartbeat(Message):
    """Retired: ignored."""

    rest: Rest


@message(2, "AUTH", senders=CLIENT)
class Auth(Message):
    """Retired: ignored."""

    rest: Rest


@message(3, "AUTH_STATUS", senders=SERVER)
class AuthStatus(Message):
    """The answer to AUTH_TOKEN: 0 accepted, 1 refused."""

    status: I32


@message(3, "AUTH_STATUS of 2018", senders=NOBODY, twin=True)
class SeedAuthStatus(Message):
    """What the seed answered to version 0, with its own IPv4 address. We never send it: the
    published clients of that time read exactly 4 bytes.
    """

    status: I32
    ip: I32


@message(
    4,
    "IM",
    senders=BOTH,
    acked=True,
    stored=Stored(
        author=Party("sender"),
        addressee=Party("receiver"),
        time="timestamp",
        pushed_as=Push("push_queue", sender="sender"),
    ),
)
class IM(Message):
    """A message between two users; stored. The server sets the timestamp (seconds)."""

    sender: I64
    receiver: I64
    timestamp: I32 = since(1, default=0)
    msgid: I32
    content: Rest


@message(5, "ACK", senders=BOTH)
class Ack(Message):
    """The frame with this seq is done with: `status` 0 means it is on disk."""

    seq: I32
    status: U8 = since(2, default=0)


@message(6, "RST", senders=CLIENT)
class Rst(Message):
    """Retired: ignored."""

    rest: Rest


@message(7, "GROUP_NOTIFICATION", senders=SERVER, stored=Stored(author=APP_SERVER))
class GroupNotification(Message):
    """What happened to a group, as JSON; stored."""

    content: Rest


@message(
    8,
    "GROUP_IM",
    senders=BOTH,
    acked=True,
    stored=Stored(
        author=Party("sender"),
        addressee=Party("receiver"),
        time="timestamp",
        pushed_as=Push("group_push_queue", to_members=True, group_id="receiver", sender="sender"),
    ),
)
class GroupIM(Message):
    """A message to a group, whose id is the receiver; stored."""

    sender: I64
    receiver: I64
    timestamp: I32 = since(1, default=0)
    msgid: I32
    content: Rest


@message(9, "PEER_ACK", senders=CLIENT)
class PeerAck(Message):
    """Retired: ignored."""

    rest: Rest


@message(10, "INPUTING", senders=BOTH, live=True)
class Inputing(Message):
    """Typing; live only."""

    sender: I64
    receiver: I64


@message(11, "SUBSCRIBE_ONLINE_STATE", senders=CLIENT)
class SubscribeOnlineState(Message):
    """Retired: ignored."""

    rest: Rest


@message(12, "ONLINE_STATE", senders=CLIENT)
class OnlineState(Message):
    """Retired: ignored."""

    rest: Rest


@message(13, "PING", senders=CLIENT)
class Ping(Message):
    """Answered by PONG within 3 s, or clients hang up."""


@message(14, "PONG", senders=BOTH)
class Pong(Message):
    """The answer to PING; from a client it is ignored."""


@message(15, "AUTH_TOKEN", senders=CLIENT)
class AuthToken(Message):
    """Logs in. Token and device id are UTF-8 of at most 255 bytes."""

    platform: I8
    token: Short
    device_id: Short


@message(16, "LOGIN_POINT", senders=CLIENT)
class LoginPoint(Message):
    """Retired: ignored."""

    rest: Rest


@message(17, "RT", senders=BOTH, live=True)
class RT(Message):
    """Real time: to the receiver's connections, not stored, not acked."""

    sender: I64
    receiver: I64
    content: Rest


@message(18, "ENTER_ROOM", senders=CLIENT)
class EnterRoom(Message):
    """From now on get what is said in the room."""

    room: I64


@message(19, "LEAVE_ROOM", senders=CLIENT)
class LeaveRoom(Message):
    """No longer."""

    room: I64


@message(20, "ROOM_IM", senders=BOTH, acked=True, live=True)
class RoomIM(Message):
    """Said in a room, whose id is the receiver; live only."""

    sender: I64
    receiver: I64
    content: Rest


@message(
    21,
    "SYSTEM",
    senders=SERVER,
    stored=Stored(author=APP_SERVER, in_history=False, pushed_as=Push("system_push_queue")),
)
class System(Message):
    """A message of the app's backend to a user, as JSON; stored."""

    content: Rest


@message(22, "UNREAD_COUNT", senders=CLIENT)
class UnreadCount(Message):
    """How many unread messages the app shows; the push workers set the phone's badge by it."""

    count: I32


@message(23, "CUSTOMER_SERVICE", senders=CLIENT)
class CustomerService(Message):
    """Retired: ignored."""

    rest: Rest


_CUSTOMER_PUSH = Push(
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
        pushed_as=_CUSTOMER_PUSH,
    ),
)
class Customer(Message):
    """From a customer to a seller of the customer-service app; stored."""

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
        pushed_as=_CUSTOMER_PUSH,
    ),
)
class CustomerSupport(Message):
    """From a seller to a customer; stored."""

    customer_appid: I64
    customer_id: I64
    store_id: I64
    seller_id: I64
    timestamp: I32
    content: Rest


@message(26, "SYNC", senders=CLIENT)
class Sync(Message):
    """Send what came after this key; 0 means after the key that was reported last."""

    sync_key: I64


@message(27, "SYNC_BEGIN", senders=SERVER)
class SyncBegin(Message):
    """A sync begins after this key."""

    sync_key: I64


@message(28, "SYNC_END", senders=SERVER)
class SyncEnd(Message):
    """The sync is done; this is the client's key now."""

    sync_key: I64


@message(29, "SYNC_NOTIFY", senders=SERVER)
class SyncNotify(Message):
    """There is a message with this id in the user's queue."""

    sync_key: I64


@message(30, "SYNC_GROUP", senders=CLIENT)
class SyncGroup(Message):
    """SYNC for a super group's queue."""

    group_id: I64
    sync_key: I64


@message(31, "SYNC_GROUP_BEGIN", senders=SERVER)
class SyncGroupBegin(Message):
    """SYNC_BEGIN for a super group's queue."""

    group_id: I64
    sync_key: I64


@message(32, "SYNC_GROUP_END", senders=SERVER)
class SyncGroupEnd(Message):
    """SYNC_END for a super group's queue."""

    group_id: I64
    sync_key: I64


@message(33, "SYNC_GROUP_NOTIFY", senders=SERVER)
class SyncGroupNotify(Message):
    """SYNC_NOTIFY for a super group's queue."""

    group_id: I64
    sync_key: I64


@message(34, "SYNC_KEY", senders=CLIENT)
class SyncKey(Message):
    """The client has everything up to this key."""

    sync_key: I64


@message(35, "GROUP_SYNC_KEY", senders=CLIENT)
class GroupSyncKey(Message):
    """SYNC_KEY for a super group's queue."""

    group_id: I64
    sync_key: I64


@message(36, "NOTIFICATION", senders=SERVER, live=True)
class Notification(Message):
    """Text from the app's backend; live only."""

    content: Rest


@message(37, "METADATA", senders=BOTH)
class Metadata(Message):
    """The ids of the frame whose seq is one higher, and of the one before it in its queue.

    From a client it is ignored.
    """

    sync_key: I64
    prev_sync_key: I64
    gap: Gap16 = since(0, default=bytes(16))


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
    """Between a customer and a seller, later form; stored."""

    sender_appid: I64
    sender: I64
    receiver_appid: I64
    receiver: I64
    timestamp: I32
    content: Rest


@message(64, "VOIP_CONTROL", senders=BOTH, twin=True, live=True)
class VoipControl(Message):
    """Signalling of a call; live only. Its content is not empty."""

    sender: I64
    receiver: I64
    content: Rest


def is_customer_v2(body: bytes, appid: int, uid: int) -> bool:
    """Whether a body of number 64 from this user is CUSTOMER_V2 and not VOIP_CONTROL.

    It is when it is long enough and its first two fields are the user's own; the first two of
    VOIP_CONTROL are sender and receiver, and its content is shorter.
    """
    return len(body) >= 36 and body[:16] == appid.to_bytes(8, "big", signed=True) + uid.to_bytes(
        8, "big", signed=True
    )


def for_version_0(cmd: int, body: bytes) -> bytes:
    """Return a body as version 0 has it, from the layout in which storage keeps it.

    IM and GROUP_IM lose their timestamp.
    """
    field = GROWN.get(cmd)
    return body if field is None else body[: field.start] + body[field.stop :]


def from_version_0(cmd: int, body: bytes) -> bytes:
    """Return a body in the layout in which storage keeps it, from that of version 0.

    The fields that version 0 lacks become 0. A body that is too short stays as it is.
    """
    field = GROWN.get(cmd)
    if field is None:
        return body
    missing = field.stop - field.start
    if len(body) + missing < STORED[cmd].least:
        return body
    return body[: field.start] + bytes(missing) + body[field.start :]


def stamped(body: bytes, version: int, seconds: int) -> bytes:
    """An IM or GROUP_IM body as it is stored, with the server's time in it.

    `BodyError` if it is too short for the version it came in.
    """
    rest = 16 if version == 0 else 20
    if len(body) < rest + 4:
        raise BodyError(f"{len(body)} bytes where at least {rest + 4} belong")
    return body[:16] + seconds.to_bytes(4, "big") + body[rest:]


def key_of(body: bytes) -> int:
    """The key in a body that begins with one: what clients report with every message.

    (Several times as fast as decoding the message.) `BodyError` if the body is too short.
    """
    if len(body) < 8:
        raise BodyError(f"{len(body)} bytes where at least 8 belong")
    return int.from_bytes(body[:8], "big", signed=True)


def group_key_of(body: bytes) -> tuple[int, int]:
    """The group and the key in a body that begins with both: the same of super groups."""
    if len(body) < 16:
        raise BodyError(f"{len(body)} bytes where at least 16 belong")
    group_id, key = _GROUP_KEY.unpack_from(body)
    return group_id, key

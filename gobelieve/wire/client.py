"""The messages of the client's link, between clients and the gateway.

Login: the client sends AUTH_TOKEN, and the gateway answers AUTH_STATUS. The version in the header
of AUTH_TOKEN becomes the version of the connection.

Sync: without waiting for that answer, the client sends SYNC with the id of the last message it has
(its *sync key*). It receives SYNC_BEGIN, the messages after that id, and SYNC_END with its new key.
It reports the new key by SYNC_KEY.

Push: a message for a connected client comes at once, as METADATA, the message with the flag PUSH,
and SYNC_NOTIFY with its id. If the client's key is not the previous id in METADATA, it drops the
push and syncs.

Ack: each message that a client sends to be stored (IM, GROUP_IM, CUSTOMER...) is answered by ACK
with its seq.

Lengths, limits and the differences between versions are in docs/protocol.md. The messages of
customer service are in `gobelieve.wire.customers`.
"""

from gobelieve.wire.layout import I8, I32, I64, U8, Gap16, Rest, Short
from gobelieve.wire.message import Message, Sender, message, since
from gobelieve.wire.stored import APP_SERVER, Party, Push, Stored

CLIENT, SERVER, NOBODY = Sender.CLIENT, Sender.SERVER, Sender.NOBODY
BOTH = CLIENT | SERVER


@message(3, "AUTH_STATUS", senders=SERVER)
class AuthStatus(Message):
    """The answer to AUTH_TOKEN: 0 accepted, 1 refused."""

    status: I32


@message(3, "AUTH_STATUS of 2018", senders=NOBODY, twin=True)
class SeedAuthStatus(Message):
    """The answer of the seed to a login in version 0, with the server's own IPv4 address.

    We never send it: the published clients of that time read exactly 4 bytes.
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
    """A message between two users; stored. The server sets the timestamp, in seconds since 1970."""

    sender: I64
    receiver: I64
    timestamp: I32 = since(1, default=0)
    msgid: I32
    content: Rest


@message(5, "ACK", senders=BOTH)
class Ack(Message):
    """The answer to the client's frame with this seq. `status` 0 means that it is on disk."""

    seq: I32
    status: U8 = since(2, default=0)


@message(7, "GROUP_NOTIFICATION", senders=SERVER, stored=Stored(author=APP_SERVER))
class GroupNotification(Message):
    """A change of a group, as JSON; stored."""

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


@message(10, "INPUTING", senders=BOTH, live=True)
class Inputing(Message):
    """ "The user is typing"; live only."""

    sender: I64
    receiver: I64


@message(13, "PING", senders=CLIENT)
class Ping(Message):
    """Asks for a PONG; clients close the connection if none comes within 3 s."""


@message(14, "PONG", senders=BOTH)
class Pong(Message):
    """The answer to PING; ignored if a client sends it."""


@message(15, "AUTH_TOKEN", senders=CLIENT)
class AuthToken(Message):
    """Logs the client in. Token and device id are UTF-8 of at most 255 bytes."""

    platform: I8
    token: Short
    device_id: Short


@message(17, "RT", senders=BOTH, live=True)
class RT(Message):
    """A real-time message for the receiver's connections; not stored, not acked."""

    sender: I64
    receiver: I64
    content: Rest


@message(18, "ENTER_ROOM", senders=CLIENT)
class EnterRoom(Message):
    """Enters a room: from now on the client receives the messages of the room."""

    room: I64


@message(19, "LEAVE_ROOM", senders=CLIENT)
class LeaveRoom(Message):
    """Leaves a room: the client no longer receives its messages."""

    room: I64


@message(20, "ROOM_IM", senders=BOTH, acked=True, live=True)
class RoomIM(Message):
    """A message to a room, whose id is the receiver; live only."""

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
    """A message from the app's server to a user, as JSON; stored."""

    content: Rest


@message(22, "UNREAD_COUNT", senders=CLIENT)
class UnreadCount(Message):
    """The number of unread messages that the app shows; the push workers put it on the phone's
    icon."""

    count: I32


@message(26, "SYNC", senders=CLIENT)
class Sync(Message):
    """Requests the messages after this key; 0 means after the key that was reported last."""

    sync_key: I64


@message(27, "SYNC_BEGIN", senders=SERVER)
class SyncBegin(Message):
    """The answer to SYNC begins: messages after this key follow."""

    sync_key: I64


@message(28, "SYNC_END", senders=SERVER)
class SyncEnd(Message):
    """The answer to SYNC ends. From now on the client's key is this one."""

    sync_key: I64


@message(29, "SYNC_NOTIFY", senders=SERVER)
class SyncNotify(Message):
    """The user's queue has a message with this id."""

    sync_key: I64


@message(30, "SYNC_GROUP", senders=CLIENT)
class SyncGroup(Message):
    """Requests the messages after this key in a super group's queue."""

    group_id: I64
    sync_key: I64


@message(31, "SYNC_GROUP_BEGIN", senders=SERVER)
class SyncGroupBegin(Message):
    """The answer to SYNC_GROUP begins: messages after this key follow."""

    group_id: I64
    sync_key: I64


@message(32, "SYNC_GROUP_END", senders=SERVER)
class SyncGroupEnd(Message):
    """The answer to SYNC_GROUP ends. From now on the client's key for this group is this one."""

    group_id: I64
    sync_key: I64


@message(33, "SYNC_GROUP_NOTIFY", senders=SERVER)
class SyncGroupNotify(Message):
    """The super group's queue has a message with this id."""

    group_id: I64
    sync_key: I64


@message(34, "SYNC_KEY", senders=CLIENT)
class SyncKey(Message):
    """Reports that the client has all messages of its queue up to this key."""

    sync_key: I64


@message(35, "GROUP_SYNC_KEY", senders=CLIENT)
class GroupSyncKey(Message):
    """Reports that the client has all messages of a super group's queue up to this key."""

    group_id: I64
    sync_key: I64


@message(36, "NOTIFICATION", senders=SERVER, live=True)
class Notification(Message):
    """A text from the app's server; live only."""

    content: Rest


@message(37, "METADATA", senders=BOTH)
class Metadata(Message):
    """The id of the frame with the next seq, and the previous id in its queue.

    Ignored if a client sends it.
    """

    sync_key: I64
    prev_sync_key: I64
    gap: Gap16 = since(0, default=bytes(16))

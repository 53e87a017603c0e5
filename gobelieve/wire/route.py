"""The messages between gateway and router.

1. A gateway connects and reports the users (SUBSCRIBE) and rooms (SUBSCRIBE_ROOM) that it has.
2. It publishes what may concern other gateways (PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM). The router
   forwards each publication to the gateways that have the receiver, never back to its source.
3. PUSH lists users who get a phone push if no gateway has them online.

The router answers only MARK. Each MARKED says, in order, that everything before the MARK is in
effect. The first MARK of a connection ends the resubscription. The Go server's router ignores MARK,
like every unknown command without a body, and never answers it.

A publication wraps the *inner frame*, which is the frame for the clients; see
`gobelieve.wire.publication`.

A publication of version 1 with a msgid is a complete delivery: the gateway that receives it adds
the SYNC_NOTIFY (or SYNC_GROUP_NOTIFY) after the message. In version 0 that is a separate
publication.
"""

from collections.abc import Sequence
from struct import Struct, unpack_from

from gobelieve.errors import BodyError
from gobelieve.wire.frames import HEADER_SIZE
from gobelieve.wire.layout import I8, I64, U8, Inner16, Inner32, Many
from gobelieve.wire.message import Message, Sender, message

GATEWAY, ROUTER = Sender.GATEWAY, Sender.ROUTER

INNER_VERSION = 1
"""The version of the frames that our gateways wrap: the layout in which messages are stored."""
OUTER_VERSION = 1
"""The version of the link between our own daemons."""

SUBSCRIBE = 130
UNSUBSCRIBE = 131
PUBLISH = 132
PUSH = 134
PUBLISH_GROUP = 135
SUBSCRIBE_ROOM = 136
UNSUBSCRIBE_ROOM = 137
PUBLISH_ROOM = 138
MARK = 139
MARKED = 140

DECIDES_GROUP_PUSHES = 1
"""A bit of a router's abilities: the router itself finds the members of a super group who get a
push. A gateway asks for that with a PUBLISH_GROUP of the message without the flag PUSH."""


@message(SUBSCRIBE, "SUBSCRIBE", senders=GATEWAY)
class Subscribe(Message):
    """The gateway has the user. `online` 0: connected, but wants phone pushes all the same."""

    appid: I64
    uid: I64
    online: I8


@message(UNSUBSCRIBE, "UNSUBSCRIBE", senders=GATEWAY)
class Unsubscribe(Message):
    """The gateway no longer has the user."""

    appid: I64
    uid: I64


@message(SUBSCRIBE_ROOM, "SUBSCRIBE_ROOM", senders=GATEWAY)
class SubscribeRoom(Message):
    """The gateway has at least one client in the room."""

    appid: I64
    room_id: I64


@message(UNSUBSCRIBE_ROOM, "UNSUBSCRIBE_ROOM", senders=GATEWAY)
class UnsubscribeRoom(Message):
    """The gateway no longer has a client in the room."""

    appid: I64
    room_id: I64


@message(PUSH, "PUSH", senders=GATEWAY)
class Push(Message):
    """Send a phone push of the inner frame to those of these users who are online nowhere."""

    appid: I64
    receivers: Many
    inner: Inner16


@message(PUSH, "PUSH of version 1", senders=GATEWAY, twin=True)
class WidePush(Message):
    """Version 1 of PUSH: the inner frame may be as long as a client's frame can be."""

    appid: I64
    receivers: Many
    inner: Inner32


@message(PUBLISH, "PUBLISH", senders=GATEWAY | ROUTER)
class Publish(Message):
    """Version 0 of a publication to a user's connections."""

    appid: I64
    receiver: I64
    msgid: I64
    device_id: I64
    timestamp: I64
    inner: Inner16


@message(PUBLISH_GROUP, "PUBLISH_GROUP", senders=GATEWAY | ROUTER)
class PublishGroup(Message):
    """Version 0 of a publication to the members of a super group."""

    appid: I64
    receiver: I64
    msgid: I64
    device_id: I64
    timestamp: I64
    inner: Inner16


@message(PUBLISH_ROOM, "PUBLISH_ROOM", senders=GATEWAY | ROUTER)
class PublishRoom(Message):
    """Version 0 of a publication to a room."""

    appid: I64
    receiver: I64
    msgid: I64
    device_id: I64
    timestamp: I64
    inner: Inner16


@message(PUBLISH, "PUBLISH of 2018", senders=Sender.NOBODY, twin=True)
class SeedPublish(Message):
    """The layout of the seed, for all three kinds of publication."""

    appid: I64
    receiver: I64
    msgid: I64
    device_id: I64
    inner: Inner16


@message(PUBLISH, "PUBLISH of version 1", senders=GATEWAY | ROUTER, twin=True)
class Delivery(Message):
    """The layout of version 1, for all three kinds of publication."""

    appid: I64
    receiver: I64
    msgid: I64
    prev_msgid: I64
    timestamp: I64
    inner: Inner32


@message(MARK, "MARK", senders=GATEWAY)
class Mark(Message):
    """Ask the router to answer when everything sent before is in effect."""


@message(MARKED, "MARKED", senders=ROUTER)
class Marked(Message):
    """Everything before the MARK is in effect. `abilities`: see `DECIDES_GROUP_PUSHES`."""

    abilities: U8


PUBLICATIONS = frozenset({PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM})

_PUSH = Struct(">qH")
_USER = Struct(">qqb")
_ID = Struct(">qq")


def peek_push(body: bytes, version: int) -> tuple[int, Sequence[int], int, int]:
    """Return appid and receivers of a PUSH, and where its inner frame begins and ends.

    `BodyError` if it is malformed. The inner frame is not checked, since most are not needed.
    """
    size = len(body)
    if size >= _PUSH.size:
        appid, count = _PUSH.unpack_from(body)
        start = _PUSH.size + 8 * count + (4 if version >= 1 else 2)
        if start + HEADER_SIZE <= size:
            form = f">{count}qI" if version >= 1 else f">{count}qh"
            *receivers, length = unpack_from(form, body, _PUSH.size)
            if HEADER_SIZE <= length <= size - start:
                return appid, receivers, start, start + length
    raise BodyError("a push that does not hold a frame")


def peek_user(body: bytes) -> tuple[int, int, int]:
    """Return appid, uid and online of a SUBSCRIBE.

    This is fast, since a router that restarts receives one SUBSCRIBE per user.
    """
    if len(body) < _USER.size:
        raise BodyError(f"{len(body)} bytes, at least {_USER.size} are needed")
    return _USER.unpack_from(body)


def peek_id(body: bytes) -> tuple[int, int]:
    """Return the appid, and the uid or room, of UNSUBSCRIBE and of both messages about rooms."""
    if len(body) < _ID.size:
        raise BodyError(f"{len(body)} bytes, at least {_ID.size} are needed")
    return _ID.unpack_from(body)

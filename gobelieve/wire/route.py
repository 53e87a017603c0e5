"""The messages between gateway and router.

1. A gateway connects and reports the users (SUBSCRIBE) and rooms (SUBSCRIBE_ROOM) that it has.
2. It publishes what may concern other gateways (PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM). The router
   forwards each publication to the gateways that have the receiver, never back to its source.
3. PUSH lists users who get a phone push if no gateway has them online.

The router answers only MARK. Each MARKED says, in order, that everything before the MARK is in
effect. The first MARK of a connection ends the resubscription. The Go server's router ignores MARK,
like every unknown command without a body, and never answers it.

A publication wraps the *inner frame*, which is the frame for the clients. Its body has one of three
layouts::

    outer version 0       appid, receiver, msgid, device id, timestamp in ns, int16 length, inner
    outer version 1       appid, receiver, msgid, previous msgid, timestamp in ns, uint32 length,
                          inner
    seed (2018)           appid, receiver, msgid, device id, int16 length, inner

Our own daemons send version 1.

The seed's outer version is 0 too; `Publication.read` recognises its layout by the length.

A publication of version 1 with a msgid is a complete delivery: the gateway that receives it adds
the SYNC_NOTIFY (or SYNC_GROUP_NOTIFY) after the message. In version 0 that is a separate
publication.
"""

from collections.abc import Sequence
from struct import Struct, unpack_from
from typing import NamedTuple, Self

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

_HEAD_0 = Struct(">qqqqqh")
_HEAD_1 = Struct(">qqqqqI")
_HEAD_SEED = Struct(">qqqqh")
_PUSH = Struct(">qH")
_USER = Struct(">qqb")
_ID = Struct(">qq")
_PEEK_1 = Struct(">qqqqqIiiBBBB")
_PEEK_0 = Struct(">qqqqqhiiBBBB")
_PEEK_SEED = Struct(">qqqqhiiBBBB")


class Publication(NamedTuple):
    """A publication of any layout. Ids that its layout does not have are 0."""

    appid: int
    receiver: int
    msgid: int
    prev_msgid: int
    timestamp: int
    inner: bytes

    @classmethod
    def read(cls, body: bytes, version: int) -> Self:
        """Read a body whose outer frame has this version; `BodyError` if it is malformed."""
        if version >= 1:
            if len(body) >= _HEAD_1.size:
                appid, receiver, msgid, prev, ns, length = _HEAD_1.unpack_from(body)
                if length == len(body) - _HEAD_1.size:
                    return cls(appid, receiver, msgid, prev, ns, body[_HEAD_1.size :])
            raise BodyError("a publication whose inner frame does not fill it exactly")
        if len(body) >= _HEAD_0.size:
            appid, receiver, msgid, _, ns, length = _HEAD_0.unpack_from(body)
            if 0 <= length <= len(body) - _HEAD_0.size and not _is_seed(body):
                inner = body[_HEAD_0.size : _HEAD_0.size + length]
                return cls(appid, receiver, msgid, 0, ns, inner)
        if _is_seed(body):
            appid, receiver, msgid, _, _ = _HEAD_SEED.unpack_from(body)
            return cls(appid, receiver, msgid, 0, 0, body[_HEAD_SEED.size :])
        raise BodyError("a publication with an impossible inner length")

    def body(self, version: int) -> bytes:
        """Return the body in an outer version; `BodyError` if the inner frame is too long."""
        if version >= 1:
            head = _HEAD_1.pack(*self[:5], len(self.inner))
        elif len(self.inner) > 32767 - _HEAD_0.size:
            raise BodyError("an inner frame too long for a link of version 0")
        else:
            head = _HEAD_0.pack(
                self.appid, self.receiver, self.msgid, 0, self.timestamp, len(self.inner)
            )
        return head + self.inner


Peek = tuple[int, int, int, int, int]
"""appid, receiver, msgid, inner command and flag. (A named tuple would cost a tenth of the router's
whole time per publication.)"""


def peek(body: bytes, version: int) -> Peek:
    """Return the head of a publication; `BodyError` if it does not hold one whole inner frame."""
    size = len(body)
    if version >= 1:
        if size >= _PEEK_1.size:
            appid, to, msgid, _, _, length, inner, _, cmd, _, flag, _ = _PEEK_1.unpack_from(body)
            if length == size - _HEAD_1.size and inner == length - HEADER_SIZE:
                return appid, to, msgid, cmd, flag
    elif _is_seed(body):
        if size >= _PEEK_SEED.size:
            appid, to, msgid, _, length, inner, _, cmd, _, flag, _ = _PEEK_SEED.unpack_from(body)
            if inner == length - HEADER_SIZE:
                return appid, to, msgid, cmd, flag
    elif size >= _PEEK_0.size:
        appid, to, msgid, _, _, length, inner, _, cmd, _, flag, _ = _PEEK_0.unpack_from(body)
        if 0 <= inner == length - HEADER_SIZE and length <= size - _HEAD_0.size:
            return appid, to, msgid, cmd, flag
    raise BodyError("a publication that does not hold one whole frame")


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


def _is_seed(body: bytes) -> bool:
    # At offset 32 the seed has the length of the inner frame, which is everything that follows.
    # Version 0 has the high bytes of a time there, and its own length at offset 40.
    if len(body) < _HEAD_SEED.size:
        return False
    if int.from_bytes(body[32:34], "big", signed=True) != len(body) - _HEAD_SEED.size:
        return False
    if len(body) < _HEAD_0.size:
        return True
    return int.from_bytes(body[40:42], "big", signed=True) != len(body) - _HEAD_0.size

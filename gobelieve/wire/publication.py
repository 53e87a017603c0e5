"""The body of a publication, which wraps the *inner frame*: the frame for the clients.

It has one of three layouts::

    outer version 0       appid, receiver, msgid, device id, timestamp in ns, int16 length, inner
    outer version 1       appid, receiver, msgid, previous msgid, timestamp in ns, uint32 length,
                          inner
    seed (2018)           appid, receiver, msgid, device id, int16 length, inner

Our own daemons send version 1. The seed's outer version is 0 too; `Publication.read` recognises its
layout by the length.
"""

from struct import Struct
from typing import NamedTuple, Self

from gobelieve.errors import BodyError
from gobelieve.wire.frames import HEADER_SIZE

_HEAD_0 = Struct(">qqqqqh")
_HEAD_1 = Struct(">qqqqqI")
_HEAD_SEED = Struct(">qqqqh")
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

"""Bodies of the client's link that are read or changed without decoding the message.

Each message of a client passes one of these functions. They take a fraction of the time of
`Message.decode` and `Message.encode`.
"""

from struct import Struct

from gobelieve.errors import BodyError
from gobelieve.wire.message import GROWN, STORED

_GROUP_KEY = Struct(">qq")


def for_version_0(cmd: int, body: bytes) -> bytes:
    """Return a body in the layout of version 0, from the layout in which storage keeps it.

    IM and GROUP_IM lose their timestamp.
    """
    field = GROWN.get(cmd)
    return body if field is None else body[: field.start] + body[field.stop :]


def from_version_0(cmd: int, body: bytes) -> bytes:
    """Return a body in the layout in which storage keeps it, from the layout of version 0.

    The fields that version 0 lacks become 0. A body that is too short is returned unchanged.
    """
    field = GROWN.get(cmd)
    if field is None:
        return body
    missing = field.stop - field.start
    if len(body) + missing < STORED[cmd].least:
        return body
    return body[: field.start] + bytes(missing) + body[field.start :]


def stamped(body: bytes, version: int, seconds: int) -> bytes:
    """Return an IM or GROUP_IM body as it is stored, with the server's time in it.

    `BodyError` if it is too short for its version.
    """
    rest = 16 if version == 0 else 20
    if len(body) < rest + 4:
        raise BodyError(f"{len(body)} bytes, at least {rest + 4} are needed")
    return body[:16] + seconds.to_bytes(4, "big") + body[rest:]


def key_of(body: bytes) -> int:
    """Return the key at the beginning of a body. Clients report one after every message.

    This is several times as fast as decoding the message. `BodyError` if the body is too short.
    """
    if len(body) < 8:
        raise BodyError(f"{len(body)} bytes, at least 8 are needed")
    return int.from_bytes(body[:8], "big", signed=True)


def group_key_of(body: bytes) -> tuple[int, int]:
    """Return the group and the key at the beginning of a body; `BodyError` if it is too short."""
    if len(body) < 16:
        raise BodyError(f"{len(body)} bytes, at least 16 are needed")
    group_id, key = _GROUP_KEY.unpack_from(body)
    return group_id, key

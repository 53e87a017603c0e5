"""Frames: how bytes are cut, on every link of the system.

A frame is a header of 12 bytes and a body; all integers are big-endian::

    offset  size  type   name
    0       4     int32  length    of the body alone, 0 .. limit
    4       4     int32  seq
    8       1     uint8  cmd       which message the body is
    9       1     uint8  version   which layout the body has
    10      1     uint8  flag
    11      1     uint8  reserved  written as 0, never looked at (old clients send 2)
    12            bytes  body

This module knows bytes and frames, and nothing of sockets or of what the bodies mean.
"""

from collections.abc import Set
from struct import Struct
from typing import NamedTuple

from gobelieve.errors import FrameError

HEADER = Struct(">iiBBBB")
HEADER_SIZE = HEADER.size

CLIENT_BODY_LIMIT = 32767
"""The longest body on a client's link, and the longest that storage keeps (bytes)."""
LINK_BODY_LIMIT = 1 << 20
"""The longest body between gateway and router (bytes)."""
RPC_BODY_LIMIT = 16 << 20
"""The longest body between gateway and storage (bytes)."""

TEXT = 0x01
"""The content is JSON with a text; asks for the word filter. The one flag a client may set."""
UNPERSISTENT = 0x02
GROUP = 0x04
SELF = 0x08
"""In a sync: written by this same user on this same device."""
PUSH = 0x10
"""Sent without being asked for, directly behind its METADATA."""
SUPER_GROUP = 0x20
"""The keys of the METADATA before it are those of the super group's queue."""


class Frame(NamedTuple):
    """One frame, its body still raw."""

    cmd: int
    version: int
    flag: int
    seq: int
    body: bytes


def encode_frame(cmd: int, body: bytes, seq: int = 0, version: int = 0, flag: int = 0) -> bytes:
    """The bytes of a frame."""
    return HEADER.pack(len(body), seq, cmd, version, flag, 0) + body


class FrameReader:
    """Cuts a stream of bytes into frames.

    `feed` returns the frames that the bytes complete. When a header is one that no frame can
    have, the frames before it still count: they are returned, and `error` says what was wrong.
    After that the reader is deaf.

    `limit` is the longest body in bytes. `allowed`, where given, are the only commands that may
    come; a command is judged by its header, before its body has arrived.
    """

    __slots__ = ("_allowed", "_held", "_limit", "_parts", "_wanted", "error")

    def __init__(self, limit: int, allowed: Set[int] | None = None) -> None:
        self._limit = limit
        self._allowed = allowed
        self._parts: list[bytes] | None = None
        self._held = 0
        self._wanted = 0
        self.error: FrameError | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Take what arrived, give the frames that are now whole."""
        if self.error is not None:
            return []
        if self._parts is not None:
            self._parts.append(data)
            self._held += len(data)
            if self._held < self._wanted:
                return []
            data = b"".join(self._parts)
            self._parts = None
        frames: list[Frame] = []
        add, unpack, limit, allowed = frames.append, HEADER.unpack_from, self._limit, self._allowed
        start, end = 0, len(data)
        while end - start >= HEADER_SIZE:
            length, seq, cmd, version, flag, _ = unpack(data, start)
            if not 0 <= length <= limit:
                self.error = FrameError(f"a body of {length} bytes, the limit is {limit}")
                return frames
            if allowed is not None and cmd not in allowed:
                self.error = FrameError(f"command {cmd} is not allowed here")
                return frames
            stop = start + HEADER_SIZE + length
            if stop > end:
                self._keep(data[start:], HEADER_SIZE + length)
                return frames
            add(Frame(cmd, version, flag, seq, data[start + HEADER_SIZE : stop]))
            start = stop
        if start < end:
            self._keep(data[start:], HEADER_SIZE)
        return frames

    def _keep(self, rest: bytes, wanted: int) -> None:
        # The parts are joined only once enough has come, so a long frame that
        # arrives in many small reads costs no copy a read.
        self._parts = [rest]
        self._held = len(rest)
        self._wanted = wanted

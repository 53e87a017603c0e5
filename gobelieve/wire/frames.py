"""Frames: the unit of bytes on every link of the system.

A frame is a header of 12 bytes and a body; all integers are big-endian::

    offset  size  type   name
    0       4     int32  length    of the body alone, 0 .. limit
    4       4     int32  seq
    8       1     uint8  cmd       the kind of message in the body
    9       1     uint8  version   the layout of the body
    10      1     uint8  flag
    11      1     uint8  reserved  written as 0, never read (old clients send 2)
    12            bytes  body

This module knows bytes and frames. It knows neither sockets nor the meaning of bodies.
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
"""The content is JSON with a text, to which the word filter applies. Clients may set this flag
only."""
UNPERSISTENT = 0x02
GROUP = 0x04
SELF = 0x08
"""In a sync: the user wrote this message on this very device."""
PUSH = 0x10
"""The client did not ask for this message; METADATA comes directly before it."""
SUPER_GROUP = 0x20
"""The keys in the METADATA before this frame are keys of the super group's queue."""


class Frame(NamedTuple):
    """One frame, its body still raw."""

    cmd: int
    version: int
    flag: int
    seq: int
    body: bytes


def encode_frame(cmd: int, body: bytes, seq: int = 0, version: int = 0, flag: int = 0) -> bytes:
    """Return the bytes of a frame."""
    return HEADER.pack(len(body), seq, cmd, version, flag, 0) + body


class FrameReader:
    """Cuts a stream of bytes into frames.

    `feed` returns the frames that the bytes complete. After an impossible header, `feed` still
    returns the frames before it, and `error` has the reason. Then the reader ignores all bytes.

    `limit` is the longest body in bytes. `allowed` is the set of commands that may come, or None
    for all. A command is checked as soon as its header is complete, before its body has arrived.
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
        """Take the bytes that arrived, and return the frames that are now complete."""
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
        # The parts are joined only when enough bytes have come. So a long frame that
        # arrives in many small reads is not copied at each read.
        self._parts = [rest]
        self._held = len(rest)
        self._wanted = wanted

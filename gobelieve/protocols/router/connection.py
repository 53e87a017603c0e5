"""One connection of a gateway to a router: it packs the frames, and bounds how much may wait."""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Protocol

from twisted.python.failure import Failure

from gobelieve.interfaces import Turn
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.keepalive import probe_soon
from gobelieve.wire import route
from gobelieve.wire.frames import HEADER_SIZE, LINK_BODY_LIMIT, Frame, encode_frame
from gobelieve.wire.publication import Publication

MAX_UNREAD_BYTES = 4 << 20
"""The bytes that may wait for a router that is slow to read. Beyond them, less is sent."""

RECEIVERS_PER_PUSH = 4000
"""More receivers than this are split into several PUSHes."""

# Each packs a whole frame up to the inner body: these two frames are sent for every message.
_PUBLISH = Struct(">iiBBBB qqqqqI iiBBBB")
_PUBLISH_HEAD = _PUBLISH.size - HEADER_SIZE
_PUSH_ONE = Struct(">iiBBBB qHqI iiBBBB")
_PUSH_ONE_HEAD = _PUSH_ONE.size - HEADER_SIZE


class Owner(Protocol):
    """The link that a connection belongs to."""

    def connected(self, connection: "RouteConnection") -> None:
        """The connection is open."""

    def received(self, frame: Frame) -> None:
        """Handle a frame; `WireError` if it is malformed."""

    def drained(self) -> None:
        """The router reads again, after it did not."""

    def disconnected(self, reason: Failure) -> None:
        """The connection has ended."""


class RouteConnection(FramedProtocol):
    """One connection to a router."""

    limit = LINK_BODY_LIMIT
    allowed = route.PUBLICATIONS | {route.MARKED}

    def __init__(self, turn: Turn, owner: Owner) -> None:
        super().__init__(turn)
        self._owner = owner
        self._seq = 0
        self._unread = 0

    def has_room_for(self, length: int) -> bool:
        """Return True if `length` bytes may be sent now, or False if they must wait.

        While the router does not read, the bytes count as sent.
        """
        if not self.congested:
            return True
        self._unread += length
        return self._unread <= MAX_UNREAD_BYTES

    def next_seq(self) -> int:
        """Return the number of the next frame: 1 for the first one of a connection."""
        self._seq = self._seq % 0x7FFFFFFF + 1
        return self._seq

    # --- to the router

    def send_frame(self, cmd: int, body: bytes) -> None:
        """Send a frame at the end of this turn."""
        self.send(encode_frame(cmd, body, self.next_seq(), route.OUTER_VERSION))

    def publish(
        self,
        outer: int,
        receiver: tuple[int, int],
        cmd: int,
        body: bytes,
        flag: int,
        msgid: int,
        prev: int,
        seconds: float,
    ) -> None:
        """Send a publication at the end of this turn.

        `outer` is PUBLISH, PUBLISH_GROUP or PUBLISH_ROOM. `receiver` is an app, and a user, a super
        group or a room in it. `seconds` is the time since 1970.
        """
        length = len(body)
        self._seq = seq = self._seq % 0x7FFFFFFF + 1
        head = _PUBLISH.pack(
            _PUBLISH_HEAD + length,
            seq,
            outer,
            route.OUTER_VERSION,
            0,
            0,
            *receiver,
            msgid,
            prev,
            int(seconds * 1e9),
            HEADER_SIZE + length,
            length,
            0,
            cmd,
            route.INNER_VERSION,
            flag,
            0,
        )
        self.send(head + body)

    def push(self, appid: int, receiver: int, cmd: int, body: bytes) -> None:
        """Send a PUSH for one user."""
        length = len(body)
        self._seq = seq = self._seq % 0x7FFFFFFF + 1
        head = _PUSH_ONE.pack(
            _PUSH_ONE_HEAD + length,
            seq,
            route.PUSH,
            route.OUTER_VERSION,
            0,
            0,
            appid,
            1,
            receiver,
            HEADER_SIZE + length,
            length,
            0,
            cmd,
            route.INNER_VERSION,
            0,
            0,
        )
        self.send(head + body)

    # --- called by FramedProtocol

    def opened(self) -> None:
        probe_soon(self.transport)
        self._owner.connected(self)

    def frames_received(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._owner.received(frame)

    def drained(self) -> None:
        self._unread = 0
        self._owner.drained()

    def closed(self, reason: Failure) -> None:
        self._owner.disconnected(reason)


def wide_pushes(appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> Iterator[bytes]:
    """Yield the bodies of the PUSHes for these users."""
    inner = encode_frame(cmd, body, 0, route.INNER_VERSION)
    for start in range(0, len(receivers), RECEIVERS_PER_PUSH):
        some = tuple(receivers[start : start + RECEIVERS_PER_PUSH])
        yield route.WidePush(appid=appid, receivers=some, inner=inner).encode()


def group_question(group: tuple[int, int], cmd: int, body: bytes, seconds: float) -> bytes:
    """Return the body of a PUBLISH_GROUP that requests the pushes of a super group, (appid, id).

    It is no delivery, since its inner frame does not have the flag PUSH.
    """
    inner = encode_frame(cmd, body, 0, route.INNER_VERSION)
    return Publication(*group, 0, 0, int(seconds * 1e9), inner).body(route.OUTER_VERSION)

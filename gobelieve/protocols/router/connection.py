"""One connection of a gateway to a router: how what it says is packed, and how much may wait."""

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
"""So many bytes may wait for a router that is slow to read; beyond that, less is sent."""

RECEIVERS_PER_PUSH = 4000
"""More receivers than this are split over several PUSHes."""

# Whole frames up to the inner body, packed at once: these two are sent for every message.
_PUBLISH = Struct(">iiBBBB qqqqqI iiBBBB")
_PUBLISH_HEAD = _PUBLISH.size - HEADER_SIZE
_PUSH_ONE = Struct(">iiBBBB qHqI iiBBBB")
_PUSH_ONE_HEAD = _PUSH_ONE.size - HEADER_SIZE


class Owner(Protocol):
    """Whose connections they are."""

    def connected(self, connection: "RouteConnection") -> None:
        """It is there."""

    def received(self, frame: Frame) -> None:
        """A frame came; `WireError` if it makes no sense."""

    def drained(self) -> None:
        """The router reads again."""

    def disconnected(self, reason: Failure) -> None:
        """It is gone."""


class RouteConnection(FramedProtocol):
    """One connection to a router."""

    limit = LINK_BODY_LIMIT
    allowed = route.PUBLICATIONS | {route.MARKED}

    def __init__(self, turn: Turn, owner: Owner) -> None:
        super().__init__(turn)
        self._owner = owner
        self._seq = 0
        self._unread = 0

    def takes(self, length: int) -> bool:
        """Whether to send something of this length, or to keep it until the router reads."""
        if not self.congested:
            return True
        self._unread += length
        return self._unread <= MAX_UNREAD_BYTES

    def next_seq(self) -> int:
        """Frames are counted from 1 on each connection."""
        self._seq = self._seq % 0x7FFFFFFF + 1
        return self._seq

    # --- to the router

    def say(self, cmd: int, body: bytes) -> None:
        """Send a frame."""
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
        """Send a publication (`outer`: which) to a user, a group or a room of an application."""
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
        """Send a PUSH that names one user."""
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

    # --- told by Twisted

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
    """The bodies of PUSHes that name these users."""
    inner = encode_frame(cmd, body, 0, route.INNER_VERSION)
    for start in range(0, len(receivers), RECEIVERS_PER_PUSH):
        some = tuple(receivers[start : start + RECEIVERS_PER_PUSH])
        yield route.WidePush(appid=appid, receivers=some, inner=inner).encode()


def group_question(group: tuple[int, int], cmd: int, body: bytes, seconds: float) -> bytes:
    """The body of a PUBLISH_GROUP that asks who of a super group, (appid, id), gets a push.

    Without the flag PUSH it is not a delivery, but this question.
    """
    inner = encode_frame(cmd, body, 0, route.INNER_VERSION)
    return Publication(*group, 0, 0, int(seconds * 1e9), inner).body(route.OUTER_VERSION)

"""A tap on a link: it forwards everything, and records the frames of each direction."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from gobelieve.wire import Frame, FrameReader
from gobelieve.wire.frames import RPC_BODY_LIMIT
from gobelieve.wire.message import MESSAGES
from tests.waits import DEADLINE


class Tap:
    """Listens on a port, connects each connection to another port, and records both directions."""

    def __init__(self) -> None:
        self.there: list[Frame] = []
        """Frames from the connecting side to the target."""
        self.back: list[Frame] = []
        self._waiting: list[tuple[list[Frame], list[str], Deferred[None]]] = []
        self._ends: set[_End] = set()
        self._port: Any = None
        self.target = 0
        self.is_cut = False

    async def start(self, target: int) -> int:
        """Forward connections to this port, and return the tap's own port."""
        from twisted.internet import reactor

        self.target = target
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self._port = await endpoint.listen(_Near(self))
        port: int = self._port.getHost().port
        return port

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        for end in list(self._ends):
            end.transport.abortConnection()
        stopping = self._port.stopListening()
        if stopping is not None:
            await stopping

    def cut(self) -> None:
        """Close all connections, and close each new one at once."""
        self.is_cut = True
        for end in list(self._ends):
            end.transport.abortConnection()

    def mend(self) -> None:
        """Forward new connections again."""
        self.is_cut = False

    def forget(self) -> None:
        """Forget the frames recorded so far."""
        self.there.clear()
        self.back.clear()

    async def saw(self, frames: list[Frame], labels: list[str]) -> None:
        """Wait until the frames of one direction (`there` or `back`) begin with these."""
        from twisted.internet import reactor

        seen: Deferred[None] = Deferred()
        self._waiting.append((frames, labels, seen))
        self._check()
        clock: Any = reactor
        try:
            await seen.addTimeout(DEADLINE, clock)
        except Exception:
            raise AssertionError(f"{labels} are expected, {names(frames)} came") from None

    def recorded(self, frames: list[Frame], new: list[Frame]) -> None:
        """Record frames that pass."""
        frames += new
        self._check()

    def _check(self) -> None:
        for entry in list(self._waiting):
            frames, labels, seen = entry
            if names(frames)[: len(labels)] == labels:
                self._waiting.remove(entry)
                seen.callback(None)


def names(frames: list[Frame]) -> list[str]:
    """Return the names of frames."""
    return [MESSAGES[frame.cmd].label for frame in frames]


class _End(Protocol):
    """One end of a connection. It forwards everything to the other end."""

    transport: Any

    def __init__(self, tap: Tap, record: list[Frame]) -> None:
        self._tap = tap
        self._record = record
        self._reader = FrameReader(RPC_BODY_LIMIT)
        self._early = b""
        self.other: _End | None = None

    def connectionMade(self) -> None:
        self._tap._ends.add(self)
        if self._tap.is_cut:
            self.transport.abortConnection()
        self.transport.setTcpNoDelay(True)

    def join(self, other: "_End") -> None:
        """Forward to the other end from now on, beginning with the bytes that came earlier."""
        self.other = other
        other.transport.write(self._early)

    def dataReceived(self, data: bytes) -> None:
        self._tap.recorded(self._record, self._reader.feed(data))
        if self.other is None:
            self._early += data
        else:
            self.other.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._tap._ends.discard(self)
        if self.other is not None:
            self.other.transport.loseConnection()


class _Near(Factory):
    """Accepts the connections to the tap."""

    noisy = False

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def buildProtocol(self, addr: Any) -> _End:
        near = _End(self._tap, self._tap.there)
        far_factory = Factory()
        far_factory.noisy = False
        far = _End(self._tap, self._tap.back)
        far_factory.buildProtocol = lambda addr: far  # type: ignore[method-assign]
        from twisted.internet import reactor

        connecting = HostnameEndpoint(reactor, "127.0.0.1", self._tap.target).connect(far_factory)

        def joined(_: Any) -> None:
            near.join(far)
            far.join(near)

        connecting.addCallbacks(joined, lambda why: near.transport.abortConnection())
        return near

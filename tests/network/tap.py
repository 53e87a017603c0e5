"""A tap on a link: passes everything on, and writes down which frames went which way."""

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
    """Listens on a port, connects each connection to another one, and records both ways."""

    def __init__(self) -> None:
        self.there: list[Frame] = []
        """From who connected to where it leads."""
        self.back: list[Frame] = []
        self._waiting: list[tuple[list[Frame], list[str], Deferred[None]]] = []
        self._ends: set[_End] = set()
        self._port: Any = None
        self.target = 0
        self.is_cut = False

    async def start(self, target: int) -> int:
        """Lead to this port; the port to connect to."""
        from twisted.internet import reactor

        self.target = target
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self._port = await endpoint.listen(_Near(self))
        port: int = self._port.getHost().port
        return port

    async def stop(self) -> None:
        """End all connections, listen no more."""
        for end in list(self._ends):
            end.transport.abortConnection()
        stopping = self._port.stopListening()
        if stopping is not None:
            await stopping

    def cut(self) -> None:
        """The link is down: what is connected ends, and what connects ends at once."""
        self.is_cut = True
        for end in list(self._ends):
            end.transport.abortConnection()

    def mend(self) -> None:
        """It is up again."""
        self.is_cut = False

    def forget(self) -> None:
        """Write down from here."""
        self.there.clear()
        self.back.clear()

    async def saw(self, frames: list[Frame], labels: list[str]) -> None:
        """Returns when the frames of one way (`there` or `back`) begin with these."""
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
        """Frames passed."""
        frames += new
        self._check()

    def _check(self) -> None:
        for entry in list(self._waiting):
            frames, labels, seen = entry
            if names(frames)[: len(labels)] == labels:
                self._waiting.remove(entry)
                seen.callback(None)


def names(frames: list[Frame]) -> list[str]:
    """What the frames are called."""
    return [MESSAGES[frame.cmd].label for frame in frames]


class _End(Protocol):
    """One end of a connection; what it gets goes to the other."""

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
        """From now on pass on, also what came before."""
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
    """Who connects to the tap."""

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

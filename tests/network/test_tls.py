"""Links of frames on TLS over real sockets."""

import socket
import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.keepalive import IDLE, probe_soon
from gobelieve.protocols.tls import TLSEndpoint, TLSFactory, TLSFiles
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.protocols.writing import beneath
from gobelieve.wire.frames import Frame, encode_frame
from tests.certificates import Authority
from tests.waits import DEADLINE, ProcessTestCase, within


class Link(FramedProtocol):
    """Records frames. It fires when the wanted number of frames has come, and at the end."""

    limit = 1 << 20

    def __init__(self) -> None:
        from twisted.internet import reactor

        clock: Any = reactor
        super().__init__(ReactorTurn(clock))
        self.seqs: list[int] = []
        self.wanted = 0
        self.there: Deferred[None] = Deferred()
        self.stalling: Deferred[None] = Deferred()
        self.draining: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def opened(self) -> None:
        probe_soon(self.transport)

    def frames_received(self, frames: list[Frame]) -> None:
        self.seqs += [frame.seq for frame in frames]
        if self.wanted and len(self.seqs) >= self.wanted:
            self.wanted = 0
            self.there.callback(None)

    def stalled(self) -> None:
        if not self.stalling.called:
            self.stalling.callback(None)

    def drained(self) -> None:
        if not self.draining.called:
            self.draining.callback(None)

    def closed(self, reason: Failure) -> None:
        self.gone.callback(None)


class TLSLinkTests(ProcessTestCase):
    """Two ends of a link in this process."""

    async def setUp(self) -> None:  # type: ignore[override]
        from twisted.internet import reactor

        core: Any = reactor
        folder = Path(tempfile.mkdtemp(prefix="gobelieve-tls-"))
        self.addCleanup(rmtree, folder)
        files = TLSFiles(*Authority(folder).issue())
        files.load()
        self.there = Link()
        factory = TLSFactory(files, False, Factory.forProtocol(lambda: self.there), core)
        port = await TCP4ServerEndpoint(core, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        bare = HostnameEndpoint(core, "127.0.0.1", port.getHost().port)
        endpoint = TLSEndpoint(bare, files, "127.0.0.1", core)
        self.here: Any = await endpoint.connect(Factory.forProtocol(Link))
        self.addCleanup(self.end)

    async def end(self) -> None:
        """Close the link, and wait until both ends are gone."""
        self.here.close()
        await within(DEADLINE, self.here.gone, "the end here")
        await within(DEADLINE, self.there.gone, "the end there")

    async def exchanged(self) -> None:
        """Send a frame and wait for it. After that the TLS handshake is complete."""
        self.there.wanted = 1
        self.here.send(encode_frame(1, b"", 0))
        await within(DEADLINE, self.there.there, "the first frame")
        self.there.there = Deferred()

    async def test_an_end_that_does_not_read_is_noticed(self) -> None:
        """Frames for an end that does not read wait. All come when it reads again."""
        await self.exchanged()
        self.there.pause()
        count = 0
        while not self.here.congested:
            self.assertLess(count, 1000, "nobody notices")
            for _ in range(10):
                count += 1
                self.here.send(encode_frame(1, bytes(100_000), count))
            self.here._writer.flush()
        self.assertGreater(self.here.unsent(), 0)
        self.there.wanted = count + 1
        self.there.resume()
        await within(DEADLINE, self.there.there, "all frames")
        self.assertEqual(self.there.seqs, list(range(count + 1)))
        await within(DEADLINE, self.here.draining, "that it reads again")

    async def test_it_ends_although_the_other_end_does_not_read(self) -> None:
        """A link on TLS closes although the other end does not read, like a plain one."""
        await self.exchanged()
        self.there.pause()
        self.here.close()
        await within(DEADLINE, self.here.gone, "the end here")
        self.there.resume()

    async def test_probes(self) -> None:
        """Keepalive probes are set on the socket below TLS."""
        await self.exchanged()
        for end in (self.here, self.there):
            transport: Any = beneath(end.transport)
            handle: socket.socket = transport.getHandle()
            self.assertEqual(handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), IDLE)
            self.assertTrue(handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

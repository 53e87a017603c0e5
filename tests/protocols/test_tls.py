"""TLS between our own daemons: who is let in, and that the links' protocols run on it."""

import itertools
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter, IOPump
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import ConfigError
from gobelieve.metrics import Counters
from gobelieve.protocols.cluster.endpoints import (
    AuthenticatedEndpoint,
    AuthenticatedFactory,
    LinkSecurity,
)
from gobelieve.protocols.cluster.handshake import GreetingError
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.tls import TLSEndpoint, TLSFactory, TLSFiles, tls_trouble
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire.cluster import Port
from gobelieve.wire.frames import Frame, encode_frame
from tests.certificates import Authority, Files
from tests.protocols.cluster.test_endpoints import RealFactory
from tests.protocols.logs import Events


class TLSCase(SynchronousTestCase):
    """A listener and an endpoint with TLS on one pretended reactor."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.authority = Authority(self.folder)
        self.reactor = MemoryReactorClock()
        self.events = Events()
        self.server: Any = RealFactory()
        self.client: Any = RealFactory()
        self.nonces = itertools.count(1)
        self.ports = itertools.count(1000)

    def security(self, tls: bool = True) -> LinkSecurity:
        """Those of a daemon without a secret."""
        return LinkSecurity(
            secret=lambda: b"",
            nonce=lambda: next(self.nonces).to_bytes(32, "big"),
            time=self.reactor,
            counters=Counters(),
            log=self.events.log(),
            greets=True,
            tls=tls,
        )

    def loaded(self, files: Files) -> TLSFiles:
        """What these files have."""
        made = TLSFiles(*files)
        made.load()
        return made

    def connect(
        self, listener: TLSFiles, connector: TLSFiles | None, host: str = "127.0.0.1"
    ) -> tuple[Deferred[IProtocol], IOPump]:
        """One attempt, as far as it goes without any time passing."""
        port = next(self.ports)
        greeted = AuthenticatedFactory(self.server, Port.ROUTE, self.security())
        self.reactor.listenTCP(port, TLSFactory(listener, False, greeted, self.reactor))
        endpoint: Any = TCP4ClientEndpoint(self.reactor, "0.0.0.0", port)
        security = self.security(tls=connector is not None)
        if connector is not None:
            endpoint = TLSEndpoint(endpoint, connector, host, self.reactor)
        attempt = AuthenticatedEndpoint(endpoint, Port.ROUTE, security).connect(self.client)
        pump = ConnectionCompleter(self.reactor).succeedOnce()
        assert pump is not None
        pump.flush()
        return attempt, pump

    def refused(
        self, listener: TLSFiles, connector: TLSFiles | None, host: str = "127.0.0.1"
    ) -> tuple[str, str]:
        """Why the attempt fails: what the connecting side says, and what the listener."""
        attempt, _ = self.connect(listener, connector, host)
        why = self.failureResultOf(attempt, GreetingError).getErrorMessage()
        self.assertEqual((self.server.built, self.client.built), ([], []))
        (text,) = self.events.texts()
        return why, text.partition(": ")[2]


class TLSTests(TLSCase):
    """Who is let in."""

    def test_both_have_certificates(self) -> None:
        """They connect; what they say is not to be read on the way."""
        files = self.loaded(self.authority.issue())
        attempt, pump = self.connect(files, files)
        client: Any = self.successResultOf(attempt)
        seen: list[bytes] = []
        received = pump.serverIO.bufferReceived

        def look(data: bytes) -> None:
            seen.append(data)
            received(data)

        self.patch(pump.serverIO, "bufferReceived", look)
        client.transport.write(b"readable by nobody")
        pump.flush()
        self.assertEqual(self.server.built[0].came, [b"readable by nobody"])
        self.assertTrue(seen)
        self.assertNotIn(b"readable", b"".join(seen))

    def test_a_listener_of_another_authority(self) -> None:
        """The connecting side sees it, and says nothing more."""
        other = Authority(self.folder, "other").issue("stranger")
        files = self.loaded(self.authority.issue())
        why, said = self.refused(self.loaded(other), files)
        self.assertIn("TLS with it failed: certificate verify failed", why)
        self.assertIn("TLS with it failed", said)
        self.assertIn("unknown ca", said)

    def test_a_connecting_side_of_another_authority(self) -> None:
        """It does not count as connected, though its own part of TLS went well."""
        good = self.authority.issue()
        other = Authority(self.folder, "other").issue("stranger")
        stranger = self.loaded(other._replace(ca_file=good.ca_file))
        why, said = self.refused(self.loaded(good), stranger)
        self.assertIn("certificate verify failed", said)
        self.assertIn("unknown ca", why)

    def test_a_certificate_for_another_address(self) -> None:
        """Whoever has a good certificate is still not every daemon."""
        files = self.loaded(self.authority.issue(host="10.0.0.7"))
        why, _ = self.refused(files, files)
        self.assertEqual(why, "its certificate is for another name or address")

    def test_names(self) -> None:
        """A certificate may be for a name."""
        files = self.loaded(self.authority.issue(host="router.example"))
        attempt, _ = self.connect(files, files, "router.example")
        self.successResultOf(attempt)

    def test_an_expired_certificate(self) -> None:
        """Is none."""
        good = self.loaded(self.authority.issue())
        old = self.loaded(self.authority.issue("old", days=-1))
        why, _ = self.refused(old, good)
        self.assertIn("certificate verify failed", why)

    def test_a_chain(self) -> None:
        """An authority below the one that is trusted may sign."""
        below = Authority(self.folder, "below", self.authority)
        files = self.loaded(below.issue("far"))
        attempt, _ = self.connect(files, files)
        self.successResultOf(attempt)

    def test_a_plain_connecting_side(self) -> None:
        """Both logs say that TLS is missing."""
        why, said = self.refused(self.loaded(self.authority.issue()), None)
        self.assertIn("it hung up during our greeting: are secret and TLS the same there?", why)
        self.assertIn("TLS with it failed", said)

    def test_new_files(self) -> None:
        """New connections have the new certificate; those that were there stay."""
        files = self.loaded(self.authority.issue())
        self.successResultOf(self.connect(files, files)[0])
        first = self.server.built[0]
        new = Authority(self.folder).issue()
        self.assertEqual(new.ca_file, str(self.authority.path))
        fresh = self.loaded(new)
        self.failureResultOf(self.connect(files, fresh)[0], GreetingError)
        files.load()
        self.successResultOf(self.connect(files, fresh)[0])
        self.assertIsNone(first.lost)

    def test_files_that_cannot_be_used(self) -> None:
        """Are an error that names the file; what was read before stays."""
        good = self.authority.issue()
        other = self.authority.issue("other")
        empty = self.folder / "empty.pem"
        empty.write_bytes(b"nothing")
        broken = self.folder / "broken.pem"
        broken.write_bytes(b"-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
        for files, why in (
            (good._replace(cert_file="/nowhere/c.pem"), "/nowhere/c.pem: No such file"),
            (good._replace(cert_file=str(empty)), "empty.pem has no certificate"),
            (good._replace(cert_file=str(broken)), "broken.pem has a certificate that cannot"),
            (good._replace(ca_file=str(empty)), "empty.pem has no certificate"),
            (good._replace(key_file=str(empty)), "empty.pem has no key"),
            (
                good._replace(key_file=other.key_file),
                "other.key do not go together: key values mismatch",
            ),
        ):
            raised = self.assertRaises(ConfigError, TLSFiles(*files).load)
            self.assertIn(why, str(raised))
        ready = self.loaded(good)
        Path(good.cert_file).write_bytes(b"")
        self.assertRaises(ConfigError, ready.load)
        self.successResultOf(self.connect(ready, ready)[0])

    def test_for_clients(self) -> None:
        """Without an authority who connects needs no certificate: so it is for apps."""
        cert_file, key_file, _ = self.authority.issue()
        public = TLSFiles(cert_file, key_file)
        public.load()
        factory = TLSFactory(public, False, self.server, self.reactor)
        self.reactor.listenTCP(1, factory)
        endpoint: Any = TCP4ClientEndpoint(self.reactor, "0.0.0.0", 1)
        trusting = self.loaded(self.authority.issue("trusting"))
        app = TLSEndpoint(endpoint, trusting, "127.0.0.1", self.reactor)
        attempt = app.connect(self.client)
        pump = ConnectionCompleter(self.reactor).succeedOnce()
        assert pump is not None
        self.client.built[0].transport.write(b"hello")
        pump.flush()
        self.successResultOf(attempt)
        self.assertEqual(self.server.built[0].came, [b"hello"])

    def test_other_reasons(self) -> None:
        """What has nothing to do with TLS is not said to."""
        self.assertIsNone(tls_trouble(Failure(OSError("no"))))


class Echo(FramedProtocol):
    """Notes what comes, and what it is told."""

    limit = 1 << 20

    def __init__(self, reactor: Any) -> None:
        super().__init__(ReactorTurn(reactor))
        self.frames: list[Frame] = []
        self.said: list[str] = []
        self.why: Failure | None = None

    def frames_received(self, frames: list[Frame]) -> None:
        self.frames += frames

    def stalled(self) -> None:
        self.said.append("stalled")

    def drained(self) -> None:
        self.said.append("drained")

    def closed(self, reason: Failure) -> None:
        self.why = reason
        self.said.append("closed")


class EchoFactory(RealFactory):
    """Builds them."""

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor

    def buildProtocol(self, addr: Any) -> Any:
        made: Any = Echo(self._reactor)
        self.built.append(made)
        return made


class FramedTests(TLSCase):
    """Links of frames on TLS."""

    def setUp(self) -> None:
        super().setUp()
        self.server, self.client = EchoFactory(self.reactor), EchoFactory(self.reactor)
        files = self.loaded(self.authority.issue())
        attempt, self.pump = self.connect(files, files)
        self.successResultOf(attempt)
        self.here: Echo = self.client.built[0]
        self.there: Echo = self.server.built[0]

    def flush(self) -> None:
        """Until nothing is under way."""
        self.reactor.advance(0)
        self.pump.flush()

    def test_frames(self) -> None:
        """Many in one turn, and large ones, arrive whole and in order."""
        sizes = [0, 10, 100_000, 1 << 20, 3]
        for seq, size in enumerate(sizes):
            self.here.send(encode_frame(1, bytes(size), seq))
        self.flush()
        got = [(frame.seq, len(frame.body)) for frame in self.there.frames]
        self.assertEqual(got, list(enumerate(sizes)))

    def test_close(self) -> None:
        """What waits is sent before the end."""
        self.there.send(encode_frame(1, b"last", 1))
        self.there.close()
        self.flush()
        self.assertEqual([frame.body for frame in self.here.frames], [b"last"])
        self.assertEqual((self.here.said, self.there.said), (["closed"], ["closed"]))

    def test_the_transport_is_told_to_end(self) -> None:
        """As a `ClientService` does it that stops, past the protocol and its producer."""
        transport: Any = self.here.transport
        transport.loseConnection()
        self.flush()
        self.assertEqual((self.here.said, self.there.said), (["closed"], ["closed"]))
        self.assertTrue(self.here.why and self.here.why.check(ConnectionDone), self.here.why)
        self.assertTrue(self.there.why and self.there.why.check(ConnectionDone), self.there.why)

    def test_close_while_nothing_is_read(self) -> None:
        """The other end's farewell is not waited for."""
        self.patch(self.pump.serverIO, "bufferReceived", lambda data: None)
        self.here.pause()
        self.here.send(encode_frame(1, b"last", 1))
        self.here.close()
        self.flush()
        self.assertEqual(self.here.said, ["closed"])

    def test_abort(self) -> None:
        """Ends it at once, at both ends."""
        self.there.abort()
        self.flush()
        self.assertEqual((self.here.said, self.there.said), (["closed"], ["closed"]))

    def test_bad_bytes(self) -> None:
        """Are cut off as everywhere."""
        self.here.send(b"\xff" * 12)
        self.flush()
        self.assertEqual(self.there.said, ["closed"])

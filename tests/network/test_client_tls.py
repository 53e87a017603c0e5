"""Clients on TLS over TCP, WebSocket and engine.io, with a certificate that changes."""

import itertools
import json
import socket
import ssl
import tempfile
from base64 import b64encode
from pathlib import Path
from shutil import rmtree
from typing import Any

import treq
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.internet.threads import deferToThread

from gobelieve.client import Client, LoggedIn, MessageReceived
from tests.certificates import Authority
from tests.network.processes import AllInOne, DaemonError
from tests.network.test_listeners import Browser, BrowserFactory, Stranger
from tests.ports import free_port
from tests.waits import DEADLINE, ProcessTestCase, for_this_machine, until, within


class EngineBrowser(Browser):
    """A client like the JavaScript client of 2017: engine.io with frames in base64."""

    def onOpen(self) -> None:
        """Wait for the packet ``open`` before the login."""

    def flush(self) -> None:
        """Send the core's frames."""
        for frame in self.core.frames_to_send():
            self.sendMessage(b"b4" + b64encode(frame))

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if isBinary:
            super().onMessage(payload[1:], isBinary)
        elif payload[:1] == b"0":
            assert json.loads(payload[1:])["pingInterval"] == 25000
            super().onOpen()


class ClientTLSTests(ProcessTestCase):
    """Clients on TLS at the all-in-one daemon."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gobelieve-client-tls-"))
        self.addCleanup(rmtree, self.folder)
        self.authority = Authority(self.folder)
        self.files = self.authority.issue()

    async def start(self, **more: object) -> AllInOne:
        """Start the daemon with all transports."""
        self.tls, self.wss, self.engine, self.engine_tls = (free_port() for _ in range(4))
        ports = {
            "im.ssl_port": self.tls,
            "im.wss_address": f"127.0.0.1:{self.wss}",
            "im.socket_io_address": f"127.0.0.1:{self.engine}",
            "im.tls_address": f"127.0.0.1:{self.engine_tls}",
            "im.cert_file": self.files.cert_file,
            "im.key_file": self.files.key_file,
        }
        self.server = server = AllInOne({**ports, **more})
        server.daemon.listens += [self.tls, self.wss, self.engine, self.engine_tls]
        self.addCleanup(server.stop)
        await server.start()
        return server

    def endpoint(self, port: int, on_tls: bool = True) -> Any:
        """Return an endpoint for a port, which trusts the authority."""
        from twisted.internet import reactor

        bare = HostnameEndpoint(reactor, "127.0.0.1", port)
        if not on_tls:
            return bare
        trusted = Certificate.loadPEM(self.authority.path.read_bytes())
        return wrapClientTLS(optionsForClientTLS("127.0.0.1", trustRoot=trusted), bare)

    async def client(self, uid: int) -> Client:
        """Return a client on TLS over TCP, logged in."""
        from twisted.internet import reactor

        core: Any = reactor
        made = Client(core, self.endpoint(self.tls), uid, await self.server.token(uid))
        self.addCleanup(made.close)
        await made.connect()
        return made

    async def browser(
        self, kind: type[Browser], uid: int, port: int, path: str, on_tls: bool = True
    ) -> Browser:
        """Return a browser that is logged in."""
        from twisted.internet import reactor

        factory = BrowserFactory(f"ws://127.0.0.1:{port}{path}", reactor=reactor)
        factory.setProtocolOptions(openHandshakeTimeout=DEADLINE, closeHandshakeTimeout=DEADLINE)
        factory.browser = browser = kind(uid, await self.server.token(uid))
        await self.endpoint(port, on_tls).connect(factory)
        await within(DEADLINE, browser.next(LoggedIn), "the login of a browser")
        return browser

    async def serial(self, port: int) -> int:
        """Return the serial number of the certificate that a new connection gets."""

        def fetch() -> str:
            return ssl.get_server_certificate(("127.0.0.1", port))

        pem: str = await deferToThread(fetch)
        return int(Certificate.loadPEM(pem.encode()).serialNumber())

    async def exchanged(self, sender: Client, browsers: list[Browser], number: int) -> None:
        """Send a message to each browser, and one back."""
        for browser in browsers:
            await sender.send(browser.core.uid, f"to {number}")
            came = await within(DEADLINE, browser.next(MessageReceived), f"message {number}")
            self.assertEqual(came.content, f"to {number}".encode())
            browser.core.send_im(1001, f"back {number}")
            browser.flush()
            back = await within(DEADLINE, sender.receive(), f"answer {number}")
            self.assertEqual(back.content, f"back {number}".encode())

    def write(self, text: str) -> None:
        """Write this text into the file of the certificate."""
        Path(self.files.cert_file).write_text(text)

    async def logins(self) -> int:
        """Return the number of logins since the start."""
        return int((await self.summary())["counts"]["logins"])

    async def summary(self) -> Any:
        """Return the status page."""
        url = f"http://127.0.0.1:{self.server.http_port}/summary"
        return await (await treq.get(url, persistent=False)).json()

    async def test_every_transport_exchanges_messages_with_every_other(self) -> None:
        """Clients on TLS, WSS, engine.io and engine.io over TLS exchange messages."""
        await self.start()
        alice = await self.client(1001)
        engine = "/engine.io/?EIO=3&transport=websocket"
        browsers = [
            await self.browser(Browser, 1002, self.wss, "/ws"),
            await self.browser(EngineBrowser, 1003, self.engine, engine, on_tls=False),
            await self.browser(EngineBrowser, 1004, self.engine_tls, engine),
        ]
        await self.exchanged(alice, browsers, 1)
        for browser in browsers:
            browser.sendClose(1000)
            self.assertEqual(await within(DEADLINE, browser.closed, "its close"), 1000)

    async def test_a_new_certificate_ends_no_connection(self) -> None:
        """Clients exchange messages while the certificate changes. New connections get the new
        one."""
        server = await self.start()
        alice = await self.client(1001)
        browsers = [
            await self.browser(Browser, 1002, self.wss, "/ws"),
            await self.browser(
                EngineBrowser, 1003, self.engine_tls, "/engine.io/?EIO=3&transport=websocket"
            ),
        ]
        logins = await self.logins()
        numbers = itertools.count(1)
        exchanged = 0
        ending = False

        async def load() -> None:
            nonlocal exchanged
            while not ending:
                await self.exchanged(alice, browsers, next(numbers))
                exchanged += 1

        async def goes_on() -> None:
            reached = exchanged + 3
            await until(lambda: exchanged >= reached, "messages go on")

        loading = Deferred.fromCoroutine(load())
        await goes_on()
        ports = (self.tls, self.wss, self.engine_tls)
        before = {await self.serial(port) for port in ports}
        self.assertEqual(len(before), 1)
        self.authority.issue()
        server.daemon.signal("HUP")
        await server.daemon.logged("the certificate for clients is read again")
        await goes_on()
        after = {await self.serial(port) for port in ports}
        self.assertEqual(len(after), 1)
        self.assertNotEqual(after, before)
        # A bad file changes nothing.
        self.write("no certificate")
        server.daemon.signal("HUP")
        await server.daemon.logged("the certificate for clients is read again failed: .*daemon.pem")
        self.assertEqual({await self.serial(port) for port in ports}, after)
        await goes_on()
        ending = True
        await loading
        self.assertEqual(await self.logins(), logins, "somebody had to come back")
        for browser in browsers:
            browser.sendClose(1000)
            await within(DEADLINE, browser.closed, "its close")

    async def test_a_client_that_does_not_read_is_closed(self) -> None:
        """On every transport, a client that does not read is closed after `write_timeout`. Others
        are served meanwhile."""
        await self.start(**{"im.write_timeout": for_this_machine(2), "im.auth_timeout": DEADLINE})
        alice, other = await self.client(1001), await self.client(1005)
        engine = "/engine.io/?EIO=3&transport=websocket"
        stuck = [
            await self.browser(Browser, 1002, self.server.websocket_port, "/ws", on_tls=False),
            await self.browser(Browser, 1003, self.wss, "/ws"),
            await self.browser(EngineBrowser, 1004, self.engine_tls, engine),
        ]
        transports: list[Any] = [browser.transport for browser in stuck]
        for transport in transports:
            transport.pauseProducing()

        async def closed() -> int:
            counts = (await self.summary())["counts"]
            return int(counts.get("closed_stuck", 0))

        content = "x" * 30_000
        sent = 0
        while await closed() < len(stuck):
            self.assertLess(sent, 3000, "nobody notices")
            for browser in stuck:
                await within(DEADLINE, alice.send(browser.core.uid, content), "an ack")
            await within(DEADLINE, alice.send(1005, "still served"), "an ack")
            await within(DEADLINE, other.receive(), "a message")
            sent += 1
        for browser, transport in zip(stuck, transports, strict=True):
            transport.resumeProducing()
            await within(DEADLINE, browser.closed, "the end of who did not read")

    async def test_a_connection_without_tls_is_closed(self) -> None:
        """On every port, a connection that does not begin TLS is closed after `auth_timeout`."""
        await self.start(**{"im.auth_timeout": 0.9})
        silent = []
        for port in (self.tls, self.wss, self.engine, self.engine_tls):
            factory = Factory.forProtocol(Stranger)
            silent.append(await self.endpoint(port, on_tls=False).connect(factory))
        for one in silent:
            await within(DEADLINE, one.gone, "the end of a silent connection")

    async def test_old_versions_of_tls_are_refused(self) -> None:
        """TLS 1.2 is the oldest version that is accepted."""
        await self.start()

        def version(newest: ssl.TLSVersion) -> str | None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = newest
            with socket.create_connection(("127.0.0.1", self.tls), DEADLINE) as bare:
                try:
                    with context.wrap_socket(bare) as wrapped:
                        return wrapped.version()
                except ssl.SSLError:
                    return None

        self.assertEqual(await deferToThread(version, ssl.TLSVersion.TLSv1_2), "TLSv1.2")
        self.assertIsNone(await deferToThread(version, ssl.TLSVersion.TLSv1_1))

    async def test_a_key_that_cannot_be_read_is_one_line(self) -> None:
        """A key that cannot be read is an error of one line, which names the file."""
        missing = self.folder / "missing.key"
        with self.assertRaises(DaemonError) as caught:
            await self.start(**{"im.key_file": missing})
        self.assertIn(f"{missing}: No such file or directory", str(caught.exception))
        self.assertNotIn("Traceback", str(caught.exception))

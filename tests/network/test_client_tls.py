"""Clients on TLS: over TCP, WebSocket and engine.io, with a certificate that changes."""

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
    """As the JavaScript client of 2017: engine.io, frames in base64."""

    def onOpen(self) -> None:
        """It speaks when it has the packet ``open``."""

    def say(self) -> None:
        """Send what the core has to say."""
        for frame in self.core.frames_to_send():
            self.sendMessage(b"b4" + b64encode(frame))

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if isBinary:
            super().onMessage(payload[1:], isBinary)
        elif payload[:1] == b"0":
            assert json.loads(payload[1:])["pingInterval"] == 25000
            super().onOpen()


class ClientTLSTests(ProcessTestCase):
    """On the daemon that is all in one."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gobelieve-client-tls-"))
        self.addCleanup(rmtree, self.folder)
        self.authority = Authority(self.folder)
        self.files = self.authority.issue()

    async def start(self, **more: object) -> AllInOne:
        """Start it, on all transports."""
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
        """Connects to a port, and trusts the authority."""
        from twisted.internet import reactor

        bare = HostnameEndpoint(reactor, "127.0.0.1", port)
        if not on_tls:
            return bare
        trusted = Certificate.loadPEM(self.authority.path.read_bytes())
        return wrapClientTLS(optionsForClientTLS("127.0.0.1", trustRoot=trusted), bare)

    async def client(self, uid: int) -> Client:
        """A client on TLS over TCP, logged in."""
        from twisted.internet import reactor

        core: Any = reactor
        made = Client(core, self.endpoint(self.tls), uid, await self.server.token(uid))
        self.addCleanup(made.close)
        await made.connect()
        return made

    async def browser(
        self, kind: type[Browser], uid: int, port: int, path: str, on_tls: bool = True
    ) -> Browser:
        """A browser, logged in."""
        from twisted.internet import reactor

        factory = BrowserFactory(f"ws://127.0.0.1:{port}{path}", reactor=reactor)
        factory.setProtocolOptions(openHandshakeTimeout=DEADLINE, closeHandshakeTimeout=DEADLINE)
        factory.browser = browser = kind(uid, await self.server.token(uid))
        await self.endpoint(port, on_tls).connect(factory)
        await within(DEADLINE, browser.next(LoggedIn), "the login of a browser")
        return browser

    async def serial(self, port: int) -> int:
        """The serial number of the certificate that a new connection is shown."""

        def fetch() -> str:
            return ssl.get_server_certificate(("127.0.0.1", port))

        pem: str = await deferToThread(fetch)
        return int(Certificate.loadPEM(pem.encode()).serialNumber())

    async def exchanged(self, sender: Client, browsers: list[Browser], number: int) -> None:
        """One message to each browser, and one back."""
        for browser in browsers:
            await sender.send(browser.core.uid, f"to {number}")
            came = await within(DEADLINE, browser.next(MessageReceived), f"message {number}")
            self.assertEqual(came.content, f"to {number}".encode())
            browser.core.send_im(1001, f"back {number}")
            browser.say()
            back = await within(DEADLINE, sender.receive(), f"answer {number}")
            self.assertEqual(back.content, f"back {number}".encode())

    def write(self, text: str) -> None:
        """Into the certificate's file."""
        Path(self.files.cert_file).write_text(text)

    async def logins(self) -> int:
        """How many there were since the start."""
        return int((await self.summary())["counts"]["logins"])

    async def summary(self) -> Any:
        """The status page."""
        url = f"http://127.0.0.1:{self.server.http_port}/summary"
        return await (await treq.get(url, persistent=False)).json()

    async def test_every_transport_exchanges_messages_with_every_other(self) -> None:
        """TLS, WSS, engine.io, and engine.io on TLS."""
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

    async def test_a_new_certificate_drops_nobody(self) -> None:
        """While messages are exchanged all the time; who comes then is shown the new one."""
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
        await server.daemon.said("the certificate for clients is read again")
        await goes_on()
        after = {await self.serial(port) for port in ports}
        self.assertEqual(len(after), 1)
        self.assertNotEqual(after, before)
        # A file that cannot be used changes nothing.
        self.write("no certificate")
        server.daemon.signal("HUP")
        await server.daemon.said("the certificate for clients is read again failed: .*daemon.pem")
        self.assertEqual({await self.serial(port) for port in ports}, after)
        await goes_on()
        ending = True
        await loading
        self.assertEqual(await self.logins(), logins, "somebody had to come back")
        for browser in browsers:
            browser.sendClose(1000)
            await within(DEADLINE, browser.closed, "its close")

    async def test_who_does_not_read_is_ended_and_holds_up_nobody(self) -> None:
        """On every transport: after write_timeout, while others are served."""
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

    async def test_who_does_not_begin_tls_is_closed_in_time(self) -> None:
        """By the time for the login, on every port."""
        await self.start(**{"im.auth_timeout": 0.9})
        silent = []
        for port in (self.tls, self.wss, self.engine, self.engine_tls):
            factory = Factory.forProtocol(Stranger)
            silent.append(await self.endpoint(port, on_tls=False).connect(factory))
        for one in silent:
            await within(DEADLINE, one.gone, "the end of a silent connection")

    async def test_old_versions_of_tls_are_refused(self) -> None:
        """1.2 is the oldest."""
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
        """Which names the file."""
        missing = self.folder / "missing.key"
        with self.assertRaises(DaemonError) as caught:
            await self.start(**{"im.key_file": missing})
        self.assertIn(f"{missing}: No such file or directory", str(caught.exception))
        self.assertNotIn("Traceback", str(caught.exception))

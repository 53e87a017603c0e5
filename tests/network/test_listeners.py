"""Browsers on WebSocket, limits for new connections, and the status pages."""

from typing import Any

import treq
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool

from gobelieve.client import ClientCore, Event, LoggedIn, MessageReceived
from tests.network.processes import AllInOne
from tests.waits import DEADLINE, ProcessTestCase, within


class Browser(WebSocketClientProtocol):
    """A client's core on WebSocket: one frame per message."""

    def __init__(self, uid: int, token: str) -> None:
        super().__init__()
        self.core = ClientCore(uid)
        self.token = token
        self.events: DeferredQueue[Event] = DeferredQueue()
        self.closed: Deferred[int | None] = Deferred()

    def onOpen(self) -> None:
        self.core.log_in(self.token, 3, "a browser")
        self.core.sync_all()
        self.flush()

    def flush(self) -> None:
        """Send the core's frames."""
        for frame in self.core.frames_to_send():
            self.sendMessage(frame, isBinary=True)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        for event in self.core.receive_data(payload):
            self.events.put(event)
        self.flush()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.closed.callback(code)

    async def next(self, kind: type[Event]) -> Any:
        """Return the next event of a kind, and drop the events before it."""
        while True:
            event = await self.events.get()
            if isinstance(event, kind):
                return event


class Stranger(Protocol):
    """A connection that sends nothing."""

    def __init__(self) -> None:
        self.gone: Deferred[None] = Deferred()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(None)


class BrowserFactory(WebSocketClientFactory):
    """Makes the connection of one browser."""

    browser: Browser

    def buildProtocol(self, addr: object) -> Browser:
        self.browser.factory = self
        return self.browser


class ListenerTests(ProcessTestCase):
    """The listeners of the all-in-one daemon."""

    async def start(self, values: dict[str, Any] | None = None) -> AllInOne:
        """Start the daemon with these settings."""
        server = AllInOne(values)
        self.addCleanup(server.stop)
        await server.start()
        return server

    async def browser(self, server: AllInOne, uid: int, path: str = "/ws") -> Browser:
        """Return a browser that connects."""
        from twisted.internet import reactor

        url = f"ws://127.0.0.1:{server.websocket_port}{path}"
        factory = BrowserFactory(url, reactor=reactor)
        # Autobahn's limit of one second is too short on a busy machine.
        factory.setProtocolOptions(
            openHandshakeTimeout=DEADLINE,
            closeHandshakeTimeout=DEADLINE,
            serverConnectionDropTimeout=DEADLINE,
        )
        factory.browser = browser = Browser(uid, await server.token(uid))
        await HostnameEndpoint(reactor, "127.0.0.1", server.websocket_port).connect(factory)
        return browser

    async def test_a_browser_and_a_tcp_client_exchange_messages(self) -> None:
        """A browser at /ws and a TCP client exchange messages."""
        server = await self.start()
        alice = await server.client(1001)
        self.addCleanup(alice.close)
        await alice.connect()
        bob = await self.browser(server, 1002)
        await bob.next(LoggedIn)
        await alice.send(1002, "to the browser")
        self.assertEqual((await bob.next(MessageReceived)).content, b"to the browser")
        bob.core.send_im(1001, "from the browser")
        bob.flush()
        self.assertEqual((await alice.receive()).content, b"from the browser")
        bob.sendClose(1000)
        self.assertEqual(await bob.closed, 1000)

    async def test_a_text_message_closes_with_a_code(self) -> None:
        """A text message closes the WebSocket with code 4003. The daemon keeps running."""
        server = await self.start()
        bob = await self.browser(server, 1002)
        await bob.next(LoggedIn)
        bob.sendMessage(b"text", isBinary=False)
        self.assertEqual(await bob.closed, 4003)

    async def test_the_oldest_silent_connections_are_closed(self) -> None:
        """The oldest silent connections are closed. Clients that log in, or have logged in,
        stay."""
        from twisted.internet import reactor

        server = await self.start({"im.anonymous_limit_per_address": 3})
        alice, bob = await server.client(1001), await server.client(1002)
        await alice.connect()
        strangers: list[Any] = []
        for port in (server.port, server.websocket_port) * 4:
            endpoint = HostnameEndpoint(reactor, "127.0.0.1", port)
            strangers.append(await endpoint.connect(Factory.forProtocol(Stranger)))
        for stranger in strangers[:5]:
            await within(DEADLINE, stranger.gone, "the oldest strangers go")
        await bob.connect()
        await alice.send(1002, "still there")
        self.assertEqual((await bob.receive()).content, b"still there")
        await within(DEADLINE, strangers[5].gone, "one more went for bob")
        self.assertFalse(any(stranger.gone.called for stranger in strangers[6:]))
        for client in (alice, bob):
            await client.close()

    async def test_no_new_connections_when_memory_is_short(self) -> None:
        """When memory is short, a new connection is closed at once, and the log says why."""
        from twisted.internet import reactor

        server = await self.start({"im.memory_limit": "1M"})
        await server.daemon.logged("MiB of memory are more than memory_limit: no new connections")
        for port in (server.port, server.websocket_port):
            endpoint = HostnameEndpoint(reactor, "127.0.0.1", port)
            stranger: Any = await endpoint.connect(Factory.forProtocol(Stranger))
            await within(DEADLINE, stranger.gone, "the end")

    async def test_the_status_pages_count_clients_and_messages(self) -> None:
        """The status pages use the Go server's names."""
        from twisted.internet import reactor

        server = await self.start()
        alice = await server.client(1001)
        self.addCleanup(alice.close)
        await alice.connect()
        await alice.send(1002, "x")
        clock: Any = reactor
        agent = Agent(clock, pool=HTTPConnectionPool(clock, persistent=False))
        web = treq.client.HTTPClient(agent)
        base = f"http://127.0.0.1:{server.http_port}"
        summary = await (await web.get(f"{base}/summary")).json()
        counted = [summary[key] for key in ("connection_count", "client_count", "in_message_count")]
        self.assertEqual(counted, [1, 1, 1])
        health = await web.get(f"{base}/health")
        self.assertEqual(await health.json(), {"status": "ok"})
        missing_page = await web.get(f"{base}/nothing")
        self.assertEqual(missing_page.code, 404)
        await missing_page.content()

"""The log contains no secret, whatever clients and the app's server do."""

import json
import secrets
from base64 import b64encode
from typing import Any

import jwt
import treq
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory

from gobelieve.wire import client
from gobelieve.wire.frames import encode_frame
from tests.network.processes import APPID, AllInOne, Cluster, Daemon, Daemons
from tests.network.test_listeners import Stranger
from tests.servers import missing, shared_redis
from tests.waits import DEADLINE, ProcessTestCase, for_this_machine, within


class Talker(Stranger):
    """Sends bytes, and waits for the end of its connection."""

    says = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.says)


class Page(WebSocketClientProtocol):
    """A page that sends a text message, which is not allowed."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self.text = text
        self.ended: Deferred[None] = Deferred()

    def onOpen(self) -> None:
        self.sendMessage(self.text)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.ended.callback(None)


class SecretsTests(ProcessTestCase):
    """Daemons that log everything. The tests search their logs for secrets."""

    def setUp(self) -> None:
        self.secrets: list[str] = []

    def secret(self, what: str) -> str:
        """Return a new secret, which must not be in a log."""
        made = f"{what}{secrets.token_hex(16)}"
        self.secrets.append(made)
        return made

    def auth(self, token: str) -> bytes:
        """Return a frame that logs in."""
        return client.AuthToken(platform=2, token=token.encode(), device_id=b"d").frame(1, 1)

    async def send_until_closed(self, port: int, words: bytes) -> None:
        """Send bytes on TCP, and wait until the server closes the connection."""
        from twisted.internet import reactor

        made = type("One", (Talker,), {"says": words})
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", port)
        talker: Any = await endpoint.connect(Factory.forProtocol(made))
        await within(DEADLINE, talker.gone, f"the end after {words!r}")

    async def misbehave(self, tcp: int, websocket: int, token: str) -> None:
        """Make all mistakes that a client can make, with a good token and with bad ones."""
        await self.send_until_closed(tcp, self.auth(self.secret("unknown")) * 3)
        good, whole = self.auth(token), encode_frame(15, b"\x02\xff" + token.encode(), 1, 1)
        await self.send_until_closed(tcp, whole)
        await self.send_until_closed(tcp, good + token.encode() * 3)
        await self.send_until_closed(tcp, good + encode_frame(4, b"short", 2, 1))
        await self.send_until_closed(tcp, f"GET /?token={token} HTTP/1.0\r\n\r\n".encode())
        request = f"GET /elsewhere?token={token} HTTP/1.1\r\nHost: x\r\nX-Token: {token}\r\n\r\n"
        await self.send_until_closed(websocket, request.encode())
        await self.page(websocket, f"/ws?token={token}", token)

    async def page(self, port: int, path: str, text: str) -> None:
        """Connect a browser that sends a text message."""
        from twisted.internet import reactor

        factory = WebSocketClientFactory(f"ws://127.0.0.1:{port}{path}", reactor=reactor)
        page = Page(text.encode())
        factory.protocol = lambda: page  # type: ignore[assignment]
        await HostnameEndpoint(reactor, "127.0.0.1", port).connect(factory)
        await within(DEADLINE, page.ended, "the end of the page")

    async def ask(self, port: int, path: str, key: str, body: bytes = b"") -> int:
        """Send a request with a key, like the app's server, and return the status."""
        headers: dict[bytes | str, bytes | str] = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
        }
        url = f"http://127.0.0.1:{port}{path}"
        method = "POST" if body else "GET"
        response = await treq.request(method, url, headers=headers, data=body, persistent=False)
        await response.content()
        return int(response.code)

    async def requests(self, port: int, key: str, content: str) -> None:
        """Send good and bad requests."""
        peer = f"appid={APPID}&sender=1001&receiver=1002"
        self.assertEqual(
            await self.ask(port, f"/post_peer_message?{peer}", key, content.encode()), 200
        )
        self.assertEqual(
            await self.ask(port, f"/post_peer_message?{peer}", self.secret("no"), b"x"), 401
        )
        await self.ask(port, f"/nowhere?key={key}", key)
        await self.ask(port, f"/post_peer_message?{key}={key}", key, key.encode())
        await self.ask(port, "/post_system_message", key, b"{" + key.encode())

    def search(self, daemons: list[Daemon]) -> str:
        """Check that no log contains a secret, and return the log of the last daemon."""
        log = ""
        for daemon in daemons:
            log = daemon.log
            for hidden in self.secrets:
                for form in (
                    hidden,
                    b64encode(hidden.encode()).decode()[:-4],
                    hidden.encode().hex(),
                ):
                    self.assertNotIn(form, log)
        return log

    async def exchange(self, servers: Any, first: Any, second: Any) -> None:
        """Let two clients log in, exchange a message, and close."""
        for one in (first, second):
            await one.connect()
        await first.send(1002, self.secret("said"))
        await within(DEADLINE, second.receive(), "the message")
        for one in (first, second):
            await one.close()

    async def stop(self, daemons: Daemons) -> None:
        """Stop all daemons in order, and keep their logs."""
        for daemon in reversed(daemons.daemons):
            await daemon.stop()

    async def test_three_daemons_that_log_json(self) -> None:
        """Logs in JSON contain no tokens, no cluster secret, and no key of the app's server."""
        cluster_secret, key = self.secret("cluster"), self.secret("key")
        common = {"log.level": "debug", "log.format": "json", "cluster.secret": cluster_secret}
        im = {**common, "http_api_keys": f'["{key}"]'}
        cluster = Cluster(shared_redis(), im=im, imr=common, ims=common)
        self.addCleanup(cluster.stop)
        await cluster.start()
        tokens = [cluster.token(uid) for uid in (1001, 1002, 1003)]
        self.secrets += tokens
        alice, bob = cluster.client(1001), cluster.client(1002)
        await self.exchange(cluster, alice, bob)
        await self.misbehave(cluster.port(), cluster.websocket_port(), tokens[2])
        await self.requests(cluster.http_port(), key, self.secret("posted"))
        await self.stop(cluster)
        log = self.search(cluster.daemons)
        texts = [json.loads(line)["text"] for line in log.splitlines() if line.startswith("{")]
        self.assertEqual(len(texts), len(log.splitlines()))
        for words in ("user 1001 of app 7 logged in from 127.0.0.1:", "user 1002 of app 7 is gone"):
            self.assertTrue([text for text in texts if text.startswith(words)], words)
        unknown = [text for text in texts if text.endswith("has a token that is unknown")]
        self.assertEqual(len(unknown), 3)

    test_three_daemons_that_log_json.skip = missing("redis-server")  # type: ignore[attr-defined]

    async def test_all_in_one_with_signed_tokens(self) -> None:
        """A log in text contains no signed tokens, and no keys that sign them."""
        signing, former, key = self.secret("signing"), self.secret("former"), self.secret("key")
        server = AllInOne(
            {
                "log.level": "debug",
                "im.auth_method": "jwt",
                "im.auth_timeout": for_this_machine(1),
                "im.jwt_signing_key": signing,
                "im.jwt_former_keys": f'["{former}"]',
                "im.http_api_keys": f'["{key}"]',
                "cluster.secret": self.secret("cluster"),
            }
        )
        self.addCleanup(server.stop)
        await server.start()
        claims = {"appid": APPID, "uid": 1001}
        token = jwt.encode(claims, signing + "0" * 8, algorithm="HS256")
        good = jwt.encode(claims, former, algorithm="HS256")
        self.secrets += [token, good]
        await self.misbehave(server.port, server.websocket_port, token)
        await self.misbehave(server.port, server.websocket_port, good)
        await self.requests(server.http_port, key, self.secret("posted"))
        await self.stop(server)
        log = self.search(server.daemons)
        self.assertIn("user 1001 of app 7 logged in", log)
        self.assertIn("has a token that is unknown", log)
        self.assertIn("is cut off", log)

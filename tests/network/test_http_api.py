"""The HTTP API of running daemons: posts reach their receivers, and only stored ones are
acknowledged.

The Go server's test cases that post over HTTP are here, by their names.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import treq
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue
from twisted.web.client import Agent, HTTPConnectionPool

from gobelieve.client import FROM_THE_BEGINNING, Client, MemoryKeyStore
from gobelieve.wire import client
from tests.network.processes import APPID, ROOT, Cluster
from tests.network.sites import KEFU, ORDINARY, SUPER, SiteCase, all_in_one, two_nodes
from tests.servers import missing, shared_redis

KEY = "the-key-of-the-apps-server"
NOTICE = json.dumps({"create": {"name": "x"}})


class HttpCase(SiteCase):
    """Posts over connections that stay open, like an app's server."""

    port: int

    def setUp(self) -> None:
        from twisted.internet import reactor

        clock: Any = reactor
        self.pool = HTTPConnectionPool(clock)
        self.pool.maxPersistentPerHost = 20
        self.addCleanup(self.pool.closeCachedConnections)
        self.web = treq.client.HTTPClient(Agent(clock, pool=self.pool))

    async def ask(
        self, method: str, path: str, body: Any = None, *, port: int = 0, **query: Any
    ) -> tuple[int, bytes]:
        """Send a request and return status and body."""
        url = f"http://127.0.0.1:{port or self.port}{path}"
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        params = {name: str(value) for name, value in query.items()}
        headers: Any = {"authorization": f"Bearer {KEY}"}
        answer = await self.web.request(method, url, params=params, data=data, headers=headers)
        return answer.code, await answer.content()

    async def post(self, path: str, body: Any, **query: Any) -> None:
        """Send a post, and check that the answer is 200 without a body."""
        answer = await self.soon(self.ask("POST", path, body, **query), path)
        self.assertEqual(answer, (200, b""), path)

    async def read(self, path: str, **query: Any) -> Any:
        """Send a request, check that the answer is 200, and return its JSON."""
        code, body = await self.soon(self.ask("GET", path, **query), path)
        self.assertEqual(code, 200, body)
        return json.loads(body)

    async def message(self, one: Client, kind: type) -> Any:
        """Return the client's next message, which must be of this kind."""
        got = await self.soon(one.receive(), f"{one.uid} gets {kind.__name__}")
        self.assertIsInstance(got.message, kind)
        return got


class SuiteTests(HttpCase):
    """The Go server's test cases, on the all-in-one daemon with SQLite."""

    async def test_the_original_suite(self) -> None:
        """Each step is one of the Go server's test cases. All run on one daemon."""
        server = await all_in_one(self, **{"im.http_api_keys": [KEY]})
        self.port = server.http_port
        one, two = (
            await self.begin(await server.client(1)),
            await self.begin(await server.client(2)),
        )

        # TestHttpSendAndRecv
        await self.post("/post_peer_message", b"test", appid=APPID, sender=1, receiver=2)
        self.assertEqual((await self.message(two, client.IM)).content, b"test")
        await self.get([b"test"], one)

        # TestNotification
        await self.post("/post_notification", b"notice", appid=APPID, uid=2)
        heard = await self.soon(two.receive_live(), "a frame 36")
        self.assertEqual(heard, client.Notification(content=b"notice"))

        # TestSystemMessage
        system = {"appid": APPID, "content": "system", "receivers": [2]}
        await self.post("/post_system_message", system)
        self.assertEqual((await self.message(two, client.System)).content, b"system")

        # TestGroupNotification
        notice = {"appid": APPID, "notification": NOTICE, "members": list(range(1, 11))}
        await self.post("/post_group_notification", {**notice, "group_id": ORDINARY})
        for member in (one, two):
            got = await self.message(member, client.GroupNotification)
            self.assertIn("create", json.loads(got.content))
            self.assertEqual(got.group_id, 0)

        # TestSuperGroupNotification
        await self.post("/post_group_notification", {**notice, "group_id": SUPER})
        for member in (one, two):
            got = await self.message(member, client.GroupNotification)
            self.assertIn("create", json.loads(got.content))
            self.assertEqual(got.group_id, SUPER)

        # TestSendHttpGroupMessage
        for group in (ORDINARY, SUPER):
            await self.post("/post_group_message", b"x", appid=APPID, sender=2, receiver=group)
            for member in (one, two):
                got = await self.message(member, client.GroupIM)
                self.assertEqual((got.sender, got.content), (2, b"x"))
        await self.nothing_more(one, two)
        await self.read_back()

    async def read_back(self) -> None:
        """Check that the posts are in the queue of user 2: read forward, backward and counted."""
        latest = await self.read("/load_latest_message", appid=APPID, uid=2, limit=10)
        self.assertEqual([one["content"] for one in latest["data"]], ["test", "x"])
        found, more, at = [], True, 0
        while more:
            page = await self.read("/load_history_message", appid=APPID, uid=2, last_id=at, limit=1)
            found += page["data"]
            more, at = page["more"], page["next_id"]
        self.assertEqual(found, latest["data"])
        found, more, at = [], True, 1 << 62
        while more:
            path, query = "/load_history_message", {"appid": APPID, "uid": 2, "limit": 1}
            page = await self.read(path, before_id=at, **query)
            found[:0] = page["data"]
            more, at = page["more"], page["next_id"]
        self.assertEqual(found, latest["data"])
        first = latest["data"][0]["id"]
        count = await self.read("/get_offline_count", appid=APPID, uid=2, sync_key=first)
        self.assertEqual(count, {"data": {"count": 3}}, "a system message, a notice, a message")

    async def test_sessions(self) -> None:
        """Sessions are listed and ended. Without the key nothing happens."""
        server = await all_in_one(self, **{"im.http_api_keys": [KEY]})
        self.port = server.http_port
        one = await self.begin(await server.client(1, device_id="a"))
        online = await self.read("/online", appid=APPID, uid=1)
        self.assertEqual((online["data"]["online"], len(online["data"]["sessions"])), (True, 1))
        url = f"http://127.0.0.1:{self.port}/kick?appid=7&uid=1"
        refused = await self.web.post(url)
        self.assertEqual(
            (refused.code, json.loads(await refused.content())["meta"]["code"]), (401,) * 2
        )
        code, body = await self.soon(self.ask("POST", "/kick", b"", appid=APPID, uid=1), "kick")
        self.assertEqual((code, body), (200, b'{"data":{"kicked":1}}'))
        await self.soon(one.send(2, "I am back"), "the app connects again by itself")


class TwoNodeTests(HttpCase):
    """Posts at one gateway for users at another. They share storages, routers and groups."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")

    async def test_posts_reach_users_anywhere(self) -> None:
        """Messages of every kind arrive once and in order. A user's own device gets posts in their
        name."""
        cluster = await two_nodes(self, "http_api")
        self.port = cluster.http_port(0)
        one, two = [await self.begin(cluster.client(uid, 1)) for uid in (1, 2)]
        seller = await self.begin(cluster.client(55, 1, appid=KEFU))
        await self.enter(5, one, two)
        peer = {"appid": APPID, "sender": 1, "receiver": 2}
        for content in (b"a", b"b"):
            await self.post("/post_peer_message", content, **peer)
            await self.get([content], one, two)
        old = {"receiver": 2, "content": "c"}
        query = {"appid": APPID, "sender": 1, "class": "peer"}
        await self.post("/post_im_message", old, **query)
        await self.get([b"c"], one, two)
        await self.post("/post_system_message", b"s", appid=APPID, uid=2)
        await self.get([b"s"], two)
        for group in (ORDINARY, SUPER):
            to = {**query, "class": "group"}
            await self.post("/post_im_message", {"receiver": group, "content": "g"}, **to)
            await self.get([b"g"], one, two)
            notice = {"appid": APPID, "group_id": group, "notification": NOTICE}
            await self.post("/post_group_notification", notice)
            await self.get([NOTICE.encode()], one, two)
        help_ = {"customer_appid": APPID, "customer_id": 1, "store_id": 3, "seller_id": 55}
        answer = self.ask("POST", "/post_customer_message", {**help_, "content": "help"})
        self.assertEqual(await self.soon(answer, "help"), (200, b'{"data":{"seller_id":55}}'))
        await self.get([b"help"], one, seller)
        await self.post("/post_realtime_message", b"rt", **peer)
        await self.get_live([b"rt"], two)
        await self.post("/post_room_message", b"room", appid=APPID, uid=9, room=5)
        await self.get_live([b"room"], one, two)
        await self.nothing_more(one, two, seller)


class AwayTests(HttpCase):
    """Many posts at once, while storage is killed."""

    skip = missing("redis-server")

    async def test_a_post_with_answer_200_arrives(self) -> None:
        """A post with answer 200 arrives once, although storage was away. A post with 503 may
        arrive."""
        cluster = Cluster(shared_redis(), im={"http_api_keys": [KEY]})
        self.addCleanup(cluster.stop)
        await cluster.start()
        await cluster.connected()
        self.port = cluster.http_port()
        bob = await self.begin(cluster.client(2))
        stored: set[bytes] = set()
        failed: set[bytes] = set()

        async def post(number: int) -> None:
            content = b"%d" % number
            query = {"appid": APPID, "sender": 1, "receiver": 2}
            code, body = await self.ask("POST", "/post_peer_message", content, **query)
            if code == 200:
                stored.add(content)
            else:
                self.assertEqual((code, json.loads(body)["meta"]["message"]), (503, "storage away"))
                failed.add(content)

        async def several(first: int) -> None:
            posts = [Deferred.fromCoroutine(post(first + n)) for n in range(100)]
            await self.soon(gatherResults(posts), "all are answered")

        await several(0)
        self.assertEqual((len(stored), failed), (100, set()))
        await cluster.ims[0].kill()
        await cluster.im[0].logged("storage .* is gone")
        await several(100)
        self.assertEqual((len(stored), len(failed)), (100, 100))
        code, body = await self.ask("GET", "/load_latest_message", appid=APPID, uid=2, limit=1)
        self.assertEqual((code, json.loads(body)["meta"]["message"]), (503, "storage away"))
        await cluster.ims[0].restart(kill=True)
        await cluster.im[0].logged("is gone(?s:.*)storage .* is connected")
        await several(200)
        self.assertEqual(len(stored), 200)
        came = [(await self.soon(bob.receive(), "a message")).content for _ in range(200)]
        self.assertEqual((set(came), len(set(came))), (stored, 200))
        await self.nothing_more(bob)

    async def test_a_gateway_that_stops_finishes_its_posts(self) -> None:
        """A gateway that stops finishes its posts. An open connection does not delay it."""
        cluster = Cluster(shared_redis(), im={"http_api_keys": [KEY]})
        self.addCleanup(cluster.stop)
        await cluster.start()
        await cluster.connected()
        self.port = cluster.http_port()
        stored: list[bytes] = []
        going = True

        async def post_on(first: int) -> None:
            number = first
            while going:
                content = b"%d" % number
                query = {"appid": APPID, "sender": 1, "receiver": 2}
                try:
                    code, _ = await self.ask("POST", "/post_peer_message", content, **query)
                except Exception:
                    return  # the gateway has stopped
                if code == 200:
                    stored.append(content)
                    if len(stored) == 200:
                        many.callback(None)
                number += 100

        many: Deferred[None] = Deferred()
        posts = [Deferred.fromCoroutine(post_on(n)) for n in range(20)]
        await self.soon(many, "posts are on their way")
        await self.soon(cluster.im[0].stop(), "the gateway stops")
        going = False
        await self.soon(gatherResults(posts), "all are answered or cut off")
        await cluster.im[0].start()
        bob = await self.begin(cluster.client(2, key_store=MemoryKeyStore(FROM_THE_BEGINNING)))
        came = []
        while bob.waiting:
            came.append((await bob.receive()).content)
        self.assertEqual(len(set(came)), len(came))
        self.assertEqual(set(stored) - set(came), set())


class SchemaTests(HttpCase):
    """Requests by Schemathesis, both allowed and forbidden by the document."""

    async def test_the_document_says_what_the_server_does(self) -> None:
        """No answer is 500, and each has a status, type and shape of the document. Every route
        needs its key, and bad requests are refused. A good request may fail, for instance if its
        group does not exist."""
        server = await all_in_one(self, **{"im.http_api_keys": [KEY]})
        address = f"http://127.0.0.1:{server.http_port}/openapi.json"
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        # One of its two kinds of bodies is any text, so no body is malformed.
        settings = Path(folder.name) / "schemathesis.toml"
        settings.write_text(
            '[[operations]]\ninclude-path = "/post_system_message"\n'
            "[operations.checks]\nnegative_data_rejection.enabled = false\n"
        )
        out, err, code = await getProcessOutputAndValue(
            str(Path(sys.executable).parent / "schemathesis"),
            (
                *("--config-file", str(settings), "run", address, "--no-color"),
                *("--header", f"Authorization: Bearer {KEY}"),
                *("--phases", "coverage,fuzzing", "--max-examples", "10"),
                *("--exclude-checks", "positive_data_acceptance"),
                "--generation-deterministic",
                *("--warnings", "off"),
            ),
            env={"PYTHONPATH": str(ROOT), "HOME": folder.name, "PATH": ""},
            path=folder.name,
        )
        self.assertEqual(code, 0, out.decode(errors="replace")[-4000:] + err.decode())
        self.assertNotIn(b"No test cases", out)

"""An app's whole life by the app API and the client library alone, on running daemons.

With two gateways, MariaDB and Redis, all requests go to the first gateway. Its own users are
notified before the answer, and those of the second gateway soon after.
"""

import json
import sys
from base64 import b64encode
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import treq
from twisted.internet.utils import getProcessOutputAndValue
from twisted.web.client import Agent, HTTPConnectionPool

from gobelieve.client import Client
from gobelieve.errors import LoginRefusedError, MessageRefusedError
from gobelieve.wire import client
from tests.network.processes import APPID, ROOT, AllInOne, Cluster
from tests.network.sites import SiteCase, groups_in_maria
from tests.servers import missing, shared_redis

SECRET = "the app's own secret"
PROBE = b"may I?"


class LifeCase(SiteCase):
    """Sends requests like the server of the app."""

    port: int
    """The port of the API."""
    clients: list[int]
    """The ports for clients, at one gateway or two."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        clock: Any = reactor
        self.pool = HTTPConnectionPool(clock)
        self.addCleanup(self.pool.closeCachedConnections)
        self.web = treq.client.HTTPClient(Agent(clock, pool=self.pool))
        self.authorization = self.basic(APPID, md5(SECRET.encode()).hexdigest())

    def basic(self, appid: int, password: str) -> str:
        return "Basic " + b64encode(f"{appid}:{password}".encode()).decode()

    async def request(
        self, method: str, path: str, body: Any = None, authorization: str = ""
    ) -> Any:
        """Send a request, check that its answer is 200, and return the data in it."""
        code, content = await self.soon(
            self.raw_request(method, path, body, authorization), f"{method} {path}"
        )
        self.assertEqual(code, 200, (method, path, content))
        return json.loads(content)["data"] if content else None

    async def raw_request(
        self, method: str, path: str, body: Any, authorization: str
    ) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        headers: Any = {"authorization": authorization or self.authorization}
        answer = await self.web.request(
            method,
            f"http://127.0.0.1:{self.port}/api{path}",
            data=data,
            headers=headers,
        )
        return answer.code, await answer.content()

    async def grant(self, uid: int) -> str:
        granted = await self.request("POST", "/auth/grant", {"uid": uid, "user_name": f"n{uid}"})
        token: str = granted["token"]
        return token

    async def log_in(self, uid: int, gateway: int = 0) -> Client:
        """Return a client that has logged in with a token from the API."""
        from twisted.internet import reactor

        port = self.clients[gateway % len(self.clients)]
        made = Client(reactor, f"127.0.0.1:{port}", uid, await self.grant(uid), appid=APPID)
        return await self.begin(made)

    async def notified(self, what: str, *clients: Client) -> dict[str, Any]:
        """Check that each client gets this notification, and return its content."""
        content: dict[str, Any] = {}
        for one in clients:
            got = await self.soon(one.receive(), f"{one.uid} hears of {what}")
            self.assertIsInstance(got.message, client.GroupNotification, one.uid)
            ((kind, content),) = json.loads(got.message.content).items()
            self.assertEqual(kind, what, one.uid)
        return content

    async def refused(self, one: Client, group: int, *names: str) -> None:
        """Check that the gateway refuses a message at once."""
        sending = self.soon_refused(one, group)
        self.assertIn(await self.soon(sending, f"{one.uid} is refused"), names)

    async def soon_refused(self, one: Client, group: int) -> str:
        try:
            await one.send_group(group, PROBE)
        except MessageRefusedError as why:
            return why.name
        return "nothing"

    async def until_refused(self, one: Client, group: int, name: str, *others: Client) -> None:
        """Send messages until another gateway refuses one. The receivers get those before."""
        sent = 0
        while (why := await self.soon(self.soon_refused(one, group), "an answer")) == "nothing":
            sent += 1
        self.assertEqual(why, name)
        await self.get([PROBE] * sent, *others)

    async def until_allowed(self, one: Client, group: int, *others: Client) -> None:
        """Send messages until another gateway accepts one."""
        while await self.soon(self.soon_refused(one, group), "an answer") != "nothing":
            pass
        await self.get([PROBE], *others)

    async def whole_life(self) -> None:
        """Run the app's whole life."""
        alice, bob, cat = await self.log_in(1), await self.log_in(2, 1), await self.log_in(3)
        group = await self.create(alice, bob)
        await self.change(group, alice, bob, cat)
        await self.upgrade(group, alice, bob, cat)
        await self.speak(alice, bob)
        await self.end(group, alice, bob)

    async def create(self, alice: Client, bob: Client) -> int:
        """Create a group. Its members can send messages at once, at any gateway."""
        new = {"master": 1, "name": "friends", "super": False, "members": [1, 2]}
        group: int = (await self.request("POST", "/groups", new))["group_id"]
        content = await self.notified("create", alice, bob)
        self.assertEqual((content["group_id"], content["members"]), (group, [1, 2]))
        await alice.send_group(group, b"hello")
        await self.get([b"hello"], bob)
        await bob.send_group(group, b"hi")
        await self.get([b"hi"], alice)
        return group

    async def change(self, group: int, alice: Client, bob: Client, cat: Client) -> None:
        """Add, mute and remove members."""
        members = f"/groups/{group}/members"
        await self.refused(cat, group, "NOT_GROUP_MEMBER")
        await self.request("POST", members, [{"uid": 3, "name": "Cat"}])
        content = await self.notified("add_member", alice, bob, cat)
        self.assertEqual((content["member_id"], content["name"]), (3, "Cat"))
        await cat.send_group(group, b"here I am")
        await self.get([b"here I am"], alice, bob)

        await self.request("PATCH", f"{members}/3", {"mute": True})
        await self.refused(cat, group, "MUTED")
        await self.request("PATCH", f"{members}/2", {"mute": True})
        await self.until_refused(bob, group, "MUTED", alice, cat)
        for uid in (2, 3):
            await self.request("PATCH", f"{members}/{uid}", {"mute": False})
        await self.until_allowed(bob, group, alice, cat)
        await cat.send_group(group, b"again")
        await self.get([b"again"], alice, bob)

        await self.request("PATCH", f"{members}/3", {"nickname": "Kitty"})
        await self.notified("update_member_nickname", alice, bob, cat)
        await self.request("PATCH", f"/groups/{group}", {"name": "best friends"})
        await self.notified("update_name", alice, bob, cat)
        shown = await self.request("GET", f"/groups/{group}")
        self.assertEqual(shown["name"], "best friends")
        self.assertEqual([one["nickname"] for one in shown["members"]], ["", "", "Kitty"])

        await self.request("DELETE", f"{members}/3")
        content = await self.notified("quit_group", alice, bob, cat)
        self.assertEqual((content["member_id"], content["group_name"]), (3, "best friends"))
        await self.refused(cat, group, "NOT_GROUP_MEMBER")

    async def upgrade(self, group: int, alice: Client, bob: Client, cat: Client) -> None:
        """Upgrade the group to a super group. New members can read its queue."""
        await self.request("POST", f"/groups/{group}/upgrade")
        for one in (alice, bob):
            one.follow(group)
        content = await self.notified("upgrade", alice, bob)
        self.assertEqual(content["super"], 1)
        await alice.send_group(group, b"a large one")
        await self.get([b"a large one"], bob)
        await self.request("POST", f"/groups/{group}/members", {"members": [3]})
        await self.notified("add_member", alice, bob)
        cat.follow(group)
        await alice.send_group(group, b"welcome")
        await self.get([b"welcome"], bob)
        while (await self.soon(cat.receive(), "cat is welcome")).content != b"welcome":
            pass
        await self.request("DELETE", f"/groups/{group}/members", [3])
        await self.notified("quit_group", alice, bob, cat)
        await self.refused(cat, group, "NOT_GROUP_MEMBER")

    async def speak(self, alice: Client, bob: Client) -> None:
        """Send messages to a room, and in the name of others."""
        await self.enter(5, alice, bob)
        await self.request("PATCH", "/users/1", {"forbidden": True})
        why = await self.assertFailure(self.deferred(alice.send_room(5, b"x")), MessageRefusedError)
        self.assertEqual(why.name, "FORBIDDEN")
        await self.request("PATCH", "/users/1", {"forbidden": 0})
        await alice.send_room(5, b"free")
        await self.get_live([b"free"], bob)
        body = {"sender": 3, "receiver": 5, "content": "to the room"}
        await self.request("POST", "/messages/rooms", body)
        await self.get_live([b"to the room"], alice, bob)
        body = {"sender": 3, "receiver": 2, "content": "to bob"}
        await self.request("POST", "/messages/peers", body)
        await self.get([b"to bob"], bob)
        token = f"Bearer {await self.grant(2)}"
        shown = await self.request("GET", "/messages", authorization=token)
        self.assertEqual(shown[-1]["content"], "to bob")

    async def end(self, group: int, alice: Client, bob: Client) -> None:
        """Log a user out, and dissolve the group."""
        await self.request("POST", "/auth/revoke", {"uid": 2})
        why = await self.soon(
            self.assertFailure(self.deferred(bob.receive()), LoginRefusedError), "bob is out"
        )
        self.assertTrue(why.status)
        await self.request("DELETE", f"/groups/{group}")
        await self.notified("disband", alice)
        await self.refused(alice, group, "GROUP_NONEXIST", "NOT_GROUP_MEMBER")
        code, _ = await self.raw_request("GET", f"/groups/{group}", None, "")
        self.assertEqual(code, 404)
        await self.request("DELETE", f"/groups/{group}")

    def deferred(self, work: Any) -> Any:
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(work)


class EmbeddedTests(LifeCase):
    """The all-in-one daemon, on SQLite."""

    async def test_an_app_s_life(self) -> None:
        """The app's secret is in the configuration."""
        server = AllInOne({"im.app_secrets": [f"{APPID}:{SECRET}"]})
        self.addCleanup(server.stop)
        await server.start()
        self.port, self.clients = server.http_port, [server.port]
        await self.whole_life()

    async def test_the_document_says_what_the_server_does(self) -> None:
        """Schemathesis finds no answer 500, and no answer that the document does not have. Every
        route needs its secret, and bad requests are refused."""
        server = AllInOne({"im.app_secrets": [f"{APPID}:{SECRET}"]})
        self.addCleanup(server.stop)
        await server.start()
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        out, err, code = await getProcessOutputAndValue(
            str(Path(sys.executable).parent / "schemathesis"),
            (
                *("run", f"http://127.0.0.1:{server.http_port}/openapi.json", "--no-color"),
                *("--include-path-regex", "^/api/"),
                *("--header", f"Authorization: {self.authorization}"),
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


class ClusterTests(LifeCase):
    """Two gateways, MariaDB and Redis."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")

    async def begin_cluster(self, form: str) -> Cluster:
        source = groups_in_maria(f"app_life_{form}")
        values = {"mysqldb_datasource": source, "group_events": form}
        cluster = Cluster(
            shared_redis(),
            gateways=2,
            im={**values, "app_secrets": [f"{APPID}:{SECRET}"]},
            imr=values,
        )
        self.addCleanup(cluster.stop)
        await cluster.start()
        await cluster.connected()
        self.port = cluster.http_port(0)
        self.clients = [cluster.port(0), cluster.port(1)]
        return cluster

    async def test_an_app_s_life_with_a_stream(self) -> None:
        """Changes are announced in a stream, as the Go server does since 2019."""
        await self.begin_cluster("stream")
        await self.whole_life()

    async def test_an_app_s_life_with_channels(self) -> None:
        """Changes are announced in channels, as the Go server did before 2019."""
        await self.begin_cluster("pubsub")
        await self.whole_life()

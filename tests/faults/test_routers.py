"""Several routers, each killed and started again while clients exchange messages."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gobelieve.client import Client
from gobelieve.wire import client
from tests.faults.support import (
    PATIENT,
    Bare,
    FaultTestCase,
    Load,
    bare,
    exchange,
    pong_due,
    summary,
)
from tests.network.processes import Cluster, settings
from tests.network.tap import Tap
from tests.ports import free_port
from tests.servers import RedisServer, missing, shared_maria, shared_redis
from tests.waits import DEADLINE, for_this_machine, reactor, together, until, within

GROUP = 77
SCHEMA = Path(__file__).parents[2] / "etc" / "schema.sql"
RESUMED = 2.0
"""Seconds after a router's return until messages that use it must come again."""


def pushed_to(redis: RedisServer) -> list[int]:
    """Return the receivers of the pushes in the list, the oldest first."""
    items = redis.run("LRANGE", "push_queue", "0", "-1").split("\r\n")
    return [json.loads(item)["receiver"] for item in items if item.startswith("{")]


def make_group(group: int, members: Iterable[int]) -> str:
    """Make a super group in MariaDB, and return the data source for the configuration."""
    maria = shared_maria()
    with maria.connect() as connection, connection.cursor() as cursor:
        for statement in SCHEMA.read_text().split(";\n"):
            if statement.strip():
                cursor.execute(statement)
        cursor.execute("REPLACE INTO `group` (id, appid, super) VALUES (%s, 7, 1)", group)
        cursor.executemany(
            "REPLACE INTO group_member (group_id, uid) VALUES (%s, %s)",
            [(group, uid) for uid in members],
        )
    return f"root@tcp(127.0.0.1:{maria.port})/{maria.database}"


class RestartTests(FaultTestCase):
    """Two gateways, two routers for users, one for super groups, and two storages."""

    skip = missing("redis-server")

    async def pair(self, cluster: Cluster, uid: int) -> tuple[Client, Client]:
        """Return two clients whose messages use the same router: both uids are even, or both are
        odd."""
        return (
            cluster.client(uid, 0, timing=PATIENT),
            cluster.client(uid + 2, 1, timing=PATIENT),
        )

    async def test_each_router_is_killed_under_load(self) -> None:
        """Messages by other routers notice nothing. Messages by this one continue within 2 s of its
        return. No message is lost, doubled or out of order."""
        cluster = await self.cluster(gateways=2, routers=2, group_routers=1, storages=2)
        pairs = [await self.pair(cluster, uid) for uid in (1000, 1001)]
        traffic = [await self.traffic(*pair) for pair in pairs]
        for number, router in enumerate(cluster.imr):
            for others in traffic:
                others.slowest = 0.0
            await router.restart(kill=True)
            back = reactor.seconds()
            await together(one.more(2) for one in traffic)
            self.assertLess(reactor.seconds() - back, for_this_machine(RESUMED), f"router {number}")
            for index, others in enumerate(traffic):
                if index != number:
                    self.assertLess(others.slowest, pong_due(), "undisturbed")
        for one in traffic:
            await one.stop()

    async def test_each_gateway_is_killed_under_load(self) -> None:
        """Clients of the gateway continue within 2 s of its return, and others notice nothing. No
        acked message is lost, and none is there more often than it was sent."""
        cluster = await self.cluster(gateways=2, routers=2, group_routers=1, storages=2)
        loads = []
        for index in range(2):
            uids = range(1000 + index, 1008 + index, 2)
            senders = [cluster.client(uid, index, timing=PATIENT) for uid in uids]
            await self.connected(*senders)
            loads.append(Load(senders, 2000 + index))
            loads[-1].start()
        for index, gateway in enumerate(cluster.im):
            await together(load.more(100) for load in loads)
            await gateway.kill()
            loads[index].interrupted()
            await loads[1 - index].more(100)
            await gateway.start()
            back = reactor.seconds()
            await loads[index].more(20)
            self.assertLess(reactor.seconds() - back, for_this_machine(RESUMED), f"gateway {index}")
        await together(load.stop() for load in loads)
        for load, receiver in zip(loads, (2000, 2001), strict=True):
            token = cluster.token(receiver)
            load.check(await self.everything(cluster.port(), receiver, token))

    async def test_a_router_that_was_away_for_long(self) -> None:
        """A gateway finds a router that was away for long within 2 s. Messages stored meanwhile
        come to their receiver."""
        cluster = await self.cluster(gateways=2)
        alice, bob = await self.connected(*await self.pair(cluster, 1000))
        (router,) = cluster.imr
        await router.kill()
        # The pauses between attempts are longest by then.
        refused = "cannot be reached"
        for im in cluster.im:
            await im.logged(refused)
        await until_attempts_are_rare()
        await alice.send(bob.uid, "kept")
        await router.restart()
        message = await within(for_this_machine(RESUMED), bob.receive(), "the message")
        self.assertEqual(message.content, b"kept")
        await exchange(alice, bob)

    async def test_a_login_while_the_router_is_frozen(self) -> None:
        """A login takes one second longer, once. When the router continues, messages come without
        any action of the client."""
        cluster = await self.cluster(gateways=2)
        (router,) = cluster.imr
        (alice,) = await self.connected(cluster.client(1000, 0, timing=PATIENT))
        router.pause()
        late = [cluster.client(uid, 1, timing=PATIENT) for uid in (1002, 1004)]
        for bob in late:
            await within(pong_due(), self.connected(bob), "a login and its sync")
            await alice.send(bob.uid, "while it stood still")
        router.resume()
        for bob in late:
            message = await within(DEADLINE, bob.receive(), "the message")
            self.assertEqual(message.content, b"while it stood still")
        counts = (await summary(cluster.http_port(1)))["counts"]
        self.assertEqual(counts.get("marks_unanswered"), 1)
        await exchange(alice, late[0])

    async def test_another_gateway_that_restarts_disturbs_nobody(self) -> None:
        """Hundreds of clients reconnect to another gateway at once. The clients here notice
        nothing."""
        cluster = await self.cluster(gateways=3, routers=2)
        traffic = await self.traffic(*await self.pair(cluster, 1000))
        third = cluster.im[2]
        uids = range(5000, 5300)
        tokens = {uid: cluster.token(uid) for uid in uids}
        for _ in range(2):
            crowd = await self.crowd(cluster.port(2), tokens)
            traffic.slowest = 0.0
            await third.restart(kill=True)
            await third.logged(r"router \S+ is connected")
            await traffic.more(3)
            self.assertLess(traffic.slowest, pong_due())
            for one in crowd:
                await one.closed()
        await traffic.stop()

    async def crowd(self, port: int, tokens: dict[int, str]) -> list[Bare]:
        """Return clients that log in and do nothing more."""
        made = []
        for token in tokens.values():
            one = await bare(port)
            asked = client.AuthToken(platform=2, token=token.encode(), device_id=b"bare")
            one.write(asked.frame(1, 2))
            made.append(one)
        for one in made:
            await one.frame(client.AuthStatus.number)
        return made


async def until_attempts_are_rare() -> None:
    """Wait for four seconds. Then a gateway tries to connect only every second and a half."""
    start = reactor.seconds()
    await until(lambda: reactor.seconds() > start + 4, "time passes")


class PushTests(FaultTestCase):
    """The receivers of phone pushes, by the lists in Redis."""

    skip = missing("redis-server")

    async def test_nobody_who_is_connected_gets_a_push_when_the_router_restarts(self) -> None:
        """A connected user gets no push, even if their gateway reconnects seconds after the
        sender's."""
        redis = shared_redis()
        cluster = Cluster(
            redis,
            gateways=2,
            imr={"push_grace": for_this_machine(4.0), "link_grace": for_this_machine(3.0)},
        )
        tap = Tap()
        port = await tap.start(cluster.imr[0].listens[0])
        self.addCleanup(tap.stop)
        cluster.im[1].arguments += settings({"route_addrs": [f"127.0.0.1:{port}"]})
        await self.running(cluster)
        alice, bob, carol = await self.connected(
            cluster.client(1001, timing=PATIENT),
            cluster.client(1002, 1, timing=PATIENT),
            cluster.client(1003, 0, timing=PATIENT),
        )
        await cluster.imr[0].kill()
        tap.cut()
        for receiver in (bob.uid, carol.uid):
            await alice.send(receiver, "while it is away")
        known = cluster.im[0].log.count("is connected")
        await cluster.imr[0].restart()
        await until(
            lambda: cluster.im[0].log.count("is connected") > known, "the first gateway is back"
        )
        for receiver in (bob.uid, carol.uid, 1009):
            await alice.send(receiver, "while the other gateway is not there yet")
        tap.mend()
        self.assertEqual((await bob.receive()).content, b"while it is away")
        # The last push is for a user who is offline. When it is there, all are decided.
        await until(lambda: 1009 in pushed_to(redis), "the grace is over")
        await alice.send(1010, "behind them")
        await until(lambda: 1010 in pushed_to(redis), "pushes are decided at once now")
        self.assertEqual(pushed_to(redis), [1009, 1010])

    async def test_a_browser_here_and_a_phone_there(self) -> None:
        """A user who wants pushes besides a browser gets them while no phone is connected, at any
        gateway."""
        redis = shared_redis()
        cluster = await self.cluster(redis, gateways=2, imr={"push_grace": 0.0, "link_grace": 0.0})
        (alice,) = await self.connected(cluster.client(1001, timing=PATIENT))
        token = cluster.token(1002)
        redis.run("HSET", f"access_token_{token}", "notification_on", "1")
        browser = await bare(cluster.port(0))
        self.addCleanup(browser.hang_up)
        self.assertEqual(await browser.log_in(token, platform=3), 0)
        wanted: list[int] = []
        for _ in range(2):
            await self.pushed(redis, alice, wanted, 1002)
            phone = await bare(cluster.port(1))
            self.addCleanup(phone.hang_up)
            self.assertEqual(await phone.log_in(cluster.token(1002), platform=2), 0)
            await phone.alive()
            await self.pushed(redis, alice, wanted)
            phone.hang_up()
            await until_gone(cluster)

    async def pushed(
        self, redis: RedisServer, alice: Client, wanted: list[int], *also: int
    ) -> None:
        """Check that a message to 1002 causes pushes for `also`. A later message to 1009 shows that
        it is decided."""
        await alice.send(1002, "pushed or not")
        await alice.send(1009, "behind it")
        wanted += [*also, 1009]
        await until(lambda: len(pushed_to(redis)) >= len(wanted), "the pushes are there")
        self.assertEqual(pushed_to(redis), wanted)


async def until_gone(cluster: Cluster) -> None:
    """Wait until the second gateway has no client, and has reported it to the router."""
    page: dict[str, Any] = {"client_count": 1}
    while page["client_count"]:
        page = await summary(cluster.http_port(1))


class GroupRouterTests(FaultTestCase):
    """Separate routers for super groups."""

    skip = missing("redis-server")

    async def test_every_router_that_may_decide_pushes_knows_who_is_online(self) -> None:
        """The user's own router and those for groups know that the user is online, also after each
        was killed."""
        cluster = Cluster(shared_redis(), gateways=1, routers=2, group_routers=2)
        ports = [free_port() for _ in cluster.imr]
        for router, port in zip(cluster.imr, ports, strict=True):
            router.arguments += settings({"http_listen_address": f"127.0.0.1:{port}"})
        await self.running(cluster)
        alice = cluster.client(1001, timing=PATIENT)
        await self.connected(alice)

        async def knowing() -> list[bool]:
            pages = []
            for port in ports:
                page = await bare(port)
                page.write(b"GET /online?appid=7&uid=1001 HTTP/1.0\r\n\r\n")
                await page.closed()
                pages.append(json.loads(page.data.partition(b"\r\n\r\n")[2])["online"])
            return pages

        wanted = [False, True, True, True]
        # A login waits only for the user's own router.
        await self.comes_to(knowing, wanted)
        for router in cluster.imr:
            await router.restart(kill=True)
            await self.comes_to(knowing, wanted)
        await alice.close()
        await self.comes_to(knowing, [False] * 4)

    async def comes_to(self, look: Any, wanted: object) -> None:
        """Look again and again until the result is `wanted`."""
        end = reactor.seconds() + DEADLINE
        while (found := await look()) != wanted:
            self.assertLess(reactor.seconds(), end, found)


class SuperGroupTests(FaultTestCase):
    """Alice and Bob are at two gateways, and Carol is offline. Their group has its own router."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")

    async def setUp(self) -> None:  # type: ignore[override]
        database = make_group(GROUP, (1001, 1002, 1003))
        self.redis = shared_redis()
        self.daemons = await self.cluster(
            self.redis,
            gateways=2,
            group_routers=1,
            im={"mysqldb_datasource": database},
            imr={"mysqldb_datasource": database, "push_grace": for_this_machine(3.0)},
        )
        self.alice, self.bob = await together(bare(self.daemons.port(n)) for n in range(2))
        for one, uid in ((self.alice, 1001), (self.bob, 1002)):
            self.addCleanup(one.hang_up)
            self.assertEqual(await one.log_in(self.daemons.token(uid)), 0)

    async def write(self, content: bytes) -> None:
        """Let Alice send a message to the group, and check its ack."""
        message = client.GroupIM(sender=1001, receiver=GROUP, msgid=0, content=content)
        ack = await within(
            pong_due(), self.alice.request(message.frame(7, 2), client.Ack.number), "an ack"
        )
        self.assertEqual(client.Ack.decode(ack.body, ack.version).status, 0)

    def pushed(self) -> list[tuple[str, list[int]]]:
        """Return content and receivers of each push in the list of group pushes."""
        reply = self.redis.run("LRANGE", "group_push_queue", "0", "-1").split("\r\n")
        items = [json.loads(item) for item in reply if item.startswith("{")]
        return [(item["content"], item["receivers"]) for item in items]

    async def test_its_router_is_killed(self) -> None:
        """While the group's router is away, messages are acked. When it is back, Bob is notified,
        and Carol gets a push."""
        await self.write(b"first")
        await self.bob.frame(client.SyncGroupNotify.number)
        await until(lambda: len(self.pushed()) == 1, "a push")
        router = self.daemons.imr[1]
        await router.kill()
        known = len(self.bob.frames)
        await self.write(b"second")
        await router.restart()
        back = reactor.seconds()
        await self.bob.frame(client.SyncGroupNotify.number, known)
        self.assertLess(reactor.seconds() - back, 2 * for_this_machine(RESUMED))
        await until(lambda: len(self.pushed()) == 2, "the push that was kept")
        self.assertEqual(self.pushed(), [("first", [1003]), ("second", [1003])])

"""Messages to ordinary groups while gateway and storage are killed: each member gets each one once.

Ordinary groups are in a real MariaDB. When all daemons have ended, the tests read the members'
queues from the files of storage.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.web.client import Agent, HTTPConnectionPool

from gobelieve.backends.pending.database import FILE_NAME
from gobelieve.client import Client
from gobelieve.names import User, shard
from gobelieve.storage.queues.store import Store
from gobelieve.wire.client import GroupIM
from tests import old_pending
from tests.app_server import AppServer
from tests.fakes.world import world
from tests.faults.support import PATIENT, FaultTestCase
from tests.network.processes import APPID, Cluster, Daemon
from tests.servers import missing, shared_maria
from tests.storage.support import pages
from tests.waits import together, until

GROUP = 100
WRITER = 1
ROUNDS = 6


class GroupDeliveryTests(FaultTestCase):
    """A gateway, a router and two storages. User 1 sends the messages."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")

    async def site(
        self, members: Iterable[int], before: Callable[[Path], None] = lambda folder: None
    ) -> None:
        """Start a site whose group has these members. `before` may write into the gateway's pending
        folder first."""
        self.members = list(members)
        maria, redis = shared_maria(), self.own_redis()
        app = AppServer(maria, redis, "stream", "delivery")
        app.begin()
        app.create(GROUP)
        with maria.connect(database="delivery") as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO group_member (group_id, uid) VALUES (%s, %s)",
                [(GROUP, uid) for uid in self.members],
            )
        database = f"root@tcp(127.0.0.1:{maria.port})/delivery"
        cluster = Cluster(redis, storages=2, im={"mysqldb_datasource": database})
        self.daemons = cluster
        self.im = cluster.im[0]
        before(self.im.folder / "pending")
        await self.running(cluster)

    async def writer(self) -> Client:
        """Connect a client that does not send messages again on its own."""
        (alice,) = await self.connected(self.daemons.client(WRITER, timing=PATIENT))
        return alice

    async def has(self, uid: int, count: int) -> None:
        """Wait until a member has this number of messages."""
        token = self.daemons.token(uid)
        while len(await self.everything(self.daemons.port(), uid, token)) < count:
            pass

    async def check(self, sent: list[bytes]) -> None:
        """Check that each member's queue has all messages, once and in order, and that the gateway
        has none left."""
        # The gateway serves members in the order of their ids, and each member's messages in order.
        for storage in range(2):
            last = max(uid for uid in self.members if shard(uid, 2) == storage)
            await self.has(last, len(sent))
        await self.nothing_waits()
        await self.im.stop()
        with closing(sqlite3.connect(self.im.folder / "pending" / FILE_NAME)) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM message").fetchone(), (0,))
        await together(daemon.stop() for daemon in self.daemons.ims)
        wrong = {
            uid: contents
            for storage, daemon in enumerate(self.daemons.ims)
            for uid, contents in self.queues(daemon, storage).items()
            if contents != sent
        }
        self.assertEqual(wrong, {})

    async def nothing_waits(self) -> None:
        """Wait until no group message waits at the gateway. It may be checking what members have
        already."""
        from twisted.internet import reactor

        core: Any = reactor
        agent = Agent(core, pool=HTTPConnectionPool(core, persistent=False))
        web = HTTPClient(agent)
        metrics = f"http://127.0.0.1:{self.daemons.http_port()}/metrics"
        nothing = 'gobelieve_gateway_waiting{queue="group_messages"} 0.0'
        while nothing not in await (await web.get(metrics)).text():
            pass

    def queues(self, daemon: Daemon, storage: int) -> dict[int, list[bytes]]:
        """Return the messages of the members whose queues are in this storage."""
        store = Store(str(daemon.folder / "storage"), world=world())
        store.open()
        found: dict[int, list[bytes]] = {}
        for uid in (uid for uid in self.members if shard(uid, 2) == storage):
            user = User(APPID, uid)
            read = pages(lambda after, user=user: store.reader.fetch(user, after, 3000))  # type: ignore[misc]
            found[uid] = [
                GroupIM.decode(one.body).content for page in read for one in page.messages
            ]
        store.close_with_snapshot(lambda: None)
        return found

    async def test_the_gateway_is_killed_right_after_acks(self) -> None:
        """A gateway that is killed after an ack delivers the acked message after its restart."""
        await self.site(range(1, 11))
        alice = await self.writer()
        sent: list[bytes] = []
        for number in range(ROUNDS):
            contents = [b"%d:%d" % (number, place) for place in range(5)]
            await together(alice.send_group(GROUP, one) for one in contents)
            sent += contents
            await self.im.restart(kill=True)
        await self.check(sent)

    async def test_the_gateway_is_killed_while_a_storage_is_frozen(self) -> None:
        """A frozen storage later does the last saves of the killed gateway. The new gateway asks
        for the same saves, and no message is there twice."""
        await self.site(range(1, 11))
        alice = await self.writer()
        other = self.daemons.ims[1 - shard(WRITER, 2)]
        sent: list[bytes] = []
        for number in range(ROUNDS // 2):
            contents = [b"%d:%d" % (number, place) for place in range(5)]
            other.pause()
            await together(alice.send_group(GROUP, one) for one in contents)
            sent += contents
            await self.im.kill()
            other.resume()
            await self.im.restart()
        await self.check(sent)

    async def test_messages_of_the_go_server_while_the_gateway_is_killed(self) -> None:
        """Messages in the Go server's four pending queues are delivered, once and in order. Each
        queue ends in the middle of a message."""
        members = tuple(range(1, 11))
        sent = [b"%d" % number for number in range(200)]

        def left(folder: Path) -> None:
            for queue in range(4):
                records = [
                    old_pending.record(content, members, group=GROUP, timestamp=1_500_000_000 + n)
                    for n, content in enumerate(sent)
                    if n % 4 == queue
                ]
                delivered = old_pending.record(b"delivered", members, group=GROUP)
                behind = delivered + b"".join(records) + records[0][:30]
                old_pending.write(folder / f"q{queue}", behind, len(old_pending.HEAD))

        await self.site(members, left)
        for _ in range(3):
            await self.im.restart(kill=True)
        self.assertEqual(len(re.findall("200 messages are imported", self.im.log)), 1)
        self.assertEqual(len(re.findall("a torn write", self.im.log)), 4)
        await self.check(sent)

    async def test_a_storage_is_killed_in_the_middle_of_a_fan_out(self) -> None:
        """A fan-out to 5,000 members continues where it stopped."""
        await self.site(range(1, 5001))
        alice = await self.writer()
        other = self.daemons.ims[1 - shard(WRITER, 2)]
        blocks = other.folder / "storage"
        sent: list[bytes] = []
        grown: list[int] = []
        rounds = 4
        for number in range(rounds):
            before = size(blocks)
            contents = [b"%d:%d" % (number, place) for place in range(8)]
            sending = together(alice.send_group(GROUP, one) for one in contents)
            acked = Deferred.fromCoroutine(sending)
            sent += contents
            await until(lambda before=before: size(blocks) > before, "the fan-out")  # type: ignore[misc]
            await other.kill()
            grown.append(size(blocks) - before)
            await other.restart()
            await acked
        await self.check(sent)
        a_round = size(blocks) / rounds
        self.assertLess(min(grown), a_round * 0.9, "it was killed in the middle at least once")


def size(folder: Path) -> int:
    """Return the size of all blocks in bytes."""
    return sum(path.stat().st_size for path in folder.glob("message_*"))

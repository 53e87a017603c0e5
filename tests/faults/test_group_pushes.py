"""Phone pushes by a router whose groups are in a real MariaDB, which ends and starts."""

import json
import re
from pathlib import Path
from struct import pack

from gobelieve.wire import encode_frame, route
from gobelieve.wire.client import RT, GroupIM
from gobelieve.wire.publication import Publication
from tests.faults.support import Bare, FaultTestCase, bare
from tests.network.processes import Cluster
from tests.servers import MariaServer, missing
from tests.waits import until

SCHEMA = Path(__file__).parents[2] / "etc" / "schema.sql"
GROUP, LATER = 100, 101
MEMBERS = range(1, 10)


class GroupPushTests(FaultTestCase):
    """Two raw links stand for gateways. User 1 sends; 2 and 3 are online, 4 to 9 are offline."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")

    async def setUp(self) -> None:  # type: ignore[override]
        self.maria = MariaServer()
        self.maria.start()
        self.addCleanup(self.maria.stop)
        with self.maria.connect() as connection, connection.cursor() as cursor:
            # Rows must be there after the server was killed.
            cursor.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
            for statement in SCHEMA.read_text().split(";\n"):
                if statement.strip():
                    cursor.execute(statement)
            for group in (GROUP, LATER):
                cursor.execute("INSERT INTO `group` (id, appid, super) VALUES (%s, 7, 1)", group)
                cursor.executemany(
                    "INSERT INTO group_member (group_id, uid) VALUES (%s, %s)",
                    [(group, uid) for uid in MEMBERS],
                )
        self.redis = self.own_redis()
        database = f"root@tcp(127.0.0.1:{self.maria.port})/{self.maria.database}"
        cluster = Cluster(self.redis, gateways=0, imr={"mysqldb_datasource": database})
        self.router = cluster.imr[0]
        await self.running(cluster, leave_out=cluster.ims, linked=False)
        self.one, self.other = [await bare(self.router.listens[0]) for _ in range(2)]
        for link, uid in ((self.one, 2), (self.other, 3)):
            self.addCleanup(link.hang_up)
            marked = await self.apply(link, route.SUBSCRIBE, pack(">qqb", 7, uid, 1))
            self.assertEqual(marked, bytes((route.DECIDES_GROUP_PUSHES,)))

    async def apply(self, link: Bare, cmd: int, body: bytes) -> bytes:
        """Send a frame, and return the router's answer when it is in effect."""
        frames = encode_frame(cmd, body, 1, 1) + encode_frame(route.MARK, b"", 2, 1)
        return (await link.request(frames, route.MARKED)).body

    async def publish(self, group: int, content: bytes) -> None:
        """Publish a message to a group."""
        message = GroupIM(sender=1, receiver=group, msgid=0, content=content).frame(version=1)
        await self.apply(
            self.one, route.PUBLISH_GROUP, Publication(7, group, 0, 0, 1, message).body(1)
        )

    def pushed(self) -> list[tuple[int, str, list[int]]]:
        """Return group, content and receivers of each push in the list."""
        reply = self.redis.run("LRANGE", "group_push_queue", "0", "-1")
        items = [json.loads(item) for item in re.findall(r"^\{.*\}", reply, re.M)]
        return [(one["group_id"], one["content"], sorted(one["receivers"])) for one in items]

    async def test_offline_members(self) -> None:
        """One push names all offline members. The router decides later pushes from memory, in
        order."""
        for content in (b"a", b"b"):
            await self.publish(GROUP, content)
        await until(lambda: len(self.pushed()) == 2, "two pushes")
        await self.publish(GROUP, b"c")
        await until(lambda: len(self.pushed()) == 3, "three pushes")
        offline = list(range(4, 10))
        self.assertEqual(self.pushed(), [(GROUP, content, offline) for content in "abc"])
        self.assertEqual([frame.cmd for frame in self.other.frames], [route.MARKED])

    async def test_the_database_is_away(self) -> None:
        """While the database is away, only these pushes wait. They come when it is back, in
        order."""
        self.maria.kill()
        for content in (b"a", b"b"):
            await self.publish(LATER, content)
        await self.router.logged("groups cannot be read, retrying")
        message = RT(sender=1, receiver=3, content=b"x").frame(version=1)
        live = Publication(7, 3, 0, 0, 1, message).body(1)
        await self.apply(self.one, route.PUBLISH, live)
        self.assertEqual((await self.other.frame(route.PUBLISH)).body, live)
        self.assertEqual(self.pushed(), [])
        self.maria.start()
        await until(lambda: len(self.pushed()) == 2, "two pushes")
        offline = list(range(4, 10))
        self.assertEqual(self.pushed(), [(LATER, content, offline) for content in "ab"])

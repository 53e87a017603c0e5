"""Sites with groups: a cluster on MariaDB, and the all-in-one daemon on its SQLite file."""

import sqlite3
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from gobelieve.backends.sqlite.service import FILE_NAME
from gobelieve.client import Client, Ponged
from tests.network.processes import APPID, AllInOne, Cluster
from tests.servers import MariaServer, shared_maria, shared_redis
from tests.waits import DEADLINE, ProcessTestCase

SCHEMA = Path(__file__).parents[2] / "etc" / "schema.sql"
KEFU = 1453
"""The app of the sellers."""
ORDINARY, SUPER = 3110, 3111
MEMBERS = {ORDINARY: range(1, 11), SUPER: [*range(1, 11), *range(21, 27)]}
"""Users 1 to 10 are members, as in the Go server's test suite."""

GROUP_ROWS = [(ORDINARY, APPID, 0), (SUPER, APPID, 1)]
MEMBER_ROWS = [(group, uid, 1_600_000_000) for group, uids in MEMBERS.items() for uid in uids]


def groups_in_maria(database: str, server: MariaServer | None = None) -> str:
    """Make the two groups in a new database, and return its data source for the configuration."""
    from pymysql.constants import CLIENT

    maria = server or shared_maria()
    with maria.connect(database=None) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {database}")
        cursor.execute(f"CREATE DATABASE {database}")
    several = CLIENT.MULTI_STATEMENTS
    with (
        maria.connect(database=database, client_flag=several) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(SCHEMA.read_text("utf-8"))
        while cursor.nextset():
            pass
        cursor.executemany("INSERT INTO `group` (id, appid, super) VALUES (%s, %s, %s)", GROUP_ROWS)
        cursor.executemany(
            "INSERT INTO group_member (group_id, uid, timestamp) VALUES (%s, %s, %s)", MEMBER_ROWS
        )
    return f"root@tcp(127.0.0.1:{maria.port})/{database}"


def groups_in_sqlite(data: Path) -> None:
    """Make the two groups in the file of the all-in-one daemon."""
    connection = sqlite3.connect(data / FILE_NAME)
    with connection:
        connection.executemany(
            'INSERT INTO "group" (id, appid, super) VALUES (?, ?, ?)', GROUP_ROWS
        )
        connection.executemany(
            "INSERT INTO group_member (group_id, uid, timestamp) VALUES (?, ?, ?)", MEMBER_ROWS
        )
    connection.close()


class SiteCase(ProcessTestCase):
    """Waits with a deadline, and closes clients at the end."""

    async def soon(self, work: Awaitable[Any], what: str) -> Any:
        """Return the result of `work`, or fail with an error that names `what`."""
        from twisted.internet import reactor

        async def run() -> Any:
            return await work

        clock: Any = reactor
        try:
            return await Deferred.fromCoroutine(run()).addTimeout(DEADLINE, clock)
        except Exception as why:
            raise AssertionError(f"{what}: {type(why).__name__}: {why}") from why

    async def begin(self, made: Client) -> Client:
        """Connect a client and sync to the end. From now on it gets messages when they are sent."""
        self.addCleanup(made.close)
        await self.soon(made.connect(), f"{made.uid} logs in")
        await self.soon(made.sync_to_end(), f"{made.uid} syncs")
        return made

    async def enter(self, room: int, *clients: Client) -> None:
        """Let clients enter a room, and wait until the routers know it."""
        for one in clients:
            one.enter_room(room)
            one.ping()
        for one in clients:
            await self.soon(one.next_event(Ponged), f"{one.uid} enters")

    async def get(self, contents: Iterable[bytes], *clients: Client) -> None:
        """Check that each client receives these messages, in this order."""
        for one in clients:
            for content in contents:
                message = await self.soon(one.receive(), f"{one.uid} gets {content!r}")
                self.assertEqual(message.content, content, f"{one.uid}")

    async def get_live(self, contents: Iterable[bytes], *clients: Client) -> None:
        """Check that each client receives these live messages, in this order."""
        for one in clients:
            for content in contents:
                message = await self.soon(one.receive_live(), f"{one.uid} hears {content!r}")
                self.assertEqual(message.content, content, f"{one.uid}")

    async def nothing_more(self, *clients: Client, group: int = 0) -> None:
        """Check that nothing came twice, and that nothing is left in the queue."""
        for one in clients:
            await self.soon(one.sync_to_end(group), f"{one.uid} syncs")
            self.assertEqual(one.waiting, 0, f"{one.uid}")


async def two_nodes(case: ProcessTestCase, database: str) -> Cluster:
    """Start two gateways, two routers and two storages for users, and one of each for super
    groups."""
    cluster = Cluster(
        shared_redis(),
        gateways=2,
        routers=2,
        storages=2,
        group_routers=1,
        group_storages=1,
        im={"mysqldb_datasource": (source := groups_in_maria(database)), "kefu_appid": KEFU},
        imr={"mysqldb_datasource": source},
    )
    case.addCleanup(cluster.stop)
    await cluster.start()
    await cluster.connected()
    return cluster


async def all_in_one(case: ProcessTestCase, **settings: Any) -> AllInOne:
    """Start the all-in-one daemon with the two groups."""
    server = AllInOne({"im.kefu_appid": KEFU, **settings})
    case.addCleanup(server.stop)
    await server.start()
    groups_in_sqlite(server.data)
    return server

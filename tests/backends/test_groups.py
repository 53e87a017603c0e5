"""Stores of groups: in memory, in SQLite, and in a real MariaDB with the tables of all years."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gobelieve.backends.mysql.datasource import parse_datasource
from gobelieve.backends.mysql.groups import MysqlGroups
from gobelieve.backends.mysql.service import MysqlService
from gobelieve.backends.sqlite.groups import SqliteChanges, SqliteGroups
from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.errors import BackendError
from gobelieve.event_loop.reactor import installed_reactor
from gobelieve.interfaces import membership
from tests.backends import group_contracts as contracts
from tests.fakes.groups import MemoryGroupStore
from tests.servers import missing, shared_maria

ETC = Path(__file__).parents[2] / "etc"

Rows = list[tuple[int, int, int | None, int | None, int]]


class MemoryGroupsTests(contracts.DetailsContract):
    """The fake passes as well."""

    def setUp(self) -> None:
        self.store = self.memory = MemoryGroupStore()
        self.members: dict[int, dict[int, int]] = {}

    def put_group(self, id: int, appid: int | None = 7, super: int = 0, deleted: int = 0) -> None:
        if not deleted:
            members = self.members.setdefault(id, {})
            self.memory.rows[id] = (appid or 0, bool(super), members)

    def put_members(self, rows: Rows) -> None:
        for group, uid, timestamp, mute, deleted in rows:
            if not deleted:
                members = self.members.setdefault(group, {})
                members[uid] = membership(timestamp or 0, bool(mute))


class SqliteGroupsTests(contracts.DetailsContract):
    """A new file for each test, to which somebody else writes."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.service = SqliteService(self.path, installed_reactor())
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.store = SqliteGroups(self.service)

    def write(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.executemany(sql, rows)

    def put_group(self, id: int, appid: int | None = 7, super: int = 0, deleted: int = 0) -> None:
        sql = 'INSERT INTO "group" (id, appid, super, deleted) VALUES (?, ?, ?, ?)'
        self.write(sql, [(id, appid, super, deleted)])

    def put_members(self, rows: Rows) -> None:
        columns = "group_id, uid, timestamp, mute, deleted"
        self.write(f"INSERT INTO group_member ({columns}) VALUES (?, ?, ?, ?, ?)", list(rows))

    async def test_after_a_write_of_another_process_groups_are_read_anew(self) -> None:
        """It is no gap to be warned of. A write of ours is none of this."""
        checks: list[object] = []
        moves: list[int] = []

        class Sink:
            def checked(self, action: int) -> None:
                checks.append(action)

            def moved(self, action: int) -> None:
                moves.append(action)

            def interrupted(self) -> None:
                checks.append("late")

            published = entered = None

        sink: object = Sink()
        changes = SqliteChanges(self.service, sink, installed_reactor())  # type: ignore[arg-type]
        await changes.check()
        await self.service.run(lambda db: db.execute("INSERT INTO token VALUES ('t', 7, 1)"))
        await changes.check()
        self.put_group(5)
        await changes.check()
        await changes.check()
        self.assertEqual(checks[0], checks[1])
        self.assertNotEqual(checks[1], checks[2])
        self.assertEqual(checks[2], checks[3])
        self.assertEqual(moves, [checks[2]])
        await self.service.stopService()
        await changes.check()
        self.assertEqual(checks[-1], "late")


class OnMaria(contracts.Fixture):
    """A database for each test; `tables` makes them."""

    skip = missing("mariadbd", "mariadb-install-db")
    tables = (ETC / "schema.sql").read_text("utf-8")
    group_columns = "id, appid, super, deleted"
    member_columns = "group_id, uid, timestamp, mute, deleted"

    def setUp(self) -> None:
        from pymysql.constants import CLIENT

        maria = shared_maria()
        self.connection = maria.connect(database=None, client_flag=CLIENT.MULTI_STATEMENTS)
        self.addCleanup(self.connection.close)
        self.write("DROP DATABASE IF EXISTS group_test; CREATE DATABASE group_test")
        self.write("USE group_test")
        self.write(self.tables)
        source = parse_datasource(f"root:@tcp(127.0.0.1:{maria.port})/group_test?charset=utf8")
        self.mysql = MysqlService(source, installed_reactor())
        self.mysql.startService()
        self.addCleanup(self.mysql.stopService)
        self.store = MysqlGroups(self.mysql)

    def write(self, sql: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            while cursor.nextset():
                pass

    def insert(self, table: str, columns: str, rows: list[tuple[object, ...]]) -> None:
        count = columns.count(",") + 1
        values = ", ".join(["%s"] * count)
        with self.connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO `{table}` ({columns}) VALUES ({values})",
                [row[:count] for row in rows],
            )

    def put_group(self, id: int, appid: int | None = 7, super: int = 0, deleted: int = 0) -> None:
        self.insert("group", self.group_columns, [(id, appid, super, deleted)])

    def put_members(self, rows: Rows) -> None:
        self.insert("group_member", self.member_columns, list(rows))


class MysqlGroupsTests(OnMaria, contracts.DetailsContract):
    """The tables of today, as an operator makes them."""

    async def test_names_in_any_charset_do_not_matter(self) -> None:
        self.put_group(5)
        self.write("UPDATE `group` SET name = '安 😀'")
        self.assertEqual((await self.load(5)).id, 5)

    async def test_without_the_tables_the_error_says_so(self) -> None:
        self.write("DROP TABLE `group`")
        with self.assertRaisesRegex(BackendError, r"group.*doesn't exist \(1146\)"):
            await self.store.load(5)
        self.write(self.tables)
        self.put_group(5)
        self.assertEqual((await self.load(5)).id, 5)


class OldMysqlGroupsTests(OnMaria, contracts.GroupStoreContract):
    """The tables of April 2018."""

    tables = """
        CREATE TABLE `group` (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, appid BIGINT NULL,
            master BIGINT NULL, super TINYINT NOT NULL DEFAULT 0, name VARCHAR(255) NULL)
            ENGINE = InnoDB DEFAULT CHARSET = utf8;
        CREATE TABLE group_member (group_id BIGINT NOT NULL DEFAULT 0, uid BIGINT NOT NULL
            DEFAULT 0, nickname VARCHAR(255) NULL, PRIMARY KEY (group_id, uid), KEY (uid))
            ENGINE = InnoDB DEFAULT CHARSET = utf8;
    """
    group_columns = "id, appid, super"
    member_columns = "group_id, uid"

    async def test_a_group_with_its_members(self) -> None:
        """Nobody wrote down when they joined."""
        self.put_group(5, 7, 1)
        self.put_member(5, 1001)
        group = await self.load(5)
        self.assertEqual((group.appid, group.super), (7, True))
        self.assertEqual(group.members, {1001: 0})

    async def test_columns_that_are_added_count_at_once(self) -> None:
        """The app's server is updated while we run."""
        self.put_group(5)
        self.put_member(5, 1)
        self.assertEqual((await self.load(5)).members, {1: 0})
        self.write("ALTER TABLE group_member ADD timestamp INT NULL")
        self.write("UPDATE group_member SET timestamp = 9")
        self.assertEqual((await self.load(5)).members, {1: membership(9, False)})
        self.write("ALTER TABLE group_member ADD mute TINYINT(1) DEFAULT 0")
        self.write("UPDATE group_member SET mute = 1")
        self.assertEqual((await self.load(5)).members, {1: membership(9, True)})
        self.write("ALTER TABLE group_member ADD deleted TINYINT(1) NOT NULL DEFAULT 0")
        self.write("UPDATE group_member SET deleted = 1")
        self.assertEqual((await self.load(5)).members, {})
        self.write("ALTER TABLE `group` ADD deleted TINYINT(1) NOT NULL")
        self.write("UPDATE `group` SET deleted = 1")
        self.assertIsNone(await self.store.load(5))

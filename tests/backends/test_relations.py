"""Stores of relations: in memory, in SQLite, and in a real MariaDB."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gobelieve.backends.mysql.datasource import parse_datasource
from gobelieve.backends.mysql.relations import MysqlRelations
from gobelieve.backends.mysql.service import MysqlService
from gobelieve.backends.sqlite.relations import SqliteRelations
from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.errors import BackendError
from gobelieve.event_loop.reactor import installed_reactor
from gobelieve.interfaces import IN_MY_BLACKLIST, MY_FRIEND
from gobelieve.names import User
from tests.backends import relation_contracts as contracts
from tests.backends.relation_contracts import ANN, BOB
from tests.fakes.relations import MemoryRelationStore
from tests.servers import missing, shared_maria

ETC = Path(__file__).parents[2] / "etc"


class MemoryRelationsTests(contracts.RelationStoreContract):
    """The fake passes as well."""

    def setUp(self) -> None:
        self.store = self.memory = MemoryRelationStore()

    def put(self, table: str, appid: int, uid: int, friend_uid: int) -> None:
        bit = MY_FRIEND if table == "friend" else IN_MY_BLACKLIST
        self.memory.put(User(appid, uid), friend_uid, bit)


class SqliteRelationsTests(contracts.RelationStoreContract):
    """A new file for each test, to which somebody else writes."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.service = SqliteService(self.path, installed_reactor())
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.store = SqliteRelations(self.service)

    def put(self, table: str, appid: int, uid: int, friend_uid: int) -> None:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute(f"INSERT INTO {table} VALUES (?, ?, ?, 1)", (appid, uid, friend_uid))

    async def test_a_file_that_is_not_in_use(self) -> None:
        await self.service.stopService()
        with self.assertRaises(BackendError):
            await self.store.load(ANN, BOB.uid)


class MysqlRelationsTests(contracts.RelationStoreContract):
    """The tables as an operator makes them."""

    skip = missing("mariadbd", "mariadb-install-db")

    def setUp(self) -> None:
        from pymysql.constants import CLIENT

        maria = shared_maria()
        self.connection = maria.connect(database=None, client_flag=CLIENT.MULTI_STATEMENTS)
        self.addCleanup(self.connection.close)
        self.write("DROP DATABASE IF EXISTS relation_test; CREATE DATABASE relation_test")
        self.write("USE relation_test")
        self.write((ETC / "schema.sql").read_text("utf-8"))
        source = parse_datasource(f"root:@tcp(127.0.0.1:{maria.port})/relation_test?charset=utf8")
        self.mysql = MysqlService(source, installed_reactor())
        self.mysql.startService()
        self.addCleanup(self.mysql.stopService)
        self.store = MysqlRelations(self.mysql)

    def write(self, sql: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            while cursor.nextset():
                pass

    def put(self, table: str, appid: int, uid: int, friend_uid: int) -> None:
        self.write(f"INSERT INTO {table} VALUES ({appid}, {uid}, {friend_uid}, 1)")

    async def test_without_the_tables_the_error_says_so(self) -> None:
        """It is not taken for "no relation"."""
        self.write("DROP TABLE blacklist")
        with self.assertRaisesRegex(BackendError, r"blacklist.*doesn't exist \(1146\)"):
            await self.store.load(ANN, BOB.uid)

    async def test_a_row_is_found_by_the_key(self) -> None:
        """Whatever the tables' size: no table is read through."""
        from gobelieve.backends.mysql.relations import _RELATION

        with self.connection.cursor() as cursor:
            for table in ("friend", "blacklist"):
                cursor.executemany(
                    f"INSERT INTO {table} VALUES (7, %s, %s, 1)",
                    [(uid, other) for uid in range(100) for other in range(20)],
                )
            cursor.execute("EXPLAIN " + _RELATION, {"appid": 7, "me": 5, "you": 6})
            plan = cursor.fetchall()
        self.assertNotIn("ALL", [row[3] for row in plan])

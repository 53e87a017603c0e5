"""SQLite: the suites, and the file itself."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date

from twisted.internet import reactor  # noqa: TID253
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from gobelieve.backends.sqlite.daily_users import DAYS_KEPT, SqliteDailyUsers
from gobelieve.backends.sqlite.group_keys import SqliteGroupSyncKeys
from gobelieve.backends.sqlite.groups import SqliteGroups
from gobelieve.backends.sqlite.schema import MIGRATIONS
from gobelieve.backends.sqlite.service import (
    SqliteDeviceNumbers,
    SqlitePreferences,
    SqlitePushQueues,
    SqliteService,
    SqliteSyncKeys,
    SqliteTokenAdmin,
    SqliteTokens,
    SqliteUnreadCounts,
)
from gobelieve.errors import BackendError
from gobelieve.interfaces import Seen
from gobelieve.names import User
from tests.backends import contracts


class SqliteBackend(contracts.Backend):
    """`contracts.Backend`."""

    def __init__(self, service: SqliteService) -> None:
        self.service = service
        self.tokens = SqliteTokens(service)
        self.preferences = SqlitePreferences(service)
        self.admin = SqliteTokenAdmin(service)
        self.devices = SqliteDeviceNumbers(service)
        self.sync_keys = SqliteSyncKeys(service)
        self.group_sync_keys = SqliteGroupSyncKeys(service)
        self.unread = SqliteUnreadCounts(service)
        self.daily = SqliteDailyUsers(service)
        self.pushes = SqlitePushQueues(service)

    async def set_flag(self, user: User, name: str, value: int) -> None:
        sql = f"UPDATE user SET {name} = ? WHERE appid = ? AND uid = ?"
        await self.service.run(lambda db: db.execute(sql, (value, *user)))

    async def unread_of(self, user: User) -> int | None:
        rows = await self.select("SELECT unread FROM user WHERE appid = ? AND uid = ?", *user)
        return rows[0][0] if rows else None

    async def users_on(self, year: int, month: int, day: int, appid: int) -> int:
        sql = "SELECT count(*) FROM daily_user WHERE day = ? AND appid = ?"
        return int((await self.select(sql, f"{year}-{month:02}-{day:02}", appid))[0][0])

    async def pushed(self, queue: str) -> list[bytes]:
        sql = "SELECT item FROM push WHERE queue = ? ORDER BY number"
        return [item for (item,) in await self.select(sql, queue)]

    async def select(self, sql: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        return await self.service.run(lambda db: db.execute(sql, values).fetchall())


class OnSqlite(contracts.Contract):
    """A new file for each test."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.service = SqliteService(self.path, reactor)
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.backend = SqliteBackend(self.service)


class SqlitePreferencesTests(OnSqlite, contracts.PreferencesContract):
    """Settings in SQLite."""


class SqliteTokensTests(OnSqlite, contracts.TokensContract):
    """Tokens in SQLite."""


class SqliteDeviceNumbersTests(OnSqlite, contracts.DeviceNumbersContract):
    """Device numbers in SQLite."""


class SqliteSyncKeysTests(OnSqlite, contracts.SyncKeysContract):
    """Sync keys in SQLite."""


class SqliteGroupSyncKeysTests(OnSqlite, contracts.GroupSyncKeysContract):
    """Sync keys of super groups in SQLite."""


class SqliteUnreadCountsTests(OnSqlite, contracts.UnreadCountsContract):
    """Unread counts in SQLite."""


class SqliteDailyUsersTests(OnSqlite, contracts.DailyUsersContract):
    """Daily users in SQLite."""

    async def test_days_that_are_long_past_are_forgotten(self) -> None:
        """The others stay."""
        today = date(2026, 1, 9).toordinal()
        for day in (today - DAYS_KEPT - 1, today - DAYS_KEPT, today):
            await self.backend.daily.add([Seen(7, 1, day)])
        sql = "SELECT day FROM daily_user ORDER BY day"
        rows = await self.service.run(lambda db: db.execute(sql).fetchall())
        self.assertEqual([day for (day,) in rows], ["2024-12-05", "2026-01-09"])


class SqlitePushQueuesTests(OnSqlite, contracts.PushQueuesContract):
    """The table push."""

    async def test_only_the_newest_rows_are_kept_if_nobody_takes_them(self) -> None:
        pushes = SqlitePushQueues(self.service, max_pushes=3)
        for number in range(5):
            await pushes.append([("push_queue", b"%d" % number)])
        self.assertEqual(await self.backend.pushed("push_queue"), [b"2", b"3", b"4"])


class SqliteFileTests(TestCase):
    """One file, used by a daemon and by the command beside it."""

    timeout = 30

    def started(self, path: str) -> SqliteService:
        service = SqliteService(path, reactor)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def test_what_was_kept_is_there_after_a_restart(self) -> None:
        path = self.mktemp()
        service = self.started(path)
        await SqliteTokenAdmin(service).create(User(7, 1), "t", "Ann")
        self.assertEqual(await SqliteDeviceNumbers(service).number("phone", 1), 1)
        await service.stopService()
        service = self.started(path)
        self.assertEqual(await SqliteDeviceNumbers(service).number("tablet", 1), 2)
        identity = await SqliteTokens(service).find("t")
        self.assertEqual(identity and identity.user, User(7, 1))

    async def test_two_programs_see_each_other_s_tokens_at_once(self) -> None:
        path = self.mktemp()
        daemon, command = self.started(path), self.started(path)
        writes = [
            Deferred.fromCoroutine(SqliteTokenAdmin(service).create(User(7, n + 1), f"t{n}", ""))
            for n in range(40)
            for service in (daemon, command)
        ]
        await gatherResults(writes)
        for n in range(40):
            self.assertIsNotNone(await SqliteTokens(daemon).find(f"t{n}"))
        self.assertTrue(await SqliteTokenAdmin(command).revoke("t3"))
        self.assertIsNone(await SqliteTokens(daemon).find("t3"))

    def test_programs_that_make_the_file_at_the_same_moment_all_succeed(self) -> None:
        path = self.mktemp()
        code = (
            "import sys; from twisted.internet import reactor;"
            "from gobelieve.backends.sqlite.service import SqliteService;"
            "s = SqliteService(sys.argv[1], reactor); sys.stdin.read();"
            "[s._prepare() for _ in range(20)]"
        )
        programs = [
            subprocess.Popen(
                [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for _ in range(3)
        ]
        for program in programs:
            assert program.stdin is not None
            program.stdin.close()
            program.stdin = None
        for program in programs:
            _, said = program.communicate()
            self.assertEqual((program.returncode, said), (0, b""))

    async def test_what_was_asked_before_the_stop_is_done(self) -> None:
        path = self.mktemp()
        service = self.started(path)
        admin = SqliteTokenAdmin(service)
        asked = [
            Deferred.fromCoroutine(admin.create(User(7, n + 1), f"t{n}", "")) for n in range(50)
        ]
        stopping = service.stopService()
        await gatherResults(asked)
        await stopping
        with closing(sqlite3.connect(path)) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM token").fetchone(), (50,))

    async def test_after_the_stop_calls_fail_at_once(self) -> None:
        service = self.started(self.mktemp())
        await service.stopService()
        with self.assertRaisesRegex(BackendError, "stopped"):
            await SqliteTokens(service).find("t")

    def test_a_file_that_cannot_be_opened_fails_the_start_with_its_name(self) -> None:
        path = self.mktemp() + "/absent/gobelieve.db"
        with self.assertRaisesRegex(BackendError, "absent/gobelieve.db: No such file"):
            SqliteService(path, reactor).startService()

    async def test_nobody_else_may_read_the_tokens(self) -> None:
        path = self.mktemp()
        await SqliteTokenAdmin(self.started(path)).create(User(7, 1), "t", "Ann")
        for name in (path, path + "-wal", path + "-shm"):
            self.assertEqual(os.stat(name).st_mode & 0o777, 0o600, name)

    def test_a_file_that_is_no_database_fails_the_start(self) -> None:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"not a database at all" * 100)
        with self.assertRaisesRegex(BackendError, "not a database"):
            SqliteService(path, reactor).startService()

    async def test_a_file_of_an_older_program_gets_the_tables_that_it_lacks(
        self,
    ) -> None:
        path = self.mktemp()
        with closing(sqlite3.connect(path)) as db:
            db.executescript(MIGRATIONS[0] + "; PRAGMA user_version = 1")
            db.execute("INSERT INTO token VALUES ('t', 7, 1001)")
            db.commit()
        for _ in range(2):
            service = self.started(path)
            self.assertIsNotNone(await SqliteTokens(service).find("t"))
            self.assertIsNone(await SqliteGroups(service).load(5))
            await service.stopService()

    def test_a_file_of_a_newer_program_is_left_alone(self) -> None:
        path = self.mktemp()
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version = 99")
        with self.assertRaisesRegex(BackendError, "has version 99"):
            SqliteService(path, reactor).startService()

    async def test_an_error_of_sql_is_a_backend_error_and_takes_the_work_back(self) -> None:
        service = self.started(self.mktemp())

        def half(db: sqlite3.Cursor) -> None:
            db.execute("INSERT INTO token VALUES ('t', 7, 1)")
            db.execute("INSERT INTO nowhere VALUES (1)")

        with self.assertRaisesRegex(BackendError, "nowhere"):
            await service.run(half)
        self.assertIsNone(await SqliteTokens(service).find("t"))

    async def test_a_number_sqlite_cannot_hold_is_a_backend_error(self) -> None:
        service = self.started(self.mktemp())
        with self.assertRaises(BackendError):
            await SqliteUnreadCounts(service).set({User(7, 1 << 70): 1})

    async def test_a_token_that_is_no_text_is_a_backend_error(self) -> None:
        with self.assertRaises(BackendError):
            await SqliteTokens(self.started(self.mktemp())).find("\udc80")

"""The same in one SQLite file, for a site that runs in one process and needs nothing installed.

All statements run on one thread, one after another; the file is in WAL mode, so that another
process (the ``gobelieve`` command) may read and write it meanwhile. A call that returned is on
disk. All failures are `BackendError`.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from twisted.application.service import Service
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.logger import Logger

from gobelieve.backends.sqlite.schema import MIGRATIONS, VERSION
from gobelieve.errors import BackendError
from gobelieve.interfaces import Identity, Settings, TokenDetails
from gobelieve.names import User

T = TypeVar("T")

FILE_NAME = "gobelieve.db"
"""What the file is called in the data folder of the embedded daemon."""

BUSY_SECONDS = 5.0
"""How long a call waits while another process writes."""

MAX_PUSHES = 100_000
"""Rows kept in the table push; nobody may be taking from it."""


class SqliteService(Service):
    """Opens the file when started, and makes the tables that are missing; the folder must exist."""

    def __init__(self, path: str | Path, reactor: IReactorCore) -> None:
        self.path = Path(path)
        self._reactor = reactor
        self._pool: ConnectionPool | None = None

    async def run(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Do this in one transaction, on the thread. It is taken back if `work` raises."""
        if not self.running:
            raise BackendError(f"{self.path} is not in use: the service is stopped")
        if self._pool is None:
            self._pool = self._open()
        try:
            result: T = await self._pool.runInteraction(work)
        except (sqlite3.Error, OverflowError, UnicodeError) as why:
            raise BackendError(f"{self.path}: {why}") from None
        return result

    def startService(self) -> None:
        """`BackendError` at once if the file cannot be used: a daemon should not start then."""
        self._prepare()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """What was asked before is done first."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            # The thread takes its work in order, so this comes behind all that was asked.
            with suppress(sqlite3.Error):
                await pool.runWithConnection(lambda connection: None)
            pool.close()

    def _open(self) -> ConnectionPool:
        return ConnectionPool(
            "sqlite3",
            str(self.path),
            timeout=BUSY_SECONDS,
            check_same_thread=False,  # the pool closes it on the main thread
            cp_min=1,
            cp_max=1,
            cp_reactor=self._reactor,
            # Whatever this SQLite was built with: a call that returned is on disk.
            cp_openfun=lambda connection: connection.execute("PRAGMA synchronous = FULL"),
        )

    def _prepare(self) -> None:
        try:
            # Tokens are secrets; the files that SQLite puts beside it get the same mode.
            self.path.touch(0o600)
            with closing(sqlite3.connect(self.path, BUSY_SECONDS, isolation_level=None)) as db:
                db.execute("PRAGMA journal_mode = WAL")
                self._migrate(db)
        except sqlite3.Error as why:
            raise BackendError(f"{self.path}: {why}") from None
        except OSError as why:
            raise BackendError(f"{self.path}: {why.strerror}") from None

    def _migrate(self, db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise BackendError(
                f"{self.path} has version {version}; this program knows up to {VERSION}"
            )
        for migration in MIGRATIONS[version:]:
            for statement in migration.split(";"):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")


class SqliteTokens:
    """`gobelieve.interfaces.Tokens`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def find(self, token: str) -> Identity | None:
        """Whom the token stands for."""
        details = await _details(self._sqlite, token)
        return details and details.identity


class SqlitePreferences:
    """`gobelieve.interfaces.Preferences`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def of(self, user: User) -> Settings:
        """From the user's row."""

        def work(db: sqlite3.Cursor) -> Settings:
            db.execute(
                "SELECT coalesce(forbidden, 0), coalesce(notification_on, 0) FROM user"
                " WHERE appid = ? AND uid = ?",
                user,
            )
            forbidden, notified = db.fetchone() or (0, 0)
            return Settings(bool(forbidden), bool(notified))

        return await self._sqlite.run(work)


class SqliteTokenAdmin:
    """`gobelieve.interfaces.TokenAdmin`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def create(self, user: User, token: str, name: str) -> None:
        """Older tokens of the user stay good."""

        def work(db: sqlite3.Cursor) -> None:
            db.execute("INSERT OR REPLACE INTO token VALUES (?, ?, ?)", (token, *user))
            db.execute(
                "INSERT INTO user (appid, uid, name, access_token) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET name = excluded.name,"
                " access_token = excluded.access_token",
                (*user, name, token),
            )

        await self._sqlite.run(work)

    async def revoke(self, token: str) -> bool:
        """The user stays known."""

        def work(db: sqlite3.Cursor) -> bool:
            db.execute("DELETE FROM token WHERE token = ?", (token,))
            return db.rowcount > 0

        return await self._sqlite.run(work)

    async def describe(self, token: str) -> TokenDetails | None:
        """The user's name and settings."""
        return await _details(self._sqlite, token)


class SqliteDeviceNumbers:
    """`gobelieve.interfaces.DeviceNumbers`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def number(self, device_id: str, platform: int) -> int:
        """Written only at first sight."""

        def work(db: sqlite3.Cursor) -> int:
            known = "SELECT number FROM device WHERE device_id = ? AND platform = ?"
            row = db.execute(known, (device_id, platform)).fetchone()
            if row is None:
                new = "INSERT OR IGNORE INTO device (device_id, platform) VALUES (?, ?)"
                db.execute(new, (device_id, platform))
                row = db.execute(known, (device_id, platform)).fetchone()
            return int(row[0])

        return await self._sqlite.run(work)


class SqliteSyncKeys:
    """`gobelieve.interfaces.SyncKeys`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def load(self, user: User) -> int:
        """0 for a user that is not known."""

        def work(db: sqlite3.Cursor) -> int:
            db.execute("SELECT sync_key FROM user WHERE appid = ? AND uid = ?", user)
            row = db.fetchone()
            return int(row[0]) if row else 0

        return await self._sqlite.run(work)

    async def advance(self, keys: Mapping[User, int]) -> None:
        """All in one transaction."""
        rows = [(*user, key) for user, key in keys.items() if key > 0]
        if rows:
            await self._sqlite.run(
                lambda db: db.executemany(
                    "INSERT INTO user (appid, uid, sync_key) VALUES (?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET sync_key = max(sync_key, excluded.sync_key)",
                    rows,
                )
            )

    async def lower(self, user: User, key: int) -> None:
        """Only ever down."""
        await self._sqlite.run(
            lambda db: db.execute(
                "UPDATE user SET sync_key = ? WHERE appid = ? AND uid = ? AND sync_key > ?",
                (max(0, key), *user, max(0, key)),
            )
        )


class SqliteUnreadCounts:
    """`gobelieve.interfaces.UnreadCounts`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def set(self, counts: Mapping[User, int]) -> None:
        """Kept with the users; all or none."""
        rows = [(*user, count) for user, count in counts.items()]
        await self._sqlite.run(
            lambda db: db.executemany(
                "INSERT INTO user (appid, uid, unread) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET unread = excluded.unread",
                rows,
            )
        )


class SqlitePushQueues:
    """`gobelieve.interfaces.PushQueues`: the table push, from which a push worker may delete.

    Only the newest `most` rows are kept.
    """

    log = Logger()

    def __init__(self, sqlite: SqliteService, max_pushes: int = MAX_PUSHES) -> None:
        self._sqlite = sqlite
        self._max_pushes = max_pushes
        self._told = False

    async def append(self, items: Sequence[tuple[str, bytes]]) -> None:
        """All or none."""

        def work(db: sqlite3.Cursor) -> bool:
            db.executemany("INSERT INTO push (queue, item) VALUES (?, ?)", items)
            db.execute(
                "DELETE FROM push WHERE number <= (SELECT max(number) FROM push) - ?",
                (self._max_pushes,),
            )
            return db.rowcount > 0

        cut = bool(items) and await self._sqlite.run(work)
        if cut and not self._told:
            self._told = True
            self.log.warn(
                "nobody takes pushes from {path}: only the newest {most} are kept",
                path=str(self._sqlite.path),
                most=self._max_pushes,
            )


async def _details(sqlite: SqliteService, token: str) -> TokenDetails | None:
    def work(db: sqlite3.Cursor) -> TokenDetails | None:
        db.execute(
            "SELECT appid, uid, coalesce(forbidden, 0), coalesce(notification_on, 0),"
            " coalesce(name, '') FROM token LEFT JOIN user USING (appid, uid)"
            " WHERE token = ? AND uid <> 0",
            (token,),
        )
        row = db.fetchone()
        if row is None:
            return None
        appid, uid, forbidden, notified, name = row
        return TokenDetails(Identity(User(appid, uid), bool(forbidden), bool(notified)), name)

    return await sqlite.run(work)

"""The sync keys of super groups, in the SQLite file."""

import sqlite3
from collections.abc import Mapping

from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.names import GroupReader


class SqliteGroupSyncKeys:
    """`gobelieve.interfaces.SyncKeys`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def load(self, reader: GroupReader) -> int:
        """0 for a reader that is not known."""

        def work(db: sqlite3.Cursor) -> int:
            db.execute(
                "SELECT sync_key FROM group_sync_key WHERE appid = ? AND uid = ? AND group_id = ?",
                reader,
            )
            row = db.fetchone()
            return int(row[0]) if row else 0

        return await self._sqlite.run(work)

    async def advance(self, keys: Mapping[GroupReader, int]) -> None:
        """All in one transaction."""
        rows = [(*reader, key) for reader, key in keys.items() if key > 0]
        if rows:
            await self._sqlite.run(
                lambda db: db.executemany(
                    "INSERT INTO group_sync_key VALUES (?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET sync_key = max(sync_key, excluded.sync_key)",
                    rows,
                )
            )

    async def lower(self, reader: GroupReader, key: int) -> None:
        """Only ever down."""
        await self._sqlite.run(
            lambda db: db.execute(
                "UPDATE group_sync_key SET sync_key = ?"
                " WHERE appid = ? AND uid = ? AND group_id = ? AND sync_key > ?",
                (max(0, key), *reader, max(0, key)),
            )
        )

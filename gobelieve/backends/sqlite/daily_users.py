"""Who logged in on which day, in the SQLite file: the table ``daily_user``, with readable dates.

Redis estimates how many they are; here each has a row.
"""

import sqlite3
from collections.abc import Iterable
from datetime import date

from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.interfaces import Seen

DAYS_KEPT = 400


class SqliteDailyUsers:
    """`gobelieve.interfaces.DailyUsers`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def add(self, seen: Iterable[Seen]) -> None:
        """Days that are long past are forgotten by the way."""
        all_seen = list(seen)
        if not all_seen:
            return
        rows = [(_text(day), appid, uid) for appid, uid, day in all_seen]
        newest = max(day for _, _, day in all_seen)

        def work(db: sqlite3.Cursor) -> None:
            db.executemany("INSERT OR IGNORE INTO daily_user VALUES (?, ?, ?)", rows)
            db.execute("DELETE FROM daily_user WHERE day < ?", (_text(newest - DAYS_KEPT),))

        await self._sqlite.run(work)


def _text(day: int) -> str:
    return date.fromordinal(day).isoformat()

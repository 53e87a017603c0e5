"""What the app's server decides about users, in the SQLite file.

There are no other gateways to be told: the one that is asked sees to its own sessions.
"""

import sqlite3
from collections.abc import Sequence

from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.interfaces import Conversation
from gobelieve.names import User

_CURRENT = (
    "SELECT token FROM token JOIN user USING (appid, uid)"
    " WHERE appid = ? AND uid = ? AND token = access_token"
)


class SqliteUserAdmin:
    """`gobelieve.interfaces.UserAdmin`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def grant(self, user: User, new: str, name: str | None) -> str:
        """A token that was made by ``gobelieve token create`` counts as granted."""

        def work(db: sqlite3.Cursor) -> str:
            db.execute("BEGIN IMMEDIATE")
            row = db.execute(_CURRENT, user).fetchone()
            if row is None:
                db.execute("INSERT INTO token VALUES (?, ?, ?)", (new, *user))
            token = new if row is None else str(row[0])
            db.execute(
                "INSERT INTO user (appid, uid, name, access_token) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET access_token = excluded.access_token,"
                " name = CASE WHEN ? THEN excluded.name ELSE name END",
                (*user, name or "", token, name is not None),
            )
            return token

        return await self._sqlite.run(work)

    async def revoke_all(self, user: User) -> bool:
        """All of them."""

        def work(db: sqlite3.Cursor) -> bool:
            db.execute("DELETE FROM token WHERE appid = ? AND uid = ?", user)
            return db.rowcount > 0

        return await self._sqlite.run(work)

    async def sessions_ended(self, user: User) -> None:
        """Nobody has to be told."""

    async def rename(self, user: User, name: str) -> None:
        """Also of a user that is not known yet, as everywhere here."""
        await self._set(user, "name", name)

    async def forbid(self, user: User, forbidden: bool) -> None:
        """Only written."""
        await self._set(user, "forbidden", int(forbidden))

    async def mute(self, user: User, muted: bool) -> None:
        """As the contrary, ``notification_on``."""
        await self._set(user, "notification_on", int(not muted))

    async def _set(self, user: User, column: str, value: object) -> None:
        await self._sqlite.run(
            lambda db: db.execute(
                f"INSERT INTO user (appid, uid, {column}) VALUES (?, ?, ?)"
                f" ON CONFLICT DO UPDATE SET {column} = excluded.{column}",
                (*user, value),
            )
        )

    async def disturb(self, user: User, conversation: Conversation, wanted: bool) -> None:
        """A row says: do not ring. A push worker may read it."""
        peer, group_id = conversation
        name = f"p:{peer}" if peer else f"g:{group_id}"
        sql = "DELETE FROM do_not_disturb WHERE appid = ? AND uid = ? AND conversation = ?"
        if not wanted:
            sql = "INSERT OR IGNORE INTO do_not_disturb VALUES (?, ?, ?)"
        await self._sqlite.run(lambda db: db.execute(sql, (*user, name)))

    async def forget_group_keys(self, appid: int, group_id: int, uids: Sequence[int]) -> None:
        """In one transaction."""
        rows = [(appid, uid, group_id) for uid in uids]
        sql = "DELETE FROM group_sync_key WHERE appid = ? AND uid = ? AND group_id = ?"
        await self._sqlite.run(lambda db: db.executemany(sql, rows))

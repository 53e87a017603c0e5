"""Friends and blacklists in the SQLite file: the tables ``friend`` and ``blacklist``."""

import sqlite3

from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.interfaces import IN_MY_BLACKLIST, IN_YOUR_BLACKLIST, MY_FRIEND, YOUR_FRIEND
from gobelieve.names import User

_ROW = "EXISTS (SELECT 1 FROM {} WHERE appid = :appid AND uid = :{} AND friend_uid = :{})"
_BITS = (
    (MY_FRIEND, _ROW.format("friend", "me", "you")),
    (YOUR_FRIEND, _ROW.format("friend", "you", "me")),
    (IN_MY_BLACKLIST, _ROW.format("blacklist", "me", "you")),
    (IN_YOUR_BLACKLIST, _ROW.format("blacklist", "you", "me")),
)
_RELATION = "SELECT " + " + ".join(f"{bit} * {row}" for bit, row in _BITS)


class SqliteRelations:
    """`gobelieve.interfaces.RelationStore`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def load(self, user: User, peer: int) -> int:
        """All of it as of one moment."""

        def work(db: sqlite3.Cursor) -> int:
            named = {"appid": user.appid, "me": user.uid, "you": peer}
            (relation,) = db.execute(_RELATION, named).fetchone()
            return int(relation)

        return await self._sqlite.run(work)

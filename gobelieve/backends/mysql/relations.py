"""Friends and blacklists in the app's MySQL: the tables ``friend`` and ``blacklist``."""

from typing import Any

from gobelieve.backends.mysql.service import MysqlService
from gobelieve.interfaces import IN_MY_BLACKLIST, IN_YOUR_BLACKLIST, MY_FRIEND, YOUR_FRIEND
from gobelieve.names import User

_ROW = "EXISTS (SELECT 1 FROM {} WHERE appid = %(appid)s AND uid = %({})s AND friend_uid = %({})s)"
_BITS = (
    (MY_FRIEND, _ROW.format("friend", "me", "you")),
    (YOUR_FRIEND, _ROW.format("friend", "you", "me")),
    (IN_MY_BLACKLIST, _ROW.format("blacklist", "me", "you")),
    (IN_YOUR_BLACKLIST, _ROW.format("blacklist", "you", "me")),
)
_RELATION = "SELECT " + " + ".join(f"{bit} * {row}" for bit, row in _BITS)


class MysqlRelations:
    """`gobelieve.interfaces.RelationStore`: one round trip."""

    def __init__(self, mysql: MysqlService) -> None:
        self._mysql = mysql

    async def load(self, user: User, peer: int) -> int:
        """All of it as of one moment."""
        return await self._mysql.read(lambda connection: _load(connection, user, peer))


def _load(connection: Any, user: User, peer: int) -> int:
    with connection.cursor() as rows:
        rows.execute(_RELATION, {"appid": user.appid, "me": user.uid, "you": peer})
        return int(rows.fetchone()[0])

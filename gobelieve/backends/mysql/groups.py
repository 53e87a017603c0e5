"""The app's tables of groups in MySQL, of all years.

The tables are those of ``etc/schema.sql``. Before July 2018 ``group_member`` had no ``timestamp``,
before that October no ``mute``; ``deleted`` is younger still. So the tables are asked each time
which columns they have: two round trips more a load, and nothing to go stale when the app's server
is updated.
"""

from time import sleep
from typing import Any

from gobelieve.backends.mysql.service import MysqlService
from gobelieve.interfaces import Group, membership

MEMBERS_PER_PAGE = 200
"""Members that are read at once; between the pages the other threads get their turn."""

NOBODY = -(1 << 63)


class MysqlGroups:
    """`gobelieve.interfaces.GroupStore`."""

    def __init__(self, mysql: MysqlService) -> None:
        self._mysql = mysql

    async def load(self, group_id: int) -> Group | None:
        """All of it as of one moment."""
        return await self._mysql.read(lambda connection: _load(connection, group_id))


def _load(connection: Any, group_id: int) -> Group | None:
    with connection.cursor() as rows:
        alive = " AND deleted = 0" if "deleted" in _columns(rows, "group") else ""
        rows.execute(f"SELECT appid, `super` FROM `group` WHERE id = %s{alive}", (group_id,))
        row = rows.fetchone()
        if row is None:
            return None
        return Group(group_id, row[0] or 0, bool(row[1]), _members(rows, group_id))


def _members(rows: Any, group_id: int) -> dict[int, int]:
    columns = _columns(rows, "group_member")
    joined = "`timestamp`" if "timestamp" in columns else "NULL"
    muted = "mute" if "mute" in columns else "NULL"
    alive = " AND deleted = 0" if "deleted" in columns else ""
    sql = (
        f"SELECT uid, {joined}, {muted} FROM group_member"
        f" WHERE group_id = %s AND uid > %s{alive} ORDER BY uid LIMIT {MEMBERS_PER_PAGE}"
    )
    members: dict[int, int] = {}
    last = NOBODY
    while True:
        rows.execute(sql, (group_id, last))
        page = rows.fetchall()
        members.update([(uid, membership(when or 0, bool(mute))) for uid, when, mute in page])
        if len(page) < MEMBERS_PER_PAGE:
            return members
        last = page[-1][0]
        sleep(0)


def _columns(rows: Any, table: str) -> set[str]:
    rows.execute(f"SELECT * FROM `{table}` LIMIT 0")
    return {column[0].lower() for column in rows.description}

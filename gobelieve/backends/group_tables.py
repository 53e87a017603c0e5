"""Writing the app's tables of groups: the SQL, which MySQL and SQLite both understand.

The tables are those of ``etc/schema.sql``, or of older years: before July 2018 ``group_member`` had
no ``timestamp``, before that October no ``mute``; ``deleted`` is younger still, and has no default
in upstream's own schema. So each transaction asks which columns there are.

The row of the group is locked first, always. So changes of one group come one after another, and
none blocks another one for ever.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import sleep
from typing import Any

from gobelieve.errors import BackendError
from gobelieve.interfaces import GroupCard, MemberCard, NewGroup

ROWS_PER_PAGE = 200
"""Rows that are read at once; between the pages the other threads get their turn."""

NOBODY = -(1 << 63)


@dataclass(frozen=True)
class Dialect:
    """Where the two differ."""

    mark: str
    """What stands for a value."""
    once: str
    """Behind an INSERT: one that is there already stays as it is."""
    lock: str
    """Behind a SELECT: nobody else changes the row until the end of the transaction."""


MYSQL = Dialect("%s", " ON DUPLICATE KEY UPDATE {0} = {0}", " FOR UPDATE")
SQLITE = Dialect("?", " ON CONFLICT DO NOTHING", "")


class GroupTables:
    """The tables, within one transaction."""

    def __init__(self, rows: Any, dialect: Dialect) -> None:
        self._rows = rows
        self._dialect = dialect
        self._group = self._columns("group")
        self._member = self._columns("group_member")

    # --- groups

    def card(self, appid: int, group_id: int) -> GroupCard | None:
        """The group, locked, if the app has it."""
        alive = " AND deleted = 0" if "deleted" in self._group else ""
        self._run(
            "SELECT appid, master, super, name, notice FROM `group`"
            f" WHERE id = ?{alive}{self._dialect.lock}",
            group_id,
        )
        row = self._rows.fetchone()
        if row is None or (row[0] or 0) != appid:
            return None
        owner, master, super_, name, notice = row
        return GroupCard(group_id, owner or 0, master or 0, bool(super_), name or "", notice or "")

    def create(self, group: NewGroup, now: int) -> GroupCard | None:
        """See `gobelieve.interfaces.GroupAdmin`."""
        values: dict[str, Any] = {
            "appid": group.appid,
            "master": group.master,
            "super": int(group.super),
            "name": group.name,
        }
        if group.id:
            values["id"] = group.id
        if "deleted" in self._group:
            values["deleted"] = 0
        self._insert("group", [values], "id")
        found = self.card(group.appid, group.id or int(self._rows.lastrowid))
        wanted = (group.master, group.super, group.name)
        if found is None or (found.master, found.super, found.name) != wanted:
            return None
        self.add(found.id, group.members, now)
        return found

    def is_gone(self, appid: int, group_id: int) -> bool:
        """Whether no app has such a group. One that is marked as deleted is its app's."""
        self._run("SELECT appid FROM `group` WHERE id = ?", group_id)
        row = self._rows.fetchone()
        return row is None or ((row[0] or 0) == appid and self.card(appid, group_id) is None)

    def disband(self, group_id: int) -> list[int]:
        """Deletes it; who was in it."""
        uids = [member.uid for member in self.members(group_id)]
        self._run("DELETE FROM group_member WHERE group_id = ?", group_id)
        self._run("DELETE FROM `group` WHERE id = ?", group_id)
        return uids

    def put(self, group_id: int, column: str, value: object) -> None:
        """Changes a column of the group's row."""
        self._run(f"UPDATE `group` SET {column} = ? WHERE id = ?", value, group_id)

    # --- members

    def add(self, group_id: int, uids: Sequence[int], now: int) -> None:
        """Those who are members stay as they are."""
        if "deleted" in self._member:
            # One who was deleted begins anew.
            self._delete(group_id, uids, " AND deleted <> 0")
        optional = {"timestamp": now, "mute": 0, "deleted": 0}
        common = {name: value for name, value in optional.items() if name in self._member}
        rows = [{"group_id": group_id, "uid": uid, **common} for uid in uids]
        self._insert("group_member", rows, "uid")

    def remove(self, group_id: int, uids: Sequence[int]) -> None:
        """Deletes them."""
        self._delete(group_id, uids, "")

    def put_of_member(self, group_id: int, uid: int, column: str, value: object) -> bool:
        """Changes a column of a member's row; False if there is none."""
        if column not in self._member:
            raise BackendError(f"the table group_member has no column {column}")
        alive = " AND deleted = 0" if "deleted" in self._member else ""
        where = f" WHERE group_id = ? AND uid = ?{alive}"
        self._run(f"SELECT uid FROM group_member{where}", group_id, uid)
        if self._rows.fetchone() is None:
            return False
        self._run(f"UPDATE group_member SET {column} = ?{where}", value, group_id, uid)
        return True

    def members(self, group_id: int) -> Iterator[MemberCard]:
        """By their uids."""
        joined = "`timestamp`" if "timestamp" in self._member else "NULL"
        muted = "mute" if "mute" in self._member else "NULL"
        alive = " AND deleted = 0" if "deleted" in self._member else ""
        sql = (
            f"SELECT uid, nickname, {joined}, {muted} FROM group_member"
            f" WHERE group_id = ? AND uid > ?{alive} ORDER BY uid LIMIT {ROWS_PER_PAGE}"
        )
        last = NOBODY
        while True:
            self._run(sql, group_id, last)
            page = self._rows.fetchall()
            for uid, nickname, when, mute in page:
                yield MemberCard(uid, nickname or "", when or 0, bool(mute))
            if len(page) < ROWS_PER_PAGE:
                return
            last = page[-1][0]
            sleep(0)

    # --- SQL

    def _columns(self, table: str) -> set[str]:
        self._rows.execute(f"SELECT * FROM `{table}` LIMIT 0")
        return {column[0].lower() for column in self._rows.description}

    def _insert(self, table: str, rows: Sequence[dict[str, Any]], key: str) -> None:
        """Rows with the same columns; one whose key is there already stays as it is."""
        if not rows:
            return
        names = ", ".join(f"`{name}`" for name in rows[0])
        marks = ", ".join("?" for _ in rows[0])
        once = self._dialect.once.format(key)
        sql = f"INSERT INTO `{table}` ({names}) VALUES ({marks}){once}"
        values = [tuple(row.values()) for row in rows]
        if len(values) == 1:
            # So that the number it was given is known.
            self._run(sql, *values[0])
        else:
            self._run_all(sql, values)

    def _delete(self, group_id: int, uids: Sequence[int], only: str) -> None:
        for first in range(0, len(uids), ROWS_PER_PAGE):
            some = uids[first : first + ROWS_PER_PAGE]
            marks = ", ".join("?" for _ in some)
            sql = f"DELETE FROM group_member WHERE group_id = ? AND uid IN ({marks}){only}"
            self._run(sql, group_id, *some)

    def _run(self, sql: str, *values: object) -> None:
        self._rows.execute(sql.replace("?", self._dialect.mark), values)

    def _run_all(self, sql: str, values: Sequence[tuple[object, ...]]) -> None:
        self._rows.executemany(sql.replace("?", self._dialect.mark), values)

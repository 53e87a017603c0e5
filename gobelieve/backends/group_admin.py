"""Groups as the app's server writes them: in its MySQL, or in the SQLite file."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gobelieve.backends.group_tables import MYSQL, SQLITE, GroupTables
from gobelieve.backends.mysql.service import MysqlService
from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.interfaces import GroupCard, MemberCard, NewGroup

T = TypeVar("T")


class _GroupAdmin:
    """`gobelieve.interfaces.GroupAdmin`."""

    async def write(self, work: Callable[[GroupTables], T]) -> T:
        """In one transaction."""
        raise NotImplementedError

    async def create(self, group: NewGroup, now: int) -> GroupCard | None:
        return await self.write(lambda tables: tables.create(group, now))

    async def disband(self, appid: int, group_id: int) -> tuple[GroupCard, list[int]] | None:
        def work(tables: GroupTables) -> tuple[GroupCard, list[int]] | None:
            card = tables.card(appid, group_id)
            if card is not None:
                return card, tables.disband(group_id)
            if tables.is_gone(appid, group_id):
                return GroupCard(group_id, appid, 0, False, "", ""), []
            return None

        return await self.write(work)

    async def rename(self, appid: int, group_id: int, name: str) -> GroupCard | None:
        def work(tables: GroupTables, card: GroupCard) -> GroupCard:
            tables.put(group_id, "name", name)
            return card._replace(name=name)

        return await self._change(appid, group_id, work)

    async def set_notice(self, appid: int, group_id: int, notice: str) -> GroupCard | None:
        def work(tables: GroupTables, card: GroupCard) -> GroupCard:
            tables.put(group_id, "notice", notice)
            return card._replace(notice=notice)

        return await self._change(appid, group_id, work)

    async def upgrade(self, appid: int, group_id: int) -> GroupCard | None:
        def work(tables: GroupTables, card: GroupCard) -> GroupCard:
            tables.put(group_id, "super", 1)
            return card._replace(super=True)

        return await self._change(appid, group_id, work)

    async def add(
        self, appid: int, group_id: int, uids: Sequence[int], now: int
    ) -> GroupCard | None:
        def work(tables: GroupTables, card: GroupCard) -> GroupCard:
            tables.add(group_id, uids, now)
            return card

        return await self._change(appid, group_id, work)

    async def remove(self, appid: int, group_id: int, uids: Sequence[int]) -> GroupCard | None:
        def work(tables: GroupTables, card: GroupCard) -> GroupCard:
            tables.remove(group_id, uids)
            return card

        return await self._change(appid, group_id, work)

    async def nickname(
        self, appid: int, group_id: int, uid: int, nickname: str
    ) -> tuple[GroupCard, bool] | None:
        return await self._set_of_member(appid, group_id, uid, "nickname", nickname or None)

    async def mute(
        self, appid: int, group_id: int, uid: int, muted: bool
    ) -> tuple[GroupCard, bool] | None:
        return await self._set_of_member(appid, group_id, uid, "mute", int(muted))

    async def show(
        self, appid: int, group_id: int
    ) -> tuple[GroupCard, Sequence[MemberCard]] | None:
        return await self._change(
            appid, group_id, lambda tables, card: (card, list(tables.members(group_id)))
        )

    async def _set_of_member(
        self, appid: int, group_id: int, uid: int, column: str, value: object
    ) -> tuple[GroupCard, bool] | None:
        return await self._change(
            appid,
            group_id,
            lambda tables, card: (card, tables.put_of_member(group_id, uid, column, value)),
        )

    async def _change(
        self, appid: int, group_id: int, work: Callable[[GroupTables, GroupCard], T]
    ) -> T | None:
        """Do this if the app has the group."""

        def found(tables: GroupTables) -> T | None:
            card = tables.card(appid, group_id)
            return None if card is None else work(tables, card)

        return await self.write(found)


class MysqlGroupAdmin(_GroupAdmin):
    """In the app's database, of all years."""

    def __init__(self, mysql: MysqlService) -> None:
        self._mysql = mysql

    async def write(self, work: Callable[[GroupTables], T]) -> T:
        def question(connection: Any) -> T:
            with connection.cursor() as rows:
                return work(GroupTables(rows, MYSQL))

        return await self._mysql.write(question)


class SqliteGroupAdmin(_GroupAdmin):
    """In the embedded file."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def write(self, work: Callable[[GroupTables], T]) -> T:
        def transaction(db: sqlite3.Cursor) -> T:
            # At once: what is read first must still be so when it is written.
            db.execute("BEGIN IMMEDIATE")
            return work(GroupTables(db, SQLITE))

        return await self._sqlite.run(transaction)

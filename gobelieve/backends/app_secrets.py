"""The secrets by which the servers of apps prove who they are.

They are in the configuration, or in the table ``app``, which upstream's API server has. An app that
the configuration names is not looked for in the table.
"""

from collections.abc import Sequence
from typing import Any

import pymysql

from gobelieve.backends.mysql.service import MysqlService
from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.interfaces import AppSecrets

_NO_SUCH_TABLE = 1146


class ConfiguredSecrets:
    """`gobelieve.interfaces.AppSecrets`. `named` are of the form ``appid:secret``; what it does not
    name is asked of `others`."""

    def __init__(self, named: Sequence[str], others: AppSecrets | None = None) -> None:
        self._of: dict[int, list[str]] = {}
        for one in named:
            appid, _, secret = one.partition(":")
            self._of.setdefault(int(appid), []).append(secret)
        self._others = others

    async def of(self, appid: int) -> Sequence[str]:
        found = self._of.get(appid)
        if found is None and self._others is not None:
            return await self._others.of(appid)
        return found or ()


class MysqlSecrets:
    """`gobelieve.interfaces.AppSecrets`. A database without the table knows of no app."""

    def __init__(self, mysql: MysqlService) -> None:
        self._mysql = mysql

    async def of(self, appid: int) -> Sequence[str]:
        def question(connection: Any) -> list[str]:
            with connection.cursor() as rows:
                try:
                    rows.execute("SELECT secret FROM app WHERE id = %s", (appid,))
                except pymysql.ProgrammingError as why:
                    if why.args[0] != _NO_SUCH_TABLE:
                        raise
                    return []
                return [str(secret) for (secret,) in rows.fetchall() if secret]

        return await self._mysql.read(question)


class SqliteSecrets:
    """`gobelieve.interfaces.AppSecrets`, and what makes them."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def of(self, appid: int) -> Sequence[str]:
        rows = await self._sqlite.run(
            lambda db: db.execute("SELECT secret FROM app WHERE id = ?", (appid,)).fetchall()
        )
        return [str(secret) for (secret,) in rows if secret]

    async def set(self, appid: int, name: str, secret: str) -> None:
        """From now on this is the app's only one."""
        sql = (
            "INSERT INTO app (id, name, secret) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET name = excluded.name, secret = excluded.secret"
        )
        await self._sqlite.run(lambda db: db.execute(sql, (appid, name, secret)))

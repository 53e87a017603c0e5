"""The app's groups for benchmarks: in a MariaDB, or in the file of the all-in-one daemon."""

import getpass
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from gobelieve.backends.sqlite.service import FILE_NAME

DATABASE = "gobelieve"
TABLES = (
    "CREATE TABLE `group` (id BIGINT PRIMARY KEY, appid BIGINT, super TINYINT)",
    "CREATE TABLE group_member (group_id BIGINT, uid BIGINT, PRIMARY KEY (group_id, uid))",
)
"""The part of ``etc/schema.sql`` that the daemons read."""
_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/bin"


class Crowd(NamedTuple):
    """A group and its members."""

    appid: int
    id: int
    super: bool
    members: Sequence[int]


def mariadb_command(folder: str, port: int) -> list[str]:
    """Make an empty database server in a folder, and return the command that runs it."""
    server, install = (
        shutil.which(name, path=_PATH) for name in ("mariadbd", "mariadb-install-db")
    )
    if server is None or install is None:
        sys.exit("mariadbd is needed for this measurement; --embedded does without")
    data = f"--datadir={folder}/mariadb"
    user = getpass.getuser()
    subprocess.run(
        [
            install,
            "--no-defaults",
            f"--user={user}",
            data,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        check=True,
        capture_output=True,
    )
    return [
        server,
        "--no-defaults",
        f"--user={user}",
        data,
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--socket={folder}/mariadb.socket",
        f"--pid-file={folder}/mariadb.pid",
        "--innodb-buffer-pool-size=16M",
        "--innodb-flush-log-at-trx-commit=0",
    ]


def write_to_mariadb(port: int, crowd: Crowd) -> str:
    """Make the tables and the group, and return the data source for the configuration."""
    import pymysql

    root = {"host": "127.0.0.1", "port": port, "user": "root", "autocommit": True}
    with closing(pymysql.connect(**root)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        cursor.execute(f"USE {DATABASE}")
        for table in TABLES:
            cursor.execute(table)
        group = (crowd.id, crowd.appid, crowd.super)
        cursor.execute("INSERT INTO `group` (id, appid, super) VALUES (%s, %s, %s)", group)
        cursor.executemany(
            "INSERT INTO group_member (group_id, uid) VALUES (%s, %s)",
            [(crowd.id, uid) for uid in crowd.members],
        )
    return f"root@tcp(127.0.0.1:{port})/{DATABASE}"


@contextmanager
def _sqlite(data: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(Path(data) / FILE_NAME)) as connection, connection:
        yield connection


def write_to_sqlite(data: str, crowd: Crowd) -> None:
    """Make the group in the file of a running daemon."""
    with _sqlite(data) as connection:
        group = (crowd.id, crowd.appid, crowd.super)
        connection.execute('INSERT INTO "group" (id, appid, super) VALUES (?, ?, ?)', group)
        connection.executemany(
            "INSERT INTO group_member (group_id, uid) VALUES (?, ?)",
            [(crowd.id, uid) for uid in crowd.members],
        )

"""Where the app's MySQL is, as one line of configuration says it.

Two forms: that of Go's driver, which upstream's configurations have,

    user:password@tcp(host:port)/database?charset=utf8mb4&timeout=3s
    user:password@host:port/database
    user:password@unix(/run/mysqld.sock)/database

and a URL, where what is special in a name or password is percent-encoded:

    mysql://user:password@host:port/database?charset=utf8mb4

Parameters that matter only to Go are accepted and without effect. No error shows any of the line
before the ``@``: it may have the password in it.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from pymysql.charset import charset_by_name

from gobelieve.errors import ConfigError

DEFAULT_PORT = 3306
CONNECT_SECONDS = 3.0
SILENCE_SECONDS = 3.0
"""How long the server may take to connect, and to say the next thing."""

NAME = "mysqldb_datasource"
WANTED = "user:password@tcp(host:port)/database or mysql://user:password@host:port/database"

WITHOUT_EFFECT = """
allowAllFiles allowCleartextPasswords allowFallbackToPlaintext allowNativePasswords
allowOldPasswords autocommit checkConnLiveness clientFoundRows collation columnsWithAlias compress
connectionAttributes interpolateParams loc maxAllowedPacket multiStatements parseTime rejectReadOnly
serverPubKey sql_mode strict time_zone timeTruncate transaction_isolation tx_isolation
"""

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)", re.ASCII)
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]*))(?::([0-9]{1,5}))?")
_GO_ADDRESS = re.compile(r"(unix)\((.+)\)|(tcp)(?:\((.*)\))?", re.DOTALL)


@dataclass(frozen=True)
class Datasource:
    """How to connect."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    unix_socket: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    charset: str = "utf8mb4"
    tls: str = "false"
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = SILENCE_SECONDS
    write_seconds: float = SILENCE_SECONDS

    def __str__(self) -> str:
        """For the log."""
        return f"{self.unix_socket or f'{self.host}:{self.port}'}/{self.database}"

    def arguments(self) -> dict[str, Any]:
        """For ``pymysql.connect``."""
        where: dict[str, Any] = {"host": self.host, "port": self.port}
        if self.unix_socket:
            where = {"unix_socket": self.unix_socket}
        if self.tls != "false":
            where["ssl"] = context = ssl.create_default_context()
            if self.tls == "skip-verify":
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        return {
            **where,
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "charset": self.charset,
            "connect_timeout": self.connect_seconds,
            "read_timeout": self.read_seconds,
            "write_timeout": self.write_seconds,
        }


def parse_datasource(text: str) -> Datasource:
    """`ConfigError` if the line is of neither form."""
    is_url = text.startswith("mysql://")
    # As in Go the last slash counts: all before it may have slashes of its own.
    before, slash, database = text.removeprefix("mysql://").rpartition("/")
    database, _, query = database.partition("?")
    if not slash or not database:
        raise ConfigError(f"{NAME} names no database: {WANTED} is wanted")
    login, _, where = before.rpartition("@")
    user, _, password = login.partition(":")
    if is_url:
        user, password = unquote(user), unquote(password)
    place = _url_place(where) if is_url else _go_place(where)
    if not place:
        raise ConfigError(f"{NAME} names no address: {WANTED} is wanted")
    parameters = _parameters(dict(parse_qsl(query, keep_blank_values=True)))
    return Datasource(
        **place, user=user, password=password, database=unquote(database), **parameters
    )


def _url_place(where: str) -> dict[str, Any]:
    found = _ADDRESS.fullmatch(where)
    if found is None:
        return {}
    port = int(found[3] or DEFAULT_PORT)
    if port > 65535:
        return {}
    return {"host": found[1] or found[2] or "127.0.0.1", "port": port}


def _go_place(where: str) -> dict[str, Any]:
    found = _GO_ADDRESS.fullmatch(where)
    if found is None:
        return _url_place(where)
    if found[1]:
        return {"unix_socket": found[2]}
    return _url_place(found[4] or "")


def _parameters(given: Mapping[str, str]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for name, value in given.items():
        if name == "charset":
            known["charset"] = _charset(value)
        elif name == "tls":
            known["tls"] = _tls(value)
        elif name in ("timeout", "readTimeout", "writeTimeout"):
            seconds = _seconds(name, value)
            if seconds:
                key = {"timeout": "connect_seconds", "readTimeout": "read_seconds"}
                known[key.get(name, "write_seconds")] = seconds
        elif name not in WITHOUT_EFFECT.split():
            raise ConfigError(f"{NAME}: there is no parameter {name}")
    return known


def _charset(value: str) -> str:
    # Go takes the first of several that the server has.
    first = value.split(",")[0]
    if charset_by_name(first) is None:
        raise ConfigError(f"{NAME}: there is no charset {first}")
    return first


def _tls(value: str) -> str:
    tls = {"1": "true", "0": "false"}.get(value, value.lower())
    if tls not in ("true", "false", "skip-verify"):
        raise ConfigError(f"{NAME}: tls is true, false or skip-verify, not {value}")
    return tls


def _seconds(name: str, value: str) -> float:
    """Go's durations: ``1m30s``, ``500ms``; 0 stands for none, and so for our default."""
    if value == "0":
        return 0.0
    parts = _PART.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ConfigError(f"{NAME}: {name} is a duration such as 3s, not {value}")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)

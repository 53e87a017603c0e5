"""The stores of commands: the folder of ``--data DIR``, or the Redis of ``--redis URL``."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from twisted.application.service import Service
from twisted.internet.defer import maybeDeferred

from gobelieve.backends.redis.keys import RedisService, RedisTokenAdmin
from gobelieve.backends.sqlite.service import FILE_NAME, SqliteService, SqliteTokenAdmin
from gobelieve.config import RedisConfig
from gobelieve.errors import ConfigError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import TokenAdmin

S = TypeVar("S", bound=Service)

DEFAULT_FOLDER = "var"
REDIS_PORT = 6379


def add_data(command: Any) -> None:
    """Declare ``--data``, the folder of the daemon."""
    command.add_argument(
        "--data",
        metavar="DIR",
        help=f"data folder of the all-in-one daemon (default: {DEFAULT_FOLDER})",
    )


def add_store(command: argparse.ArgumentParser) -> None:
    """Declare ``--data`` and ``--redis``, of which one may be given."""
    where = command.add_mutually_exclusive_group()
    add_data(where)
    where.add_argument(
        "--redis",
        metavar="URL",
        type=redis_url,
        help="the Redis of separate daemons: redis://[:password@]host[:port][/db]",
    )


def redis_url(text: str) -> RedisConfig:
    """Return the Redis of ``redis://[:password@]host[:port][/db]``. Raises argparse's error."""
    try:
        url = urlsplit(text)
        port = REDIS_PORT if url.port is None else url.port
        db = int(url.path.removeprefix("/") or 0)
    except ValueError:
        url = None
    if (
        url is None
        or url.scheme != "redis"
        or not url.hostname
        or url.username
        or url.query
        or url.fragment
        or db < 0
    ):
        # The error does not repeat the text, which may contain a password.
        raise argparse.ArgumentTypeError("not of the form redis://[:password@]host[:port][/db]")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return RedisConfig(f"{host}:{port}", unquote(url.password or ""), db)


@asynccontextmanager
async def token_admin(
    parsed: argparse.Namespace, reactor: Reactor, create: bool = False
) -> AsyncIterator[TokenAdmin]:
    """Open the store of tokens that the options name. Without `create`, its folder must exist."""
    if parsed.redis is None:
        async with data_file(parsed, reactor, create) as db:
            yield SqliteTokenAdmin(db)
    else:
        async with _running(RedisService(parsed.redis, reactor)) as redis:
            yield RedisTokenAdmin(redis)


@asynccontextmanager
async def data_file(
    parsed: argparse.Namespace, reactor: Reactor, create: bool = False
) -> AsyncIterator[SqliteService]:
    """Open the file of the all-in-one daemon. Without `create`, it must exist."""
    file = _file(Path(parsed.data or DEFAULT_FOLDER), create)
    async with _running(SqliteService(file, reactor)) as db:
        yield db


@asynccontextmanager
async def _running(service: S) -> AsyncIterator[S]:
    service.startService()
    try:
        yield service
    finally:
        await maybeDeferred(service.stopService)


def _file(folder: Path, create: bool) -> Path:
    file = folder / FILE_NAME
    if create:
        folder.mkdir(parents=True, exist_ok=True)
    elif not file.exists():
        raise ConfigError(f"there is no {file}: is --data or --redis missing?")
    return file

"""Where a command finds the tokens: ``--data DIR`` or ``--redis URL``."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from twisted.internet.defer import maybeDeferred

from gobelieve.backends.redis.keys import RedisService, RedisTokenAdmin
from gobelieve.backends.sqlite.service import FILE_NAME, SqliteService, SqliteTokenAdmin
from gobelieve.config import RedisConfig
from gobelieve.errors import ConfigError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import TokenAdmin

DEFAULT_FOLDER = "var"
REDIS_PORT = 6379


def add_data(command: Any) -> None:
    """Declare ``--data``."""
    command.add_argument(
        "--data",
        metavar="DIR",
        help=f"data folder of the embedded daemon (default: {DEFAULT_FOLDER})",
    )


def add_store(command: argparse.ArgumentParser) -> None:
    """Declare the two options."""
    where = command.add_mutually_exclusive_group()
    add_data(where)
    where.add_argument(
        "--redis",
        metavar="URL",
        type=redis_url,
        help="the Redis of separate daemons: redis://[:password@]host[:port][/db]",
    )


def redis_url(text: str) -> RedisConfig:
    """``redis://[:password@]host[:port][/db]``; argparse's error if it is not."""
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
        # The text is not repeated: it may hold a password.
        raise argparse.ArgumentTypeError("not of the form redis://[:password@]host[:port][/db]")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return RedisConfig(f"{host}:{port}", unquote(url.password or ""), db)


@asynccontextmanager
async def token_admin(
    parsed: argparse.Namespace, reactor: Reactor, create: bool = False
) -> AsyncIterator[TokenAdmin]:
    """The tokens of the store that was named. Without `create`, a data folder must be there."""
    service: RedisService | SqliteService
    admin: TokenAdmin
    if parsed.redis is not None:
        service = RedisService(parsed.redis, reactor)
        admin = RedisTokenAdmin(service)
    else:
        service = SqliteService(_file(Path(parsed.data or DEFAULT_FOLDER), create), reactor)
        admin = SqliteTokenAdmin(service)
    service.startService()
    try:
        yield admin
    finally:
        await maybeDeferred(service.stopService)


@asynccontextmanager
async def data_file(
    parsed: argparse.Namespace, reactor: Reactor, create: bool = False
) -> AsyncIterator[SqliteService]:
    """The file of the embedded daemon. Without `create` it must be there."""
    service = SqliteService(_file(Path(parsed.data or DEFAULT_FOLDER), create), reactor)
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

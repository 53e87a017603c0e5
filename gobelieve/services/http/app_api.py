"""The app API as a service: its routes, and the changes that are under way.

What an app's server orders is carried out whether it waits for the answer or hangs up, and before
the daemon ends: a change that is written must be announced. Changes of one group come one after
another.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.backends.app_secrets import ConfiguredSecrets, MysqlSecrets, SqliteSecrets
from gobelieve.backends.group_admin import MysqlGroupAdmin, SqliteGroupAdmin
from gobelieve.backends.mysql.datasource import parse_datasource
from gobelieve.backends.mysql.service import MysqlService
from gobelieve.backends.redis.announcer import RedisAnnouncer
from gobelieve.backends.redis.keys import RedisTokenAdmin
from gobelieve.backends.redis.service import RedisService
from gobelieve.backends.redis.users import RedisUserAdmin
from gobelieve.backends.sqlite.service import SqliteService, SqliteTokenAdmin
from gobelieve.backends.sqlite.users import SqliteUserAdmin
from gobelieve.backends.tokens.new import new_token
from gobelieve.config import ClientsConfig, ImConfig
from gobelieve.groups.changes import GroupChanges
from gobelieve.groups.manager import GroupManager
from gobelieve.interfaces import (
    Announcer,
    AppSecrets,
    GroupAdmin,
    TokenAdmin,
    Tokens,
    UserAdmin,
)
from gobelieve.metrics import Tally
from gobelieve.protocols.http.app.access import AppAccess, UserAccess
from gobelieve.protocols.http.app.groups import GroupRoutes
from gobelieve.protocols.http.app.messages import MessageRoutes
from gobelieve.protocols.http.app.users import AppRoutes, UserRoutes
from gobelieve.protocols.http.gateway.reads import Reads
from gobelieve.protocols.http.routes import Route
from gobelieve.services.components.gateway import Gateway
from gobelieve.services.http.group_announcements import (
    DirectAnnouncer,
    FollowedAnnouncer,
    PostingNotifier,
)
from gobelieve.services.process.ordered import OrderedService

T = TypeVar("T")

NAME = "app-api"
PATIENCE = 5.0
"""Seconds that a gateway which stops waits for what was ordered."""


# --- what is under way


class Orders(OrderedService):
    """`gobelieve.protocols.http.app.users.Work`. Its children are what the work needs."""

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor
        self._locks: dict[object, DeferredLock] = {}
        self._running: set[Deferred[Any]] = set()
        self._idle: Deferred[None] | None = None

    async def do(self, key: object, work: Callable[[], Awaitable[T]]) -> T:
        """See `Work`. Whoever waits may give up; the work goes on."""
        waited: Deferred[T] = Deferred()
        running = Deferred.fromCoroutine(self._in_turn(key, work))
        self._running.add(running)
        running.addBoth(self._ended, running, waited)
        return await waited

    async def _in_turn(self, key: object, work: Callable[[], Awaitable[T]]) -> T:
        lock = self._locks.setdefault(key, DeferredLock())
        await lock.acquire()
        try:
            return await work()
        finally:
            if not lock.waiting:
                del self._locks[key]
            lock.release()

    def _ended(self, result: Any, running: Deferred[Any], waited: Deferred[Any]) -> None:
        self._running.discard(running)
        if not waited.called:
            waited.callback(result)
        elif isinstance(result, Failure):
            self.log.warn("what nobody waited for failed: {why}", why=result.getErrorMessage())
        if not self._running and self._idle is not None and not self._idle.called:
            self._idle.callback(None)

    async def _stop_children(self) -> None:
        if self._running:
            self._idle = Deferred()
            with suppress(TimeoutError):
                await self._idle.addTimeout(PATIENCE, self._reactor)
        await super()._stop_children()


# --- put together


@dataclass(frozen=True)
class AppBackends:
    """Where what the app's server orders is written."""

    secrets: AppSecrets
    users: UserAdmin
    tokens: TokenAdmin
    groups: GroupAdmin | None
    """None where the site has no groups."""
    announcer: Announcer | None


class AppApi(Orders):
    """All of it."""

    def __init__(
        self,
        config: ClientsConfig,
        gateway: Gateway,
        logins: Tokens,
        backends: AppBackends,
        reactor: Any,
    ) -> None:
        super().__init__(reactor)
        self._kept_tokens = config.auth_method == "redis"
        self._gateway = gateway
        self._logins = logins
        self._backends = backends

    def routes(self, reads: Reads) -> list[Route]:
        """All routes."""
        gateway, backends = self._gateway, self._backends
        app = AppRoutes(AppAccess(backends.secrets, gateway.tally))
        tokens = backends.tokens if self._kept_tokens else None
        parts = (
            UserRoutes(
                app, backends.users, tokens, new_token, self, gateway.endings, gateway.speakers
            ),
            GroupRoutes(app, self._changes(gateway.tally), backends.users, self),
            MessageRoutes(app, UserAccess(self._logins), gateway.posting, reads),
        )
        return [route for part in parts for route in part.routes()]

    def _changes(self, tally: Tally) -> GroupChanges | None:
        backends = self._backends
        if backends.groups is None or backends.announcer is None:
            return None
        return GroupChanges(
            backends.groups,
            backends.announcer,
            PostingNotifier(self._gateway.posting),
            backends.users,
            time=self._reactor,
            tally=tally,
            log=Logger("gobelieve.groups.changes"),
        )


def add_app_api(
    parent: OrderedService,
    config: ImConfig,
    gateway: Gateway,
    logins: Tokens,
    redis: RedisService,
    manager: GroupManager | None,
    reactor: Any,
) -> AppApi | None:
    """Add ``app-api``, with ``mysql`` if there is a database; nothing without HTTP."""
    if not config.http_listen_address:
        return None
    mysql: MysqlService | None = None
    groups: GroupAdmin | None = None
    announcer: Announcer | None = None
    secrets: AppSecrets = ConfiguredSecrets(config.app_secrets)
    if config.mysqldb_datasource and manager is not None:
        mysql = MysqlService(parse_datasource(config.mysqldb_datasource), reactor)
        groups = MysqlGroupAdmin(mysql)
        numbered = RedisAnnouncer(redis, config.group_events)
        announcer = FollowedAnnouncer(numbered, manager, reactor)
        secrets = ConfiguredSecrets(config.app_secrets, MysqlSecrets(mysql))
    backends = AppBackends(
        secrets, RedisUserAdmin(redis), RedisTokenAdmin(redis), groups, announcer
    )
    api = AppApi(config, gateway, logins, backends, reactor)
    if mysql is not None:
        api.add("mysql", mysql)
    parent.add(NAME, api)
    return api


def add_local_app_api(
    parent: OrderedService,
    config: ClientsConfig,
    gateway: Gateway,
    logins: Tokens,
    db: SqliteService,
    manager: GroupManager,
    reactor: Any,
) -> AppApi | None:
    """Add ``app-api`` on the embedded file; nothing without HTTP."""
    if not config.http_listen_address:
        return None
    backends = AppBackends(
        ConfiguredSecrets(config.app_secrets, SqliteSecrets(db)),
        SqliteUserAdmin(db),
        SqliteTokenAdmin(db),
        SqliteGroupAdmin(db),
        DirectAnnouncer(manager),
    )
    api = AppApi(config, gateway, logins, backends, reactor)
    parent.add(NAME, api)
    return api

"""The app API as a service: its routes, and the stores that they write to."""

from dataclasses import dataclass

from twisted.logger import Logger

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
from gobelieve.event_loop.reactor import Reactor
from gobelieve.groups.changes import GroupChanges
from gobelieve.interfaces import (
    Announcer,
    AppSecrets,
    GroupAdmin,
    Time,
    TokenAdmin,
    Tokens,
    UserAdmin,
)
from gobelieve.protocols.http.app.access import AppAccess, UserAccess
from gobelieve.protocols.http.app.group_changes import Groups
from gobelieve.protocols.http.app.groups import GroupRoutes
from gobelieve.protocols.http.app.members import MemberRoutes
from gobelieve.protocols.http.app.messages import MessageRoutes
from gobelieve.protocols.http.app.queues import QueueRoutes
from gobelieve.protocols.http.app.users import UserRoutes
from gobelieve.protocols.http.declarations.routes import Route
from gobelieve.protocols.http.gateway.queue_reader import QueueReader
from gobelieve.services.components.gateway import Gateway
from gobelieve.services.groups.groups import GroupManagerService
from gobelieve.services.http.group_announcements import (
    DirectAnnouncer,
    FollowedAnnouncer,
    NotificationPoster,
)
from gobelieve.services.http.pending_changes import PendingChanges
from gobelieve.services.process.ordered import OrderedService

NAME = "app-api"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppBackends:
    """The stores that the app API writes to."""

    secrets: AppSecrets
    users: UserAdmin
    tokens: TokenAdmin
    groups: GroupAdmin | None
    """None if the app has no groups; then there is no announcer either."""
    announcer: Announcer | None


class AppApi(PendingChanges):
    """The app API. Its children are the services that its work needs."""

    def __init__(
        self,
        config: ClientsConfig,
        *,
        gateway: Gateway,
        logins: Tokens,
        backends: AppBackends,
        time: Time,
    ) -> None:
        super().__init__(time)
        self._has_stored_tokens = config.auth_method == "redis"
        self._counters = gateway.counters
        self._controls = gateway.controls
        self._keys = gateway.unfinished.reports.keys
        self._logins = logins
        self._backends = backends

    def routes(self, reader: QueueReader) -> list[Route]:
        """Return all routes of the app API."""
        controls, backends = self._controls, self._backends
        access = AppAccess(backends.secrets, self._counters)
        groups = Groups(self._changes(), self)
        users = UserRoutes(
            backends.users,
            backends.tokens if self._has_stored_tokens else None,
            new_token=new_token,
            tasks=self,
            ended_sessions=controls.ended_sessions,
            room_bans=controls.room_bans,
        )
        return [
            *users.routes(access),
            *GroupRoutes(groups).routes(access),
            *MemberRoutes(groups, backends.users).routes(access),
            *MessageRoutes(controls.app_server_messages).routes(access),
            *QueueRoutes(UserAccess(self._logins), reader, self._keys).routes(access),
        ]

    def _changes(self) -> GroupChanges | None:
        backends = self._backends
        if backends.groups is None or backends.announcer is None:
            return None
        return GroupChanges(
            backends.groups,
            backends.announcer,
            NotificationPoster(self._controls.app_server_messages.groups),
            backends.users,
            time=self._time,
            counters=self._counters,
            log=Logger("gobelieve.groups.changes"),
        )


def add_app_api(
    parent: OrderedService,
    config: ImConfig,
    *,
    gateway: Gateway,
    logins: Tokens,
    redis: RedisService,
    groups: GroupManagerService | None,
    reactor: Reactor,
) -> AppApi | None:
    """Add ``app-api``, with ``mysql`` if there is a database. Without HTTP nothing is added."""
    if not config.http_listen_address:
        return None
    mysql: MysqlService | None = None
    admin: GroupAdmin | None = None
    announcer: Announcer | None = None
    secrets: AppSecrets = ConfiguredSecrets(config.app_secrets)
    if config.mysqldb_datasource and groups is not None:
        mysql = MysqlService(parse_datasource(config.mysqldb_datasource), reactor)
        admin = MysqlGroupAdmin(mysql)
        numbered = RedisAnnouncer(redis, config.group_events)
        announcer = FollowedAnnouncer(numbered, groups.manager, reactor)
        secrets = ConfiguredSecrets(config.app_secrets, MysqlSecrets(mysql))
    backends = AppBackends(
        secrets=secrets,
        users=RedisUserAdmin(redis),
        tokens=RedisTokenAdmin(redis),
        groups=admin,
        announcer=announcer,
    )
    api = AppApi(config, gateway=gateway, logins=logins, backends=backends, time=reactor)
    if mysql is not None:
        api.add("mysql", mysql)
    parent.add(NAME, api)
    return api


def add_local_app_api(
    parent: OrderedService,
    config: ClientsConfig,
    *,
    gateway: Gateway,
    logins: Tokens,
    db: SqliteService,
    groups: GroupManagerService,
    reactor: Reactor,
) -> AppApi | None:
    """Add ``app-api`` on the file of the all-in-one daemon. Without HTTP nothing is added."""
    if not config.http_listen_address:
        return None
    backends = AppBackends(
        secrets=ConfiguredSecrets(config.app_secrets, SqliteSecrets(db)),
        users=SqliteUserAdmin(db),
        tokens=SqliteTokenAdmin(db),
        groups=SqliteGroupAdmin(db),
        announcer=DirectAnnouncer(groups.manager),
    )
    api = AppApi(config, gateway=gateway, logins=logins, backends=backends, time=reactor)
    parent.add(NAME, api)
    return api

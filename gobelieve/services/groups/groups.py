"""The group manager as a service, with its database and the announcements of changes."""

from collections.abc import Callable, Iterable
from functools import partial
from random import choices
from string import ascii_lowercase

from prometheus_client.core import GaugeMetricFamily, Metric
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python import usage

from gobelieve.backends.mysql.datasource import parse_datasource
from gobelieve.backends.mysql.groups import MysqlGroups
from gobelieve.backends.mysql.service import MysqlService
from gobelieve.backends.redis.events import CHECK_SECONDS, RedisEvents, Source
from gobelieve.backends.redis.service import RedisService
from gobelieve.backends.redis.stream import Stream
from gobelieve.backends.redis.subscription import Subscription
from gobelieve.backends.sqlite.groups import SqliteChanges, SqliteGroups
from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.config import ImConfig, ImrConfig
from gobelieve.errors import ConfigError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.groups import events
from gobelieve.groups.manager import GroupManager
from gobelieve.interfaces import Group, GroupStore
from gobelieve.protocols.http.status.metrics import CountersCollector
from gobelieve.services.groups.followed_service import FollowedService, answer
from gobelieve.services.process.options import DaemonOptions
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.status.pages import PartStatus

NAME = "group-manager"


class GroupsOptions(DaemonOptions):
    """A command line whose configuration may name the database of groups."""

    def postOptions(self) -> None:
        super().postOptions()
        try:
            if self.config.mysqldb_datasource:
                parse_datasource(self.config.mysqldb_datasource)
        except ConfigError as why:
            raise usage.UsageError(str(why)) from None


class GroupManagerService(FollowedService):
    """Implements `interfaces.Groups` with a `GroupManager`."""

    manager: GroupManager

    def __init__(self, store: GroupStore, reactor: IReactorTime) -> None:
        super().__init__(reactor)
        self.manager = GroupManager(
            store,
            time=reactor,
            tasks=self.tasks,
            counters=self.counters,
            log=Logger("gobelieve.groups"),
        )
        self.loaded: Callable[[int], Group | None] = self.manager.loaded

    def super_groups(self) -> list[int]:
        return self.manager.super_groups()

    async def find(self, group_id: int) -> Group | None:
        return await answer(partial(self.manager.ask, group_id))


class GroupStatus(PartStatus):
    """The metrics and figures of the groups."""

    def __init__(self, groups: GroupManagerService) -> None:
        self._groups = groups
        what = "Events, by the names that /summary has under groups."
        self._events = CountersCollector("gobelieve_groups_events", what, groups.counters)

    def collect(self) -> Iterable[Metric]:
        what = "Groups that are kept in memory."
        yield GaugeMetricFamily("gobelieve_groups_cached", what, len(self._groups.manager))
        what = "1 if announcements of changes of groups arrive in time."
        yield GaugeMetricFamily("gobelieve_groups_followed", what, self._groups.manager.followed)
        yield from self._events.collect()

    def summary(self) -> dict[str, object]:
        counts = dict(self._groups.counters.counts)
        manager = self._groups.manager
        return {"cached": len(manager), "followed": manager.followed, "counts": counts}


def add_groups(
    parent: OrderedService,
    config: ImConfig | ImrConfig,
    redis: RedisService,
    reactor: Reactor,
    check_seconds: float = CHECK_SECONDS,
) -> GroupManagerService | None:
    """Add ``group-manager`` with ``mysql`` and ``events``, if a database is configured."""
    if not config.mysqldb_datasource:
        return None
    source = parse_datasource(config.mysqldb_datasource)
    mysql = MysqlService(source, reactor)
    groups = GroupManagerService(MysqlGroups(mysql), reactor)
    groups.add("mysql", mysql)
    changes = _source(config, redis, groups.manager, reactor, check_seconds)
    groups.add("events", RedisEvents(config.redis, reactor, changes))
    parent.add(NAME, groups)
    return groups


def _source(
    config: ImConfig | ImrConfig,
    redis: RedisService,
    manager: GroupManager,
    reactor: Reactor,
    check_seconds: float,
) -> Source:
    if config.group_events == "stream":
        return Stream(
            manager,
            reactor,
            stream=events.STREAM,
            counter=events.COUNTER,
            check_seconds=check_seconds,
        )
    # The name of the daemon's own channel has the form that the Go server uses.
    own_channel = f"ping_{int(reactor.seconds())}{''.join(choices(ascii_lowercase, k=4))}"
    return Subscription(
        manager,
        reactor,
        redis=redis,
        channels=events.CHANNELS,
        counter=events.COUNTER,
        own_channel=own_channel,
        check_seconds=check_seconds,
    )


def add_local_groups(
    parent: OrderedService, db: SqliteService, reactor: Reactor
) -> GroupManagerService:
    """Add ``group-manager`` with ``events``, on the SQLite file of the all-in-one daemon."""
    groups = GroupManagerService(SqliteGroups(db), reactor)
    groups.add("events", SqliteChanges(db, groups.manager, reactor))
    parent.add(NAME, groups)
    return groups

"""The group manager as a service: the core, the store, and where changes are announced."""

from collections.abc import Callable, Iterable
from random import choices
from string import ascii_lowercase
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from twisted.application.internet import TimerService
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python import usage

from gobelieve.backends.mysql import MysqlService
from gobelieve.backends.mysql_groups import MysqlGroups
from gobelieve.backends.mysql_source import parse_datasource
from gobelieve.backends.redis_events import CHECK_SECONDS, RedisEvents, Source
from gobelieve.backends.redis_service import RedisService
from gobelieve.backends.redis_stream import Stream
from gobelieve.backends.redis_subscription import Subscription
from gobelieve.backends.sqlite import SqliteService
from gobelieve.backends.sqlite_groups import SqliteChanges, SqliteGroups
from gobelieve.config import ImConfig, ImrConfig
from gobelieve.errors import BackendError, ConfigError
from gobelieve.groups import events
from gobelieve.groups.cache import SWEEP_SECONDS
from gobelieve.groups.manager import GroupManager
from gobelieve.interfaces import Group, GroupStore
from gobelieve.metrics import Tally
from gobelieve.protocols.metrics_page import TallyCollector
from gobelieve.services.common import Coroutines, DaemonOptions
from gobelieve.services.ordered import OrderedService

NAME = "group-manager"


class GroupsOptions(DaemonOptions):
    """A command line whose configuration may name the database of the groups."""

    def postOptions(self) -> None:
        super().postOptions()
        try:
            if self.config.mysqldb_datasource:
                parse_datasource(self.config.mysqldb_datasource)
        except ConfigError as why:
            raise usage.UsageError(str(why)) from None


class GroupManagerService(OrderedService):
    """`gobelieve.interfaces.Groups`. What it needs are its children; `sweep` is one by itself."""

    def __init__(self, store: GroupStore, reactor: Any) -> None:
        super().__init__()
        self.tally = Tally()
        self._tasks = Coroutines()
        self.manager = GroupManager(
            store,
            time=reactor,
            tasks=self._tasks,
            tally=self.tally,
            log=Logger("gobelieve.groups"),
        )
        self.loaded: Callable[[int], Group | None] = self.manager.loaded
        """See `gobelieve.interfaces.Groups`."""
        sweep = TimerService(SWEEP_SECONDS, self._sweep)
        sweep.clock = reactor
        self.add("sweep", sweep)

    async def find(self, group_id: int) -> Group | None:
        """See `gobelieve.interfaces.Groups`."""
        answer: Deferred[Group | None] = Deferred()

        def done(group: Group | None, error: BackendError | None) -> None:
            if not answer.called:
                if error is None:
                    answer.callback(group)
                else:
                    answer.errback(error)

        self.manager.ask(group_id, done)
        return await answer

    def stopService(self) -> Deferred[None]:
        """Whoever waits for a group gets an error, at once."""
        self.manager.close()
        self._tasks.cancel()
        return super().stopService()

    def _sweep(self) -> None:
        try:
            self.manager.sweep()
        except Exception:
            # It must not end the sweeps for good.
            self.log.failure("a sweep failed")


class GroupStatus(Collector):
    """What is shown of the groups: metrics and summary."""

    def __init__(self, groups: GroupManagerService) -> None:
        self._groups = groups
        what = "What happened, by the names that /summary has under groups."
        self._events = TallyCollector("gobelieve_groups_events", what, groups.tally)

    def collect(self) -> Iterable[Metric]:
        """For Prometheus."""
        what = "Groups that are kept in memory."
        yield GaugeMetricFamily("gobelieve_groups_cached", what, len(self._groups.manager))
        what = "1 if changes of groups are heard of in time."
        yield GaugeMetricFamily("gobelieve_groups_followed", what, self._groups.manager.followed)
        yield from self._events.collect()

    def summary(self) -> dict[str, object]:
        """The figures of the status page."""
        counts = dict(self._groups.tally.counts)
        manager = self._groups.manager
        return {"cached": len(manager), "followed": manager.followed, "counts": counts}


def add_groups(
    parent: OrderedService,
    config: ImConfig | ImrConfig,
    redis: RedisService,
    reactor: Any,
    check_seconds: float = CHECK_SECONDS,
) -> GroupManagerService | None:
    """Add ``group-manager`` with ``mysql`` and ``events``; nothing if no database is named."""
    if not config.mysqldb_datasource:
        return None
    source = parse_datasource(config.mysqldb_datasource)
    mysql = MysqlService(source, reactor)
    groups = GroupManagerService(MysqlGroups(mysql), reactor)
    groups.add("mysql", mysql)
    changes = _source(config, redis, groups.manager, reactor, check_seconds)
    groups.add("events", RedisEvents(config.redis, reactor, changes, groups.manager))
    parent.add(NAME, groups)
    return groups


def _source(
    config: ImConfig | ImrConfig,
    redis: RedisService,
    manager: GroupManager,
    reactor: Any,
    check_seconds: float,
) -> Source:
    if config.group_events == "stream":
        return Stream(config.redis, events.STREAM, events.COUNTER, manager, reactor, check_seconds)
    # A channel of our own, named as upstream names it.
    ping = f"ping_{int(reactor.seconds())}{''.join(choices(ascii_lowercase, k=4))}"
    return Subscription(
        redis,
        config.redis,
        events.CHANNELS,
        events.COUNTER,
        ping,
        manager,
        reactor,
        check_seconds,
    )


def add_local_groups(
    parent: OrderedService, db: SqliteService, reactor: Any
) -> GroupManagerService:
    """Add ``group-manager`` on the embedded file, with ``events``."""
    groups = GroupManagerService(SqliteGroups(db), reactor)
    groups.add("events", SqliteChanges(db, groups.manager, reactor))
    parent.add(NAME, groups)
    return groups

"""The relations of users as a service, with their database and the announcements of changes."""

from collections.abc import Iterable
from functools import partial

from prometheus_client.core import GaugeMetricFamily, Metric
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gobelieve.backends.mysql.datasource import parse_datasource
from gobelieve.backends.mysql.relations import MysqlRelations
from gobelieve.backends.mysql.service import MysqlService
from gobelieve.backends.redis.events import RedisEvents
from gobelieve.backends.redis.stream import Stream
from gobelieve.backends.sqlite.groups import SqliteChanges
from gobelieve.backends.sqlite.relations import SqliteRelations
from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.config import ClientsConfig, ImConfig
from gobelieve.errors import BackendError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.groups.relation_events import COUNTER, STREAM
from gobelieve.groups.relations import RelationManager
from gobelieve.interfaces import RelationStore
from gobelieve.names import User
from gobelieve.protocols.http.status.metrics import CountersCollector
from gobelieve.services.groups.followed_service import FollowedService, answer
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.status.pages import PartStatus

NAME = "relations"


class RelationsService(FollowedService):
    """Implements `interfaces.Relations` with a `RelationManager`."""

    manager: RelationManager

    def __init__(self, store: RelationStore, reactor: IReactorTime) -> None:
        super().__init__(reactor)
        self.manager = RelationManager(
            store,
            time=reactor,
            tasks=self.tasks,
            counters=self.counters,
            log=Logger("gobelieve.relations"),
        )
        self.loaded = self.manager.loaded

    async def find(self, user: User, peer: int) -> int:
        relation: int | None = await answer(partial(self.manager.ask, user, peer))
        if relation is None:
            raise BackendError("the store has no answer")
        return relation


class RelationStatus(PartStatus):
    """The metrics and figures of the relations."""

    def __init__(self, relations: RelationsService) -> None:
        self._relations = relations
        what = "Events, by the names that /summary has under relations."
        self._events = CountersCollector("gobelieve_relations_events", what, relations.counters)

    def collect(self) -> Iterable[Metric]:
        manager = self._relations.manager
        what = "Pairs of users whose relation is kept in memory."
        yield GaugeMetricFamily("gobelieve_relations_cached", what, len(manager))
        what = "1 if announcements of changes of relations arrive in time."
        yield GaugeMetricFamily("gobelieve_relations_followed", what, manager.followed)
        yield from self._events.collect()

    def summary(self) -> dict[str, object]:
        manager, counts = self._relations.manager, dict(self._relations.counters.counts)
        return {"cached": len(manager), "followed": manager.followed, "counts": counts}


def are_wanted(config: ClientsConfig) -> bool:
    """Return True if the configuration needs relations."""
    return config.enable_friendship or config.enable_blacklist


def add_relations(
    parent: OrderedService, config: ImConfig, reactor: Reactor
) -> RelationsService | None:
    """Add ``relations`` with ``mysql`` and ``events``, if the configuration needs them.

    The service has its own connections to the database. Otherwise a message between two users
    might wait until a group of 100,000 members is read.
    """
    if not are_wanted(config):
        return None
    mysql = MysqlService(parse_datasource(config.mysqldb_datasource), reactor)
    relations = RelationsService(MysqlRelations(mysql), reactor)
    relations.add("mysql", mysql)
    stream = Stream(relations.manager, reactor, stream=STREAM, counter=COUNTER)
    relations.add("events", RedisEvents(config.redis, reactor, stream))
    parent.add(NAME, relations)
    return relations


def add_local_relations(
    parent: OrderedService, config: ClientsConfig, db: SqliteService, reactor: Reactor
) -> RelationsService | None:
    """Add ``relations`` with ``events``, on the SQLite file of the all-in-one daemon."""
    if not are_wanted(config):
        return None
    relations = RelationsService(SqliteRelations(db), reactor)
    relations.add("events", SqliteChanges(db, relations.manager, reactor))
    parent.add(NAME, relations)
    return relations

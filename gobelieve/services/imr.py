"""``twistd gobelieve-imr``: the router, with its push lists in Redis."""

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gobelieve.backends.redis.keys import RedisPushQueues
from gobelieve.backends.redis.service import RedisService
from gobelieve.config import ImrConfig, RouterConfig
from gobelieve.event_loop.reactor import Reactor, installed_reactor
from gobelieve.event_loop.waiting import called_back, called_within
from gobelieve.interfaces import Groups, PushQueues, Time, Turn
from gobelieve.protocols.http.status.online import presence_pages
from gobelieve.protocols.router.listener import DRAIN_TIMEOUT, RouteFactory
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.routing.build import build_router
from gobelieve.routing.pushes.writer import PushWriter
from gobelieve.routing.router import Router
from gobelieve.services.components.cluster import Cluster, add_cluster
from gobelieve.services.groups.groups import GroupsOptions, add_groups
from gobelieve.services.groups.status import optional_parts
from gobelieve.services.process.daemon import DaemonService
from gobelieve.services.process.draining import DrainingService
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.world import world_of
from gobelieve.services.status.pages import add_status, status_of
from gobelieve.services.status.router import RouterStatus
from gobelieve.wire.cluster import Port


class Options(GroupsOptions):
    """The command line of the router."""

    kind = ImrConfig


class RouteService(DrainingService):
    """The links of gateways. When it stops, the router first decides on the pushes that wait.

    It waits up to `DRAIN_TIMEOUT` seconds for groups that must be found for that.
    """

    def __init__(self, router: Router, factory: RouteFactory, time: Time) -> None:
        super().__init__(factory, time)
        self.router = router

    def startService(self) -> None:
        super().startService()
        self.router.start()

    def stopService(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.router.settle()
        if self.router.groups:
            await called_within(DRAIN_TIMEOUT, self._time, self.router.groups.when_none)
        self.router.stop()
        await super().stopService()


class PushService(Service):
    """The writer of pushes. When it stops, it writes the pushes that wait."""

    def __init__(self, writer: PushWriter) -> None:
        self.writer = writer

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        return called_back(self.writer.stop)


def add_router(
    parent: OrderedService,
    config: RouterConfig,
    *,
    queues: PushQueues | None,
    groups: Groups | None,
    cluster: Cluster,
    turn: Turn,
    reactor: Reactor,
) -> RouterStatus:
    """Add ``push`` (if there are queues for it), ``route`` and ``tcp``."""
    world = world_of(reactor, turn, "gobelieve.routing.router")
    writer: PushWriter | None = None
    if queues is not None:
        pushes_world = world.logging_to(Logger("gobelieve.routing.pushes"))
        writer = PushWriter(queues, world=pushes_world, limit=config.push_backlog)
        parent.add("push", PushService(writer))
    router = build_router(
        writer,
        world=world,
        limit=config.push_backlog,
        groups=groups,
        push_system=config.is_push_system,
        grace_after_start=config.push_grace,
        grace_after_loss=config.link_grace,
    )
    factory = RouteFactory(
        router, turn=turn, counters=world.counters, unread_limit=config.link_backlog
    )
    parent.add("route", RouteService(router, factory, reactor))
    parent.add("tcp", cluster.listening(Port.ROUTE, config.listen, factory))
    return RouterStatus(router, factory, writer)


def makeService(options: Options, reactor: Reactor | None = None) -> DaemonService:
    """Return the services of the router: those of `add_router`, and ``redis`` if it is needed."""
    reactor = reactor or installed_reactor()
    config: ImrConfig = options.config
    service = DaemonService(options, reactor)
    cluster = add_cluster(service, config.cluster, reactor)
    redis = RedisService(config.redis, reactor)
    if config.mysqldb_datasource or not config.push_disabled:
        service.add("redis", redis)
    groups = add_groups(service, config, redis, reactor)
    queues = None if config.push_disabled else RedisPushQueues(redis)
    status = add_router(
        service,
        config,
        queues=queues,
        groups=groups,
        cluster=cluster,
        turn=ReactorTurn(reactor),
        reactor=reactor,
    )
    # These pages need no key, like the other status pages: they are for a private network only.
    table = status.router.table
    pages = presence_pages(table.is_online, table.everyone, reactor)

    def trouble() -> str:
        return "" if config.push_disabled else redis.trouble

    shown = status_of(status, optional_parts(groups), collectors=[cluster.metrics], trouble=trouble)
    add_status(service, config.http_listen_address, shown, pages)
    return service

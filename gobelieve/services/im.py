"""``twistd gobelieve-im``: the gateway, with Redis, storage and routers in other processes."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from gobelieve.backends.pending.database import PendingDatabase
from gobelieve.backends.redis.daily_users import RedisDailyUsers
from gobelieve.backends.redis.events import RedisEvents
from gobelieve.backends.redis.keys import (
    RedisDeviceNumbers,
    RedisGroupSyncKeys,
    RedisPreferences,
    RedisService,
    RedisSyncKeys,
    RedisTokens,
    RedisUnreadCounts,
)
from gobelieve.backends.redis.speak_forbidden import SpeakForbidden
from gobelieve.backends.redis.users import SESSIONS_ENDED
from gobelieve.config import ImConfig
from gobelieve.event_loop.reactor import Reactor, installed_reactor
from gobelieve.interfaces import Turn
from gobelieve.metrics import GatewayCounters
from gobelieve.protocols.router.pool import RoutePool
from gobelieve.protocols.storage.link import AskTimes, StorageLink
from gobelieve.protocols.storage.pool import StoragePool
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.services.components.backends import Backends, tokens
from gobelieve.services.components.cluster import Cluster, add_cluster
from gobelieve.services.components.gateway import Gateway, build_gateway
from gobelieve.services.components.listeners import add_listeners
from gobelieve.services.components.pending import PendingService, pending_database
from gobelieve.services.components.word_file import add_words
from gobelieve.services.groups.groups import GroupManagerService, GroupsOptions, add_groups
from gobelieve.services.groups.relations import RelationsService, add_relations
from gobelieve.services.groups.status import optional_parts
from gobelieve.services.http.api import add_http
from gobelieve.services.http.app_api import add_app_api
from gobelieve.services.process.daemon import DaemonService
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.world import world_of
from gobelieve.services.status.gateway import GatewayStatus, Links
from gobelieve.services.status.pages import DaemonStatus, status_of
from gobelieve.wire.cluster import Port


class Options(GroupsOptions):
    """The command line of the gateway."""

    kind = ImConfig


def makeService(options: Options, reactor: Reactor | None = None) -> DaemonService:
    """Return the services of the gateway, in the order in which they start."""
    reactor = reactor or installed_reactor()
    config: ImConfig = options.config
    daemon = DaemonService(options, reactor)
    cluster = add_cluster(daemon, config.cluster, reactor)
    counters = GatewayCounters()
    world = world_of(reactor, ReactorTurn(reactor), "gobelieve.gateway", counters)
    stores = _add_stores(daemon, config, reactor)
    storage = _add_storage(daemon, config, cluster, world.turn, reactor)

    routing = RoutePool(config.route_addrs, config.group_route_addrs, world)
    pending = pending_database(config.pending_root, reactor)
    backends = _backends(config, stores, pending)
    gateway = build_gateway(
        config,
        time=reactor,
        turn=world.turn,
        backends=backends,
        storage=storage.pool,
        routing=routing,
        counters=counters,
    )
    _add_routers(daemon, cluster, routing, gateway)
    _add_redis_events(daemon, config, gateway, reactor)
    add_words(daemon, daemon, config.word_file, gateway.controls.words)
    _add_pending(daemon, config, stores, pending, gateway)
    add_listeners(daemon, daemon, config, gateway=gateway, reactor=reactor, turn=world.turn)
    app = add_app_api(
        daemon,
        config,
        gateway=gateway,
        logins=backends.tokens,
        redis=stores.redis,
        groups=stores.groups,
        reactor=reactor,
    )
    status = _status(gateway, stores, storage, routing, cluster)
    add_http(daemon, config, gateway=gateway, storage=storage.pool, status=status, app=app)
    return daemon


class _Stores(NamedTuple):
    redis: RedisService
    groups: GroupManagerService | None
    relations: RelationsService | None


def _add_stores(daemon: DaemonService, config: ImConfig, reactor: Reactor) -> _Stores:
    """Add ``redis``, and ``group-manager`` and ``relations`` if the app has them."""
    redis = RedisService(config.redis, reactor)
    daemon.add("redis", redis)
    groups = add_groups(daemon, config, redis, reactor)
    return _Stores(redis, groups, add_relations(daemon, config, reactor))


class _Storage(NamedTuple):
    pool: StoragePool
    links: Sequence[StorageLink]
    times: AskTimes


def _add_storage(
    daemon: DaemonService, config: ImConfig, cluster: Cluster, turn: Turn, reactor: Reactor
) -> _Storage:
    """Add ``storage``: one connection to each storage, also if it has users and groups."""
    service = OrderedService()
    daemon.add("storage", service)
    times = AskTimes()
    links = {
        address: StorageLink(address, turn, reactor, config.storage_timeout, times)
        for address in (*config.storage_rpc_addrs, *config.group_storage_rpc_addrs)
    }
    for address, link in links.items():
        service.add(address, cluster.connecting(Port.STORAGE_RPC, address, link))
    pool = StoragePool(
        [links[address] for address in config.storage_rpc_addrs],
        [links[address] for address in config.group_storage_rpc_addrs] or None,
    )
    return _Storage(pool, [*links.values()], times)


def _backends(config: ImConfig, stores: _Stores, pending: PendingDatabase) -> Backends:
    redis = stores.redis
    preferences = RedisPreferences(redis)
    return Backends(
        tokens=tokens(config, RedisTokens(redis), preferences),
        devices=RedisDeviceNumbers(redis),
        sync_keys=RedisSyncKeys(redis),
        group_sync_keys=RedisGroupSyncKeys(redis),
        unread=RedisUnreadCounts(redis),
        daily=RedisDailyUsers(redis),
        preferences=preferences,
        pending=pending,
        groups=stores.groups,
        relations=stores.relations,
    )


def _add_routers(
    daemon: DaemonService, cluster: Cluster, routing: RoutePool, gateway: Gateway
) -> None:
    """Add ``route``: one connection to each router, on which the gateway reports its clients."""
    service = OrderedService()
    daemon.add("route", service)
    routing.attach(
        gateway.clients.sessions,
        gateway.clients.rooms,
        gateway.controls.publications,
        users_missed=gateway.controls.catch_up.begin,
        groups_missed=gateway.controls.group_catch_up.begin,
    )
    for link in routing.links:
        service.add(link.address, cluster.connecting(Port.ROUTE, link.address, link))


def _add_redis_events(
    daemon: DaemonService, config: ImConfig, gateway: Gateway, reactor: Reactor
) -> None:
    """Add ``speak-forbidden`` and ``sessions-ended``, which other processes announce in Redis."""
    room_bans = gateway.controls.room_bans
    forbidden = SpeakForbidden(room_bans.listening, room_bans.announced, reactor)
    daemon.add("speak-forbidden", RedisEvents(config.redis, reactor, forbidden))
    ended_sessions = gateway.controls.ended_sessions
    ended = SpeakForbidden(lambda: None, ended_sessions.announced, reactor, SESSIONS_ENDED)
    daemon.add("sessions-ended", RedisEvents(config.redis, reactor, ended))


def _add_pending(
    daemon: DaemonService,
    config: ImConfig,
    stores: _Stores,
    pending: PendingDatabase,
    gateway: Gateway,
) -> None:
    """Add ``pending`` if there are groups, or if there were any: acked messages must be sent."""
    if stores.groups is not None or os.path.isdir(config.pending_root):
        daemon.add("pending", PendingService(pending, gateway.unfinished.fan_out))


def _status(
    gateway: Gateway, stores: _Stores, storage: _Storage, routing: RoutePool, cluster: Cluster
) -> DaemonStatus:
    links = Links(storage.links, routing.links)
    return status_of(
        GatewayStatus(gateway, links, storage.times),
        optional_parts(stores.groups, stores.relations),
        collectors=[cluster.metrics],
        trouble=lambda: stores.redis.trouble or links.trouble,
    )

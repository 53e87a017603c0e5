"""``twistd gobelieve-im``: the gateway, with Redis, storage and routers in other processes."""

import os

from twisted.logger import Logger

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
from gobelieve.interfaces import World
from gobelieve.metrics import GatewayCounters
from gobelieve.protocols.router.pool import RoutePool
from gobelieve.protocols.storage.link import AskTimes, StorageLink
from gobelieve.protocols.storage.pool import StoragePool
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.services.components.backends import Backends, tokens
from gobelieve.services.components.cluster import add_cluster
from gobelieve.services.components.gateway import build_gateway
from gobelieve.services.components.listeners import add_listeners
from gobelieve.services.components.pending import PendingService
from gobelieve.services.components.word_file import add_words
from gobelieve.services.groups.groups import GroupsOptions, GroupStatus, add_groups
from gobelieve.services.groups.relations import RelationStatus, add_relations
from gobelieve.services.http.api import add_http
from gobelieve.services.http.app_api import add_app_api
from gobelieve.services.process.daemon import DaemonService
from gobelieve.services.process.options import Coroutines, threads
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.status.gateway import GatewayStatus, Links
from gobelieve.services.status.pages import with_parts
from gobelieve.wire.cluster import Port


class Options(GroupsOptions):
    """The gateway's command line."""

    kind = ImConfig


def makeService(options: Options, reactor: Reactor | None = None) -> DaemonService:
    """The gateway's services."""
    reactor = reactor or installed_reactor()
    config: ImConfig = options.config
    service = DaemonService(options, reactor)
    cluster = add_cluster(service, config.cluster, reactor)
    turn = ReactorTurn(reactor)
    counters = GatewayCounters()
    world = World(
        time=reactor,
        turn=turn,
        tasks=Coroutines(),
        counters=counters,
        log=Logger("gobelieve.gateway"),
    )

    redis = RedisService(config.redis, reactor)
    service.add("redis", redis)
    groups = add_groups(service, config, redis, reactor)
    relations = add_relations(service, config, reactor)

    storage = OrderedService()
    service.add("storage", storage)
    times = AskTimes()
    storage_links = {
        address: StorageLink(address, turn, reactor, config.storage_timeout, times)
        for address in (*config.storage_rpc_addrs, *config.group_storage_rpc_addrs)
    }
    for address, link in storage_links.items():
        storage.add(address, cluster.connecting(Port.STORAGE_RPC, address, link))

    routing = RoutePool(config.route_addrs, config.group_route_addrs, world)
    pending = PendingDatabase(
        config.pending_root, threads(reactor), Logger("gobelieve.backends.pending")
    )
    preferences = RedisPreferences(redis)
    backends = Backends(
        tokens=tokens(config, RedisTokens(redis), preferences),
        devices=RedisDeviceNumbers(redis),
        sync_keys=RedisSyncKeys(redis),
        group_sync_keys=RedisGroupSyncKeys(redis),
        unread=RedisUnreadCounts(redis),
        daily=RedisDailyUsers(redis),
        preferences=preferences,
        pending=pending,
        groups=groups,
        relations=relations,
    )
    pool = StoragePool(
        [storage_links[address] for address in config.storage_rpc_addrs],
        [storage_links[address] for address in config.group_storage_rpc_addrs] or None,
    )
    gateway = build_gateway(
        config,
        time=reactor,
        turn=turn,
        backends=backends,
        storage=pool,
        routing=routing,
        counters=counters,
    )

    route = OrderedService()
    service.add("route", route)
    routing.attach(
        gateway.clients.sessions,
        gateway.clients.rooms,
        gateway.controls.publications,
        users_missed=gateway.controls.catch_up.begin,
        groups_missed=gateway.controls.group_catch_up.begin,
    )
    for route_link in routing.links:
        connecting = cluster.connecting(Port.ROUTE, route_link.address, route_link)
        route.add(route_link.address, connecting)

    room_bans = gateway.controls.room_bans
    forbidden = SpeakForbidden(room_bans.listening, room_bans.announced, reactor)
    service.add("speak-forbidden", RedisEvents(config.redis, reactor, forbidden))
    ended_sessions = gateway.controls.ended_sessions
    ended = SpeakForbidden(lambda: None, ended_sessions.announced, reactor, SESSIONS_ENDED)
    service.add("sessions-ended", RedisEvents(config.redis, reactor, ended))
    add_words(service, service, config.word_file, gateway.controls.words)
    if groups is not None or os.path.isdir(config.pending_root):
        # What was acked when there were groups is sent on, also when there are none any more.
        service.add("pending", PendingService(pending, gateway.unfinished.fan_out))
    add_listeners(service, service, gateway, config, reactor, turn)
    links = Links([*storage_links.values()], routing.links)
    status = GatewayStatus(gateway, links, times)
    parts: dict[str, GroupStatus | RelationStatus] = {}
    if groups is not None:
        parts["groups"] = GroupStatus(groups)
    if relations is not None:
        parts["relations"] = RelationStatus(relations)
    summary = with_parts(status.summary, parts)
    collectors = [status, cluster.metrics, *parts.values()]
    manager = None if groups is None else groups.manager
    app = add_app_api(service, config, gateway, backends.tokens, redis, manager, reactor)

    def trouble() -> str:
        return redis.trouble or links.trouble

    add_http(service, config, gateway, pool, summary, collectors, trouble, app=app)
    return service

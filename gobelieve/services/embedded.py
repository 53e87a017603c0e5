"""``twistd gobelieve``: gateway, router and storage in one process, on one SQLite file.

Nothing else is needed. Between the roles there are calls instead of sockets; yet storage and the
router listen too, so that further gateways can join.
"""

import os
import shutil
import sys

from twisted.application.service import Service
from twisted.logger import Logger

from gobelieve.backends.pending.database import PendingDatabase
from gobelieve.backends.sqlite.daily_users import SqliteDailyUsers
from gobelieve.backends.sqlite.group_keys import SqliteGroupSyncKeys
from gobelieve.backends.sqlite.service import (
    FILE_NAME,
    SqliteDeviceNumbers,
    SqlitePreferences,
    SqlitePushQueues,
    SqliteService,
    SqliteSyncKeys,
    SqliteTokens,
    SqliteUnreadCounts,
)
from gobelieve.config import ClientsConfig, EmbeddedConfig
from gobelieve.errors import BackendError
from gobelieve.event_loop.reactor import Reactor, installed_reactor
from gobelieve.interfaces import World
from gobelieve.metrics import GatewayCounters
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.routing.local import LocalLink
from gobelieve.services.components.backends import Backends, tokens
from gobelieve.services.components.cluster import add_cluster
from gobelieve.services.components.gateway import build_gateway
from gobelieve.services.components.listeners import add_listeners
from gobelieve.services.components.pending import PendingService
from gobelieve.services.components.word_file import add_words
from gobelieve.services.groups.groups import GroupStatus, add_local_groups
from gobelieve.services.groups.relations import RelationStatus, add_local_relations
from gobelieve.services.http.api import add_http
from gobelieve.services.http.app_api import add_local_app_api
from gobelieve.services.imr import add_router
from gobelieve.services.ims import add_storage
from gobelieve.services.process.daemon import DaemonService
from gobelieve.services.process.options import Coroutines, DaemonOptions, threads
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.starting import cannot_start
from gobelieve.services.status.gateway import GatewayStatus
from gobelieve.services.status.pages import with_parts
from gobelieve.services.status.router import RouterStatus
from gobelieve.services.status.storage import StorageStatus
from gobelieve.storage.local import LocalStorage


class Options(DaemonOptions):
    """The command line of the daemon that is all in one."""

    kind = EmbeddedConfig
    optParameters = [["data", "d", "var", "The folder for everything that is kept."]]


class DataFolder(Service):
    """Makes the folder before anything is opened in it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def startService(self) -> None:
        try:
            os.makedirs(self._path, exist_ok=True)
        except OSError as why:
            cannot_start(f"{self._path} cannot be made: {why.strerror}")
        super().startService()


class Database(SqliteService):
    """A file that cannot be used ends the start with one line."""

    def startService(self) -> None:
        try:
            super().startService()
        except BackendError as why:
            cannot_start(f"the database cannot be opened: {why}")


class Greeting(Service):
    """When all is started, says where, and what to do first."""

    def __init__(self, config: ClientsConfig, data: str) -> None:
        self._log = Logger("gobelieve")
        self._config = config
        self._data = data

    def startService(self) -> None:
        super().startService()
        config = self._config
        self._log.info("TCP clients:       {at}", at=f"{config.host}:{config.port}")
        if config.ws_address:
            self._log.info("WebSocket clients: ws://{at}/ws", at=config.ws_address)
        if config.socket_io_address:
            self._log.info("engine.io clients: http://{at}", at=config.socket_io_address)
        if config.ssl_port:
            self._log.info("TLS clients:       {at}", at=f"{config.host}:{config.ssl_port}")
        if config.wss_address:
            self._log.info("                   wss://{at}/ws", at=config.wss_address)
        if config.tls_address:
            self._log.info("                   https://{at} (engine.io)", at=config.tls_address)
        if config.http_listen_address:
            self._log.info("status:            http://{at}/summary", at=config.http_listen_address)
            self._log.info("HTTP API:          http://{at}/docs", at=config.http_listen_address)
        self._log.info(
            "a token to log in: {gobelieve} token create --app 7 --uid 1001 --data {data}",
            gobelieve=_command(),
            data=self._data,
        )


def _command() -> str:
    """How to call the ``gobelieve`` of this installation from here."""
    beside = os.path.join(os.path.dirname(sys.executable), "gobelieve")
    if shutil.which("gobelieve") or not os.path.exists(beside):
        return "gobelieve"
    return os.path.relpath(beside)


def makeService(options: Options, reactor: Reactor | None = None) -> DaemonService:
    """The services of all three roles."""
    reactor = reactor or installed_reactor()
    config: EmbeddedConfig = options.config
    data: str = options["data"]
    service = DaemonService(options, reactor)
    cluster = add_cluster(service, config.cluster, reactor)
    turn = ReactorTurn(reactor)

    service.add("data", DataFolder(data))
    db = Database(os.path.join(data, FILE_NAME), reactor)
    service.add("sqlite", db)
    groups = add_local_groups(service, db, reactor)
    relations = add_local_relations(service, config.im, db, reactor)

    ims, imr, im = OrderedService(), OrderedService(), OrderedService()
    service.add("ims", ims)
    root = os.path.join(data, "storage")
    storage = StorageStatus(add_storage(ims, root, config.ims, turn, reactor, cluster), reactor)
    service.add("imr", imr)
    queues = None if config.imr.push_disabled else SqlitePushQueues(db)
    router = add_router(
        imr,
        config.imr,
        queues=queues,
        groups=groups,
        cluster=cluster,
        turn=turn,
        reactor=reactor,
    )

    service.add("im", im)
    counters = GatewayCounters()
    world = World(
        time=reactor,
        turn=turn,
        tasks=Coroutines(),
        counters=counters,
        log=Logger("gobelieve.routing"),
    )
    routing = LocalLink(router.router, world)
    pending = PendingDatabase(
        os.path.join(data, "pending"), threads(reactor), Logger("gobelieve.backends.pending")
    )
    preferences = SqlitePreferences(db)
    backends = Backends(
        tokens=tokens(config.im, SqliteTokens(db), preferences),
        devices=SqliteDeviceNumbers(db),
        sync_keys=SqliteSyncKeys(db),
        group_sync_keys=SqliteGroupSyncKeys(db),
        unread=SqliteUnreadCounts(db),
        daily=SqliteDailyUsers(db),
        preferences=preferences,
        pending=pending,
        groups=groups,
        relations=relations,
    )
    local = LocalStorage(storage.storage)
    gateway = build_gateway(
        config.im,
        time=reactor,
        turn=turn,
        backends=backends,
        storage=local,
        routing=routing,
        counters=counters,
    )
    routing.attach(gateway.controls.publications)
    add_words(im, service, config.im.word_file, gateway.controls.words)
    im.add("pending", PendingService(pending, gateway.unfinished.fan_out))
    add_listeners(im, service, gateway, config.im, reactor, turn)
    status = GatewayStatus(gateway)
    shown = GroupStatus(groups)
    parts: dict[str, StorageStatus | RouterStatus | GroupStatus | RelationStatus]
    parts = {"storage": storage, "router": router, "groups": shown}
    if relations is not None:
        parts["relations"] = RelationStatus(relations)
    summary = with_parts(status.summary, parts)
    collectors = [status, cluster.metrics, *parts.values()]
    app = add_local_app_api(im, config.im, gateway, backends.tokens, db, groups.manager, reactor)
    add_http(im, config.im, gateway, local, summary, collectors, lambda: storage.trouble, app)
    service.add("greeting", Greeting(config.im, data))
    return service

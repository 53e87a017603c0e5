"""``twistd gobelieve``: gateway, router and storage in one process, on one SQLite file.

No other program is needed. The three roles call each other without sockets. Storage and the router
listen as well, so that further gateways can join.
"""

import os
import shutil
import sys
from typing import NamedTuple

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
from gobelieve.config import ClientsConfig, EmbeddedConfig, RouterConfig
from gobelieve.errors import BackendError
from gobelieve.event_loop.reactor import Reactor, installed_reactor
from gobelieve.interfaces import Turn
from gobelieve.metrics import GatewayCounters
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.routing.local import LocalLink
from gobelieve.routing.router import Router
from gobelieve.services.components.backends import Backends, tokens
from gobelieve.services.components.cluster import Cluster, add_cluster
from gobelieve.services.components.gateway import Gateway, build_gateway
from gobelieve.services.components.listeners import add_listeners
from gobelieve.services.components.pending import PendingService, pending_database
from gobelieve.services.components.word_file import add_words
from gobelieve.services.groups.groups import GroupManagerService, add_local_groups
from gobelieve.services.groups.relations import RelationsService, add_local_relations
from gobelieve.services.groups.status import optional_parts
from gobelieve.services.http.api import add_http
from gobelieve.services.http.app_api import add_local_app_api
from gobelieve.services.imr import add_router
from gobelieve.services.ims import add_storage
from gobelieve.services.process.daemon import DaemonService
from gobelieve.services.process.options import DaemonOptions
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.starting import cannot_start
from gobelieve.services.process.world import world_of
from gobelieve.services.status.gateway import GatewayStatus
from gobelieve.services.status.pages import DaemonStatus, status_of
from gobelieve.services.status.router import RouterStatus
from gobelieve.services.status.storage import StorageStatus
from gobelieve.storage.local import LocalStorage


class Options(DaemonOptions):
    """The command line of the all-in-one daemon."""

    kind = EmbeddedConfig
    optParameters = [["data", "d", "var", "The folder for everything that is kept."]]


class DataFolder(Service):
    """Makes the data folder before anything is opened in it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def startService(self) -> None:
        try:
            os.makedirs(self._path, exist_ok=True)
        except OSError as why:
            cannot_start(f"{self._path} cannot be made: {why.strerror}")
        super().startService()


class Database(SqliteService):
    """The database; if its file cannot be used, the start ends with one line."""

    def startService(self) -> None:
        try:
            super().startService()
        except BackendError as why:
            cannot_start(f"the database cannot be opened: {why}")


class Greeting(Service):
    """Logs the addresses and the first command for the operator when all is started."""

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
    """Return the command that runs the ``gobelieve`` of this installation from this folder."""
    beside = os.path.join(os.path.dirname(sys.executable), "gobelieve")
    if shutil.which("gobelieve") or not os.path.exists(beside):
        return "gobelieve"
    return os.path.relpath(beside)


def makeService(options: Options, reactor: Reactor | None = None) -> DaemonService:
    """Return the services of all three roles, in the order in which they start."""
    reactor = reactor or installed_reactor()
    config: EmbeddedConfig = options.config
    data: str = options["data"]
    daemon = DaemonService(options, reactor)
    cluster = add_cluster(daemon, config.cluster, reactor)
    turn = ReactorTurn(reactor)
    stores = _add_stores(daemon, config.im, data, reactor)

    ims = OrderedService()
    daemon.add("ims", ims)
    root = os.path.join(data, "storage")
    storage = StorageStatus(
        add_storage(ims, root, config.ims, turn=turn, reactor=reactor, cluster=cluster), reactor
    )
    router = _add_router(daemon, config.imr, stores, cluster, turn, reactor)
    pending = pending_database(os.path.join(data, "pending"), reactor)
    backends = _backends(config.im, stores, pending)
    local = LocalStorage(storage.storage)
    gateway = _build_gateway(config.im, backends, local, router.router, turn, reactor)
    im = OrderedService()
    daemon.add("im", im)
    add_words(im, daemon, config.im.word_file, gateway.controls.words)
    im.add("pending", PendingService(pending, gateway.unfinished.fan_out))
    add_listeners(im, daemon, config.im, gateway=gateway, reactor=reactor, turn=turn)
    app = add_local_app_api(
        im,
        config.im,
        gateway=gateway,
        logins=backends.tokens,
        db=stores.db,
        groups=stores.groups,
        reactor=reactor,
    )
    status = _status(gateway, stores, storage, router, cluster)
    add_http(im, config.im, gateway=gateway, storage=local, status=status, app=app)
    daemon.add("greeting", Greeting(config.im, data))
    return daemon


class _Stores(NamedTuple):
    db: SqliteService
    groups: GroupManagerService
    relations: RelationsService | None


def _add_stores(
    daemon: DaemonService, config: ClientsConfig, data: str, reactor: Reactor
) -> _Stores:
    """Add ``data``, ``sqlite`` and ``group-manager``, and ``relations`` if they are configured."""
    daemon.add("data", DataFolder(data))
    db = Database(os.path.join(data, FILE_NAME), reactor)
    daemon.add("sqlite", db)
    groups = add_local_groups(daemon, db, reactor)
    return _Stores(db, groups, add_local_relations(daemon, config, db, reactor))


def _backends(config: ClientsConfig, stores: _Stores, pending: PendingDatabase) -> Backends:
    db = stores.db
    preferences = SqlitePreferences(db)
    return Backends(
        tokens=tokens(config, SqliteTokens(db), preferences),
        devices=SqliteDeviceNumbers(db),
        sync_keys=SqliteSyncKeys(db),
        group_sync_keys=SqliteGroupSyncKeys(db),
        unread=SqliteUnreadCounts(db),
        daily=SqliteDailyUsers(db),
        preferences=preferences,
        pending=pending,
        groups=stores.groups,
        relations=stores.relations,
    )


def _add_router(
    daemon: DaemonService,
    config: RouterConfig,
    stores: _Stores,
    cluster: Cluster,
    turn: Turn,
    reactor: Reactor,
) -> RouterStatus:
    """Add ``imr``, the services of the router."""
    imr = OrderedService()
    daemon.add("imr", imr)
    return add_router(
        imr,
        config,
        queues=None if config.push_disabled else SqlitePushQueues(stores.db),
        groups=stores.groups,
        cluster=cluster,
        turn=turn,
        reactor=reactor,
    )


def _build_gateway(
    config: ClientsConfig,
    backends: Backends,
    storage: LocalStorage,
    router: Router,
    turn: Turn,
    reactor: Reactor,
) -> Gateway:
    """Build the gateway, and connect it to the router in this process."""
    counters = GatewayCounters()
    routing = LocalLink(router, world_of(reactor, turn, "gobelieve.routing", counters))
    gateway = build_gateway(
        config,
        time=reactor,
        turn=turn,
        backends=backends,
        storage=storage,
        routing=routing,
        counters=counters,
    )
    routing.attach(gateway.controls.publications)
    return gateway


def _status(
    gateway: Gateway,
    stores: _Stores,
    storage: StorageStatus,
    router: RouterStatus,
    cluster: Cluster,
) -> DaemonStatus:
    groups = optional_parts(stores.groups, stores.relations)
    return status_of(
        GatewayStatus(gateway),
        {"storage": storage, "router": router, **groups},
        collectors=[cluster.metrics],
        trouble=lambda: storage.trouble,
    )

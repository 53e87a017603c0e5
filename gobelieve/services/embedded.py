"""``twistd gobelieve``: gateway, router and storage in one process, on one SQLite file.

Nothing else is needed. Between the roles there are calls instead of sockets; yet storage and the
router listen too, so that further gateways can join.
"""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

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
from gobelieve.interfaces import Entries, Page
from gobelieve.metrics import ClientTally
from gobelieve.names import User
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.routing.local import LocalLink
from gobelieve.services.components.cluster import add_cluster
from gobelieve.services.components.gateway import Backends, Gateway, tokens
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
from gobelieve.services.process.options import DaemonOptions, threads
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.starting import cannot_start
from gobelieve.services.status.gateway import GatewayStatus
from gobelieve.services.status.pages import with_parts
from gobelieve.services.status.router import RouterStatus
from gobelieve.services.status.storage import StorageStatus
from gobelieve.storage.queues.commit import Result
from gobelieve.storage.storage import Storage
from gobelieve.wire.storage import SUPER_GROUPS, USERS, SaveItem

T = TypeVar("T")


class Options(DaemonOptions):
    """The command line of the daemon that is all in one."""

    kind = EmbeddedConfig
    optParameters = [["data", "d", "var", "The folder for everything that is kept."]]


class LocalStorage:
    """`MessageSaver`, `MessageReader` and `SuperGroupQueues` on a storage in the same process."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._newest = 0

    def save(
        self,
        cmd: int,
        body: bytes,
        device: int,
        queues: Sequence[User],
        done: Callable[[T, int, Entries], None],
        argument: T,
    ) -> None:
        """See `gobelieve.interfaces.MessageSaver`."""
        ids = tuple([number for queue in queues for number in queue])
        item = SaveItem(device, cmd, USERS, ids, body)
        self._storage.save([item], self._saved, (done, argument, len(queues)))

    def save_to_group(
        self,
        cmd: int,
        body: bytes,
        device: int,
        appid: int,
        group_id: int,
        done: Callable[[T, int, Entries], None],
        argument: T,
    ) -> None:
        """See `gobelieve.interfaces.MessageSaver`."""
        item = SaveItem(device, cmd, SUPER_GROUPS, (appid, group_id), body)
        self._storage.save([item], self._saved, (done, argument, 1))

    def _saved(
        self,
        asked: tuple[Callable[[Any, int, Entries], None], Any, int],
        results: list[Result],
    ) -> None:
        done, argument, queues = asked
        ((status, msgid, prevs),) = results
        if status:
            done(argument, status, ((0, 0),) * queues)
        else:
            self._newest = msgid
            done(argument, status, [(msgid, prev) for prev in prevs])

    def newest(self) -> tuple[int, ...]:
        """See `gobelieve.interfaces.MessageSaver`."""
        return (self._newest,)

    async def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        """See `gobelieve.interfaces.MessageReader`."""
        return self._storage.fetch(user, after, limit)

    async def fetch_group(
        self, appid: int, group_id: int, after: int, joined: int, limit: int = 0
    ) -> Page:
        """See `gobelieve.interfaces.MessageReader`."""
        return self._storage.fetch_group(User(appid, group_id), after, joined, limit)

    async def fetch_latest(self, user: User, limit: int) -> Page:
        """See `gobelieve.interfaces.MessageReader`."""
        return self._storage.fetch_latest(user, limit)

    async def fetch_before(self, user: User, before: int, limit: int) -> Page:
        """See `gobelieve.interfaces.MessageReader`."""
        return self._storage.fetch_before(user, before, limit)

    async def count_new(self, user: User, after: int) -> int:
        """See `gobelieve.interfaces.MessageReader`."""
        return self._storage.count_new(user, after)

    async def decided(self, user: User) -> None:
        """At once: a save here is answered whatever comes of it, and ends with this process."""


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


def makeService(options: Options, reactor: Any = None) -> DaemonService:
    """The services of all three roles."""
    if reactor is None:
        from twisted.internet import reactor
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
    router = add_router(imr, config.imr, queues, turn, reactor, cluster, groups)

    service.add("im", im)
    tally = ClientTally()
    routing = LocalLink(router.router, reactor, tally, Logger("gobelieve.routing"))
    pending = PendingDatabase(
        os.path.join(data, "pending"), threads(reactor), Logger("gobelieve.backends.pending")
    )
    preferences = SqlitePreferences(db)
    backends = Backends(
        tokens(config.im, SqliteTokens(db), preferences),
        SqliteDeviceNumbers(db),
        SqliteSyncKeys(db),
        SqliteGroupSyncKeys(db),
        SqliteUnreadCounts(db),
        SqliteDailyUsers(db),
        preferences,
        pending,
        groups,
        relations,
    )
    local = LocalStorage(storage.storage)
    gateway = Gateway(config.im, reactor, backends, local, routing, tally)
    routing.attach(gateway.delivery)
    add_words(im, service, config.im.word_file, gateway.words)
    im.add("pending", PendingService(pending, gateway.fan_out))
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

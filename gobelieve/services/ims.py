"""``twistd gobelieve-ims``: message storage, its RPC, its older clients, its slaves or master."""

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gobelieve.config import ImsConfig, StorageConfig
from gobelieve.errors import StorageError
from gobelieve.event_loop.reactor import Reactor, installed_reactor
from gobelieve.event_loop.waiting import called_back
from gobelieve.interfaces import World
from gobelieve.metrics import Counters
from gobelieve.protocols.replication.master import SlavesFactory
from gobelieve.protocols.replication.slave import MasterLink
from gobelieve.protocols.storage.legacy_listener import StorageClientFactory
from gobelieve.protocols.storage.listener import StorageFactory
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.services.components import replication
from gobelieve.services.components.cluster import Cluster, add_cluster
from gobelieve.services.process.daemon import DaemonService
from gobelieve.services.process.draining import DrainingService
from gobelieve.services.process.options import Coroutines, DaemonOptions, threads
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.starting import cannot_start
from gobelieve.services.status.pages import add_status
from gobelieve.services.status.storage import StorageParts, StorageStatus
from gobelieve.storage.storage import Storage
from gobelieve.wire.cluster import Port


class Options(DaemonOptions):
    """Storage's command line."""

    kind = ImsConfig


class StorageService(Service):
    """Opens the directory when it starts; when it stops, all that was asked for is on disk."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def startService(self) -> None:
        super().startService()
        try:
            self.storage.open()
        except StorageError as why:
            cannot_start(f"storage cannot be opened: {why}")

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        return called_back(self.storage.close)


def add_storage(
    parent: OrderedService,
    root: str,
    config: StorageConfig,
    turn: ReactorTurn,
    reactor: Reactor,
    cluster: Cluster,
) -> StorageParts:
    """Add ``storage`` in the folder `root`, and its ports and links; nothing is opened yet."""
    storage = Storage(
        root,
        world=_world(reactor, turn, "gobelieve.storage"),
        in_thread=threads(reactor),
        fsync=config.fsync,
        fsync_interval=config.fsync_interval,
        limit=config.limit,
        slave=bool(config.master_address),
    )
    parent.add("storage", StorageService(storage))
    # Slaves end behind those who save, so that they get all that was answered.
    slaves: SlavesFactory | None = None
    if config.sync_listen:
        slaves = SlavesFactory(
            storage.store,
            world=_world(reactor, turn, "gobelieve.protocols.replication.master"),
            delay=config.sync_delay,
        )
        parent.add("slaves", replication.slaves(config.sync_listen, slaves, reactor, cluster))
    master: MasterLink | None = None
    if config.master_address:
        master = MasterLink(
            storage,
            config.master_address,
            world=_world(reactor, turn, "gobelieve.protocols.replication.slave"),
        )
        parent.add("master", replication.master(master, cluster))
    ports = {
        "rpc": StorageFactory(
            storage, world=_world(reactor, turn, "gobelieve.protocols.storage.listener")
        )
    }
    tcp = cluster.listening(Port.STORAGE_RPC, config.rpc_listen, ports["rpc"])
    parent.add("rpc", _port(tcp, ports["rpc"], reactor))
    if config.listen:
        older = _world(reactor, turn, "gobelieve.protocols.storage.legacy_listener")
        ports["clients"] = StorageClientFactory(storage, world=older)
        tcp = cluster.listening(Port.STORAGE_CLIENTS, config.listen, ports["clients"])
        parent.add("clients", _port(tcp, ports["clients"], reactor))
    return StorageParts(storage, ports, slaves, master)


def _world(reactor: Reactor, turn: ReactorTurn, name: str) -> World:
    """Return a world with counters of its own, and a log of this name."""
    return World(time=reactor, turn=turn, tasks=Coroutines(), counters=Counters(), log=Logger(name))


def _port(tcp: Service, factory: StorageFactory, reactor: Reactor) -> OrderedService:
    port = OrderedService()
    port.add("askers", DrainingService(factory, reactor))
    port.add("tcp", tcp)
    return port


def makeService(options: Options, reactor: Reactor | None = None) -> DaemonService:
    """Storage's services."""
    reactor = reactor or installed_reactor()
    config: ImsConfig = options.config
    service = DaemonService(options, reactor)
    cluster = add_cluster(service, config.cluster, reactor)
    turn = ReactorTurn(reactor)
    parts = add_storage(service, config.storage_root, config, turn, reactor, cluster)
    status = StorageStatus(parts, reactor)
    collectors = [status, cluster.metrics]
    add_status(
        service, config.http_listen_address, status.summary, collectors, lambda: status.trouble
    )
    return service

"""``twistd gobelieve-ims``: message storage with its ports, and its slaves or its master."""

from typing import Any, NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from gobelieve.config import ImsConfig, StorageConfig
from gobelieve.errors import StorageError
from gobelieve.event_loop.reactor import Reactor, installed_reactor
from gobelieve.event_loop.waiting import called_back
from gobelieve.interfaces import Turn, World
from gobelieve.protocols.replication.master import SlavesFactory
from gobelieve.protocols.replication.slave import MasterLink
from gobelieve.protocols.storage.legacy_listener import StorageClientFactory
from gobelieve.protocols.storage.listener import StorageFactory
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.services.components import replication
from gobelieve.services.components.cluster import Cluster, add_cluster
from gobelieve.services.process.daemon import DaemonService
from gobelieve.services.process.draining import DrainingService
from gobelieve.services.process.options import DaemonOptions, threads
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.starting import cannot_start
from gobelieve.services.process.world import world_of
from gobelieve.services.status.pages import add_status, status_of
from gobelieve.services.status.storage import StorageParts, StorageStatus
from gobelieve.storage.storage import Storage
from gobelieve.wire.cluster import Port


class Options(DaemonOptions):
    """The command line of storage."""

    kind = ImsConfig


class StorageService(Service):
    """Opens the directory when it starts; when it stops, all requested messages are on disk."""

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


class _Process(NamedTuple):
    """The parts of its process that storage is built with."""

    parent: OrderedService
    cluster: Cluster
    turn: Turn
    reactor: Reactor

    def world(self, log_name: str) -> World:
        """Return a world with counters of its own, and a log of this name."""
        return world_of(self.reactor, self.turn, log_name)


def add_storage(
    parent: OrderedService,
    root: str,
    config: StorageConfig,
    *,
    turn: Turn,
    reactor: Reactor,
    cluster: Cluster,
) -> StorageParts:
    """Add ``storage`` in the folder `root`, and its ports and links; nothing is opened yet."""
    process = _Process(parent, cluster, turn, reactor)
    storage = Storage(
        root,
        world=process.world("gobelieve.storage"),
        in_thread=threads(reactor),
        fsync=config.fsync,
        fsync_interval=config.fsync_interval,
        limit=config.limit,
        slave=bool(config.master_address),
    )
    parent.add("storage", StorageService(storage))
    # The slaves' links end after the gateways' links, so that slaves get all that was acked.
    slaves = _add_slaves(process, storage, config)
    master = _add_master(process, storage, config)
    return StorageParts(storage, _add_ports(process, storage, config), slaves, master)


def _add_slaves(process: _Process, storage: Storage, config: StorageConfig) -> SlavesFactory | None:
    """Add ``slaves``, the port for them, if there is an address."""
    if not config.sync_listen:
        return None
    world = process.world("gobelieve.protocols.replication.master")
    slaves = SlavesFactory(storage.store, world=world, delay=config.sync_delay)
    port = replication.slaves(config.sync_listen, slaves, process.reactor, process.cluster)
    process.parent.add("slaves", port)
    return slaves


def _add_master(process: _Process, storage: Storage, config: StorageConfig) -> MasterLink | None:
    """Add ``master``, the link to it, if this storage is a slave."""
    if not config.master_address:
        return None
    world = process.world("gobelieve.protocols.replication.slave")
    master = MasterLink(storage, config.master_address, world=world)
    process.parent.add("master", replication.master(master, process.cluster))
    return master


def _add_ports(
    process: _Process, storage: Storage, config: StorageConfig
) -> dict[str, StorageFactory]:
    """Add ``rpc``, and ``clients`` for older clients if there is an address."""
    factory = StorageFactory(storage, world=process.world("gobelieve.protocols.storage.listener"))
    ports = {"rpc": factory}
    _add_port(process, "rpc", Port.STORAGE_RPC, config.rpc_listen, factory)
    if config.listen:
        world = process.world("gobelieve.protocols.storage.legacy_listener")
        ports["clients"] = older = StorageClientFactory(storage, world=world)
        _add_port(process, "clients", Port.STORAGE_CLIENTS, config.listen, older)
    return ports


def _add_port(
    process: _Process, name: str, port: Port, address: str, factory: StorageFactory
) -> None:
    service = OrderedService()
    service.add("askers", DrainingService(factory, process.reactor))
    service.add("tcp", process.cluster.listening(port, address, factory))
    process.parent.add(name, service)


def makeService(options: Options, reactor: Reactor | None = None) -> DaemonService:
    """Return the services of storage, in the order in which they start."""
    reactor = reactor or installed_reactor()
    config: ImsConfig = options.config
    service = DaemonService(options, reactor)
    cluster = add_cluster(service, config.cluster, reactor)
    turn = ReactorTurn(reactor)
    parts = add_storage(
        service, config.storage_root, config, turn=turn, reactor=reactor, cluster=cluster
    )
    status = StorageStatus(parts, reactor)
    shown = status_of(status, {}, collectors=[cluster.metrics], trouble=lambda: status.trouble)
    add_status(service, config.http_listen_address, shown)
    return service

"""Replication in the storage daemon: the port for slaves, and the link to a master."""

from twisted.application.internet import ClientService

from gobelieve.event_loop.reactor import Reactor
from gobelieve.protocols.replication.master import SlavesFactory
from gobelieve.protocols.replication.slave import MasterLink
from gobelieve.services.components.cluster import Cluster
from gobelieve.services.process.draining import DrainingService
from gobelieve.services.process.ordered import OrderedService
from gobelieve.wire.cluster import Port

TROUBLE_DELAY = 30.0
"""Seconds between attempts if the master refused us, or while our disk is full.

Both need the operator, so frequent attempts would not help.
"""


def slaves(
    address: str, factory: SlavesFactory, reactor: Reactor, cluster: Cluster
) -> OrderedService:
    """Return the port for slaves."""
    port = OrderedService()
    port.add("connections", DrainingService(factory, reactor))
    port.add("tcp", cluster.listening(Port.REPLICATION, address, factory))
    return port


def master(link: MasterLink, cluster: Cluster) -> ClientService:
    """Return the service that keeps the link to the master connected."""

    def special_delay() -> float | None:
        return TROUBLE_DELAY if link.refused or link.failed else None

    return cluster.connecting(Port.REPLICATION, link.address, link, special_delay)

"""Replication in storage's daemon: the port for slaves, and the link to a master."""

from typing import Any

from twisted.application.internet import ClientService
from twisted.application.service import Service

from gobelieve.config import parse_address
from gobelieve.protocols.master_link import MasterLink
from gobelieve.protocols.replication import SlavesFactory
from gobelieve.services.connections import connecting
from gobelieve.services.listening import Listening
from gobelieve.services.ordered import OrderedService

REFUSED_DELAY = 30.0
"""Seconds until a master is asked again that refused us: somebody has to look after it."""


class SlavesService(Service):
    """When it stops, the connections of all slaves end."""

    def __init__(self, factory: SlavesFactory) -> None:
        self.factory = factory

    def stopService(self) -> None:
        super().stopService()
        self.factory.close()


def slaves(address: str, factory: SlavesFactory) -> OrderedService:
    """The port for slaves."""
    port = OrderedService()
    port.add("connections", SlavesService(factory))
    port.add("tcp", Listening(parse_address(address), factory))
    return port


def master(link: MasterLink, reactor: Any) -> ClientService:
    """Keeps the link to the master connected."""
    return connecting(
        reactor, "master", link.address, link, lambda: REFUSED_DELAY if link.refused else None
    )

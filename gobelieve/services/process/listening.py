"""The service that listens on a TCP port."""

from twisted.application import strports
from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory

from gobelieve.config import Address
from gobelieve.services.process.starting import cannot_start

BACKLOG = 1024
"""Connections that may wait to be accepted.

Twisted's default of 50 is too small when all clients reconnect at once. The kernel of a client that
is left out retries after one second, then after two.
"""


class Listening(Service):
    """Listens on an address; if the port is taken, the start of the daemon ends with one line."""

    def __init__(self, address: Address, factory: IProtocolFactory) -> None:
        self._address = address
        host = quoteStringArgument(address.host or "0.0.0.0")
        description = f"tcp:{address.port}:interface={host}:backlog={BACKLOG}"
        # Unlike the endpoint services themselves, this one raises when the port is taken.
        self._service: IService = strports.service(description, factory)

    def privilegedStartService(self) -> None:
        """Listen before the daemon gives up its privileges, which the port may need."""
        try:
            self._service.privilegedStartService()
        except CannotListenError as why:
            host, port = self._address
            cannot_start(f"cannot listen on {host}:{port}: {why.socketError.strerror}")

    def startService(self) -> None:
        super().startService()
        self._service.startService()

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        stopping: Deferred[None] | None = self._service.stopService()
        return stopping

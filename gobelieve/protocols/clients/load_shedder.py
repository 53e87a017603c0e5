"""A port that refuses clients for a while, and keeps listening."""

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from zope.interface import implementer


@implementer(IProtocolFactory)
class LoadShedder:
    """Closes each new connection at once while `is_full` returns True.

    On a port that stops listening, clients would wait, and all of them would connect at once later.
    """

    def __init__(self, factory: IProtocolFactory, is_full: Callable[[], bool]) -> None:
        self.factory = factory
        self._is_full = is_full

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        return None if self._is_full() else self.factory.buildProtocol(addr)

    def doStart(self) -> None:
        """Start the factory inside; called by Twisted when a port listens."""
        self.factory.doStart()

    def doStop(self) -> None:
        """Stop the factory inside; called by Twisted when a port no longer listens."""
        self.factory.doStop()

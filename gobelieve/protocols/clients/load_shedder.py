"""A port that may be shut for a while, without giving it up."""

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from zope.interface import implementer


@implementer(IProtocolFactory)
class LoadShedder:
    """Lets nobody in while it is shut: who connects is closed at once, and costs no more than that.

    (A port that does not listen would leave them waiting, and come back to all of them at once.)
    """

    def __init__(self, factory: IProtocolFactory, is_full: Callable[[], bool]) -> None:
        self.factory = factory
        self._is_full = is_full

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        return None if self._is_full() else self.factory.buildProtocol(addr)

    def doStart(self) -> None:
        """A port listens."""
        self.factory.doStart()

    def doStop(self) -> None:
        """It does not any more."""
        self.factory.doStop()

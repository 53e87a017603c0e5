"""The orderly end of the connections to a port."""

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from gobelieve.interfaces import Time
from gobelieve.protocols.draining import DrainingFactory


class DrainingService(Service):
    """Closes the connections of a factory when it stops, after their answers are sent."""

    def __init__(self, factory: DrainingFactory[Any], time: Time) -> None:
        self.factory = factory
        self._time = time

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self.factory.close(self._time))

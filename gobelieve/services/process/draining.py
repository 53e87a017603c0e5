"""Connections to our ports, and how they end."""

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from gobelieve.interfaces import Time
from gobelieve.protocols.draining import DrainingFactory


class DrainingService(Service):
    """When it stops, the connections of a factory end in good order."""

    def __init__(self, factory: DrainingFactory[Any], time: Time) -> None:
        self.factory = factory
        self._time = time

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self.factory.close(self._time))

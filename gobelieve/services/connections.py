"""Connections to and from our own daemons: how they are kept, and how they end."""

from collections.abc import Callable
from random import random
from typing import Any

from twisted.application.internet import ClientService
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory

from gobelieve.config import parse_address
from gobelieve.interfaces import Time
from gobelieve.protocols.attempts import Attempts
from gobelieve.protocols.goodbye import GoodbyeFactory


class GoodbyeService(Service):
    """When it stops, the connections of a factory end in good order."""

    def __init__(self, factory: GoodbyeFactory[Any], time: Time) -> None:
        self.factory = factory
        self._time = time

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self.factory.close(self._time))


def connecting(
    reactor: Any,
    what: str,
    address: str,
    link: Factory,
    special_delay: Callable[[], float | None] = lambda: None,
) -> ClientService:
    """Keeps a link connected. `special_delay` may say how long to wait instead of the usual."""
    host, port = parse_address(address)
    endpoint = HostnameEndpoint(reactor, host or "127.0.0.1", port, timeout=3)
    attempts = Attempts(endpoint, f"{what} {address}", reactor, random)

    def delay(attempt: int) -> float:
        special = special_delay()
        return attempts.delay(attempt) if special is None else special

    return ClientService(attempts, link, retryPolicy=delay, clock=reactor)

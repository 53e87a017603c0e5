"""Attempts to connect to one of our own daemons: how long to wait for the next, and what to say.

`ClientService` forgets its failures as soon as a connection is made, and keeps to itself why it
cannot be made. Here a connection counts as good only when it has lasted, so that a peer which
accepts and hangs up is not called on many times a second; and a reason is logged once, not with
every attempt.
"""

from collections.abc import Callable
from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from gobelieve.interfaces import Time

FIRST_DELAY, LONGEST_DELAY, GROWTH = 0.1, 1.5, 1.5
"""Seconds before connecting again at the most, and how they grow with each failure. At the least it
is half of that, so that a daemon which comes back is found within 1.5 s, and not by all at once."""
LASTING = 5.0
"""Seconds after which a connection counts as good."""


class Connecting(ClientService):
    """Keeps connecting, and does not log each attempt: who makes them says what there is to say."""

    _log = Logger("gobelieve.connecting", observer=LogPublisher())


@implementer(IStreamClientEndpoint)
class Attempts:
    """An endpoint for `ClientService`, and with `delay` its retry policy.

    `jitter` gives a number from 0 to 1: where the delay lies between its half and its whole.
    """

    log = Logger()

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        peer: str,
        time: Time,
        jitter: Callable[[], float],
    ) -> None:
        self._endpoint = endpoint
        self._peer = peer
        self._time = time
        self._jitter = jitter
        self._failures = 0
        self._connected_at: float | None = None
        self._told = ""

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """One attempt."""
        connecting: Deferred[IProtocol] = self._endpoint.connect(protocolFactory)
        return connecting.addCallbacks(self._connected, self._refused)

    def delay(self, attempt: int) -> float:
        """Seconds to wait now."""
        now = self._time.seconds()
        if self._connected_at is not None and now - self._connected_at >= LASTING:
            self._failures = 0
        self._connected_at = None
        delay: float = min(FIRST_DELAY * GROWTH ** min(self._failures, 20), LONGEST_DELAY)
        self._failures += 1
        return delay * (1 + self._jitter()) / 2

    def _connected(self, protocol: IProtocol) -> IProtocol:
        self._connected_at = self._time.seconds()
        self._told = ""
        return protocol

    def _refused(self, failure: Failure) -> Any:
        if failure.check(CancelledError, ConnectingCancelledError):
            return failure  # we stop
        why = failure.getErrorMessage()
        if why != self._told:
            self._told = why
            self.log.warn("{peer} cannot be reached: {why}", peer=self._peer, why=why)
        return failure

"""The pauses between attempts to connect to one of our own daemons.

`ClientService` resets its failures as soon as a connection is made. Here a connection must last for
a while before it counts as good. A peer that accepts and disconnects would otherwise be called many
times per second.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger

from gobelieve.event_loop.connecting import ReportingEndpoint
from gobelieve.interfaces import Time
from gobelieve.support.backoff import Backoff

FIRST_DELAY, LONGEST_DELAY, GROWTH = 0.1, 1.5, 1.5
"""The longest pause in seconds, and its growth with each failure. A pause is at least half of that.
So a daemon that comes back is found within 1.5 s, and not by all others at once."""
LASTING_SECONDS = 5.0
"""Seconds after which a connection counts as good."""


class RetryingEndpoint(ReportingEndpoint):
    """An endpoint for `ClientService`; its method `delay` is the retry policy.

    `jitter` returns a number from 0 to 1: 0 is half of the pause, and 1 is the whole pause.
    """

    log = Logger()

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        peer: str,
        time: Time,
        jitter: Callable[[], float],
    ) -> None:
        super().__init__(endpoint, f"{peer} cannot be reached", self.log)
        self._time = time
        self._jitter = jitter
        self._backoff = Backoff(FIRST_DELAY, LONGEST_DELAY, GROWTH)
        self._connected_at: float | None = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Make one attempt to connect; see `IStreamClientEndpoint`."""
        return super().connect(protocolFactory).addCallback(self._connected)

    def delay(self, attempt: int) -> float:
        """Return the seconds until the next attempt."""
        now = self._time.seconds()
        if self._connected_at is not None and now - self._connected_at >= LASTING_SECONDS:
            self._backoff.reset()
        self._connected_at = None
        return self._backoff.next() * (1 + self._jitter()) / 2

    def _connected(self, protocol: IProtocol) -> IProtocol:
        self._connected_at = self._time.seconds()
        self.works()
        return protocol

"""Attempts to connect to one of our own daemons: how long to wait for the next.

`ClientService` forgets its failures as soon as a connection is made. Here a connection counts as
good only when it has lasted, so that a peer which accepts and hangs up is not called on many times
per second.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger

from gobelieve.event_loop.connecting import ReportingEndpoint
from gobelieve.interfaces import Time
from gobelieve.support.backoff import Backoff

FIRST_DELAY, LONGEST_DELAY, GROWTH = 0.1, 1.5, 1.5
"""Seconds before connecting again at the most, and how they grow with each failure. At the least it
is half of that, so that a daemon which comes back is found within 1.5 s, and not by all at once."""
LASTING_SECONDS = 5.0
"""Seconds after which a connection counts as good."""


class RetryingEndpoint(ReportingEndpoint):
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
        super().__init__(endpoint, f"{peer} cannot be reached", self.log)
        self._time = time
        self._jitter = jitter
        self._backoff = Backoff(FIRST_DELAY, LONGEST_DELAY, GROWTH)
        self._connected_at: float | None = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Make one attempt."""
        return super().connect(protocolFactory).addCallback(self._connected)

    def delay(self, attempt: int) -> float:
        """Seconds to wait now."""
        now = self._time.seconds()
        if self._connected_at is not None and now - self._connected_at >= LASTING_SECONDS:
            self._backoff.reset()
        self._connected_at = None
        return self._backoff.next() * (1 + self._jitter()) / 2

    def _connected(self, protocol: IProtocol) -> IProtocol:
        self._connected_at = self._time.seconds()
        self.works()
        return protocol

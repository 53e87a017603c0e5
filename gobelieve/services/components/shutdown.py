"""The shutdown of a gateway, and the regular check of its clients' timeouts."""

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gobelieve.event_loop.waiting import called_back, called_within
from gobelieve.gateway.sessions.timeouts import Timeouts
from gobelieve.interfaces import Time
from gobelieve.services.components.gateway import Gateway

CLIENTS_AT_ONCE = 1000
"""Clients that may reconnect to other gateways at the same moment."""
STEP_SECONDS = 0.1
"""Seconds between two batches of clients that are sent away."""
DRAIN_TIMEOUT = 5.0
"""Seconds that a stopping gateway waits for storage, and then for its clients."""


class GracefulShutdown(Service):
    """Ends the connections of clients when the daemon stops.

    The gateway first stores, delivers and acks all messages that clients have sent. Then it closes
    the connections, and writes the sync keys and counters of the clients.

    Many clients are sent away in batches over `spread` seconds. Otherwise all would connect to
    another gateway, and log in there, at the same moment. The other clients are served meanwhile.
    """

    def __init__(self, gateway: Gateway, time: Time, spread: float) -> None:
        self._timeouts = gateway.clients.timeouts
        self._unfinished = gateway.unfinished
        self._time = time
        self._spread = spread

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        timeouts, unfinished = self._timeouts, self._unfinished
        await self._send_away_in_batches()
        timeouts.pause_all()
        # Storage or a client may hang, so the gateway does not wait without a limit.
        await called_within(DRAIN_TIMEOUT, self._time, unfinished.saves_in_flight.when_none)
        timeouts.close_all()
        await called_within(DRAIN_TIMEOUT, self._time, timeouts.when_empty)
        await unfinished.reports.flush()
        unfinished.tasks.cancel()

    async def _send_away_in_batches(self) -> None:
        timeouts = self._timeouts
        sessions = timeouts.oldest()
        steps = round(self._spread / STEP_SECONDS)
        if len(sessions) <= CLIENTS_AT_ONCE or steps < 2:
            return
        part = -(-len(sessions) // steps)
        for start in range(0, len(sessions), part):
            timeouts.send_away(sessions[start : start + part])
            await called_back(self._time.callLater, STEP_SECONDS)


def safe_sweep(timeouts: Timeouts) -> Callable[[], None]:
    """Return a check of all timeouts that never raises: a bug must not end the checks for good."""

    def sweep() -> None:
        try:
            timeouts.sweep()
        except Exception:
            Logger("gobelieve.gateway").failure("a sweep failed")

    return sweep

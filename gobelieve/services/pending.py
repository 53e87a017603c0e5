"""The messages of ordinary groups that are not everywhere yet, as a service."""

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gobelieve.backends.pending import PendingDatabase
from gobelieve.errors import BackendError
from gobelieve.gateway.fan_out import FanOut
from gobelieve.services.starting import cannot_start


class PendingService(Service):
    """Opens the file when started, and goes on with what is in it; when it stops, what storage was
    asked for is waited for, and the file is closed."""

    log = Logger()

    def __init__(self, pending: PendingDatabase, fan_out: FanOut) -> None:
        self._pending = pending
        self._fan_out = fan_out

    def startService(self) -> None:
        super().startService()
        try:
            left = self._pending.open()
        except BackendError as why:
            cannot_start(f"messages of groups cannot be kept: {why}")
        if left:
            self.log.info("{count} messages of groups go on", count=len(left))
        for number, message, done in left:
            self._fan_out.resume(number, message, done)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for stop in (self._fan_out.stop, self._pending.close):
            stopped: Deferred[None] = Deferred()
            stop(lambda stopped=stopped: stopped.callback(None))  # type: ignore[misc]
            await stopped

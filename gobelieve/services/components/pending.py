"""The service for pending messages: those of ordinary groups that some members lack yet."""

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gobelieve.backends.pending import old_format
from gobelieve.backends.pending.database import Left, PendingDatabase
from gobelieve.errors import BackendError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.event_loop.waiting import called_back
from gobelieve.gateway.fan_out.fan_out import FanOut
from gobelieve.services.process.options import threads
from gobelieve.services.process.starting import cannot_start


def pending_database(folder: str, reactor: Reactor) -> PendingDatabase:
    """Return the database of pending messages in a folder; it is not opened yet."""
    return PendingDatabase(folder, threads(reactor), Logger("gobelieve.backends.pending"))


class PendingService(Service):
    """Opens the database when it starts, and resumes the messages in it.

    It also resumes the messages in the queues that the Go server left in the same folder. When it
    stops, it waits for storage to answer, and closes the database.
    """

    log = Logger()

    def __init__(self, pending: PendingDatabase, fan_out: FanOut) -> None:
        self._pending = pending
        self._fan_out = fan_out

    def startService(self) -> None:
        super().startService()
        try:
            left = [*self._pending.open(), *self._take_over()]
        except BackendError as why:
            cannot_start(f"pending messages cannot be opened: {why}")
        if left:
            self.log.info("{count} pending messages of groups are resumed", count=len(left))
        for number, message, done in left:
            self._fan_out.resume(number, message, done)

    def _take_over(self) -> list[Left]:
        """Import the queues of the Go server, and then set their files aside.

        If the process is killed in between, the digests in the database show what is imported.
        """
        queues = old_format.find(self._pending.path.parent)
        if not queues:
            return []
        kept = self._pending.imports()
        new = [queue for queue in queues if queue.digest not in kept]
        for remark in (remark for queue in new for remark in queue.remarks):
            self.log.warn("{remark}", remark=remark)
        messages = old_format.merged(new, self._fan_out.storages)
        left = self._pending.take_over(messages, [queue.digest for queue in new])
        for queue in queues:
            queue.set_aside()
        self.log.info(
            "{count} messages are imported from {queues} queues of the Go server;"
            " their files end in {end} now",
            count=len(left),
            queues=len(queues),
            end=old_format.IMPORTED,
        )
        return left

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for stop in (self._fan_out.stop, self._pending.close):
            await called_back(stop)

"""Batches of a message that goes into many queues, and the search for queues that have it."""

from collections.abc import Callable, Sequence

from gobelieve.interfaces import MessageReader, PendingMessage, Time
from gobelieve.names import User

SLOW_SECONDS = 0.5
"""An answer that takes so many seconds may be out of date: storage may have stored more meanwhile.
(If the clock was set back, the time tells nothing.)"""
MAX_LOOKS = 5
"""The number of slow answers after which the next one is believed."""


class Batch:
    """A message and some queues, all of one storage."""

    __slots__ = ("after_id", "index", "maybe_stored", "message", "number", "resharded", "uids")

    def __init__(
        self, number: int, index: int, message: PendingMessage, uids: Sequence[int], after_id: int
    ) -> None:
        self.number = number
        """The number of the message, see `PendingMessages`."""
        self.index = index
        """The place of the batch among those of the message."""
        self.message = message
        self.uids = uids
        self.after_id = after_id
        """An id that is smaller than all ids that the message can have in this storage."""
        self.maybe_stored = False
        self.resharded = False
        """True if the number of storages changed; then any of the queues may have the message."""

    @property
    def weight(self) -> int:
        """The work for storage: a queue counts as much as 256 bytes of the message."""
        return len(self.uids) + (len(self.message.body) >> 8)


class Search:
    """Searches queues for the message of a batch."""

    def __init__(self, reader: MessageReader, time: Time) -> None:
        self._reader = reader
        self._time = time

    async def queues_with(self, batch: Batch, stopping: Callable[[], bool]) -> dict[int, int]:
        """Return the users whose queues have the message, with its id. Raises `StorageError`.

        When `stopping` returns True the search ends early: the next gateway searches again.
        """
        first, last = batch.uids[0], batch.uids[-1]
        for _ in range(MAX_LOOKS):
            began = self._time.seconds()
            await self._reader.decided(User(batch.message.appid, first))
            # Storage enters a batch as a whole, or from its first queue to where a crash cut it
            # off.
            if batch.resharded or await self._entry(batch, first) or await self._entry(batch, last):
                break
            if 0 <= self._time.seconds() - began < SLOW_SECONDS or stopping():
                return {}
        else:
            return {}
        found: dict[int, int] = {}
        for uid in batch.uids:
            if stopping():
                break
            msgid = await self._entry(batch, uid)
            if msgid:
                found[uid] = msgid
        return found

    async def _entry(self, batch: Batch, uid: int) -> int:
        """Return the id of the message in the user's queue; 0 if the queue does not have it."""
        wanted = batch.message
        after = batch.after_id
        while True:
            page = await self._reader.fetch(User(wanted.appid, uid), after)
            for msgid, device, cmd, body in page.messages:
                if body == wanted.body and cmd == wanted.cmd and device == wanted.device:
                    return msgid
            if not page.more:
                return 0
            after = page.last

"""The batches of a message that goes into many queues, and which queues have one already."""

from collections.abc import Callable, Sequence

from gobelieve.interfaces import MessageReader, PendingMessage, Time
from gobelieve.names import User

SLOW_SECONDS = 0.5
"""Seconds after which an answer may tell less than what the storage has done meanwhile. (A clock
that was set back tells nothing.)"""
MAX_LOOKS = 5
"""A storage that is always slow is believed after so many."""


class Batch:
    """A message for some queues, all of one storage."""

    __slots__ = ("after_id", "index", "maybe_stored", "message", "number", "resharded", "uids")

    def __init__(
        self, number: int, index: int, message: PendingMessage, uids: Sequence[int], after_id: int
    ) -> None:
        self.number = number
        """The message's, see `PendingMessages`."""
        self.index = index
        """Which batch of the message."""
        self.message = message
        self.uids = uids
        self.after_id = after_id
        """An id before all that this message can have here."""
        self.maybe_stored = False
        self.resharded = False
        """Whether it was in other batches before, so that any of the queues may have it already."""

    @property
    def weight(self) -> int:
        """How much there is to do for it: a queue counts as much as 256 bytes of the message."""
        return len(self.uids) + (len(self.message.body) >> 8)


class Search:
    """Looks for batches in the queues themselves."""

    def __init__(self, reader: MessageReader, time: Time) -> None:
        self._reader = reader
        self._time = time

    async def queues_with(self, batch: Batch, stopping: Callable[[], bool]) -> dict[int, int]:
        """The users whose queues have it, and its id in each. Raises `StorageError`.

        Once `stopping` says so, not all of them: the next gateway will look again.
        """
        first, last = batch.uids[0], batch.uids[-1]
        for _ in range(MAX_LOOKS):
            began = self._time.seconds()
            await self._reader.decided(User(batch.message.appid, first))
            # An ask is done as a whole, or from its first queue on to where a crash cut it off.
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
        """The id under which the user's queue has the message; 0 if it has not."""
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

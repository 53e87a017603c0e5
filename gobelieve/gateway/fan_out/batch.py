"""The parts of a message that goes into many queues, and which queues have one already."""

from collections.abc import Callable, Sequence

from gobelieve.interfaces import MessageReader, PendingMessage, Time
from gobelieve.names import User

SLOW = 0.5
"""Seconds after which an answer may tell less than what the storage has done meanwhile. (A clock
that was set back tells nothing.)"""
MOST_LOOKS = 5
"""A storage that is always slow is believed after so many."""


class Part:
    """A message for some queues, all of one storage."""

    __slots__ = ("doubtful", "index", "known", "message", "number", "scattered", "uids")

    def __init__(
        self, number: int, index: int, message: PendingMessage, uids: Sequence[int], known: int
    ) -> None:
        self.number = number
        """The message's, see `PendingMessages`."""
        self.index = index
        """Which part of the message."""
        self.message = message
        self.uids = uids
        self.known = known
        """An id before all that this message can have here."""
        self.doubtful = False
        self.scattered = False
        """Whether it was in other parts before, so that any of the queues may have it already."""

    @property
    def weight(self) -> int:
        """How much there is to do for it: a queue counts as much as 256 bytes of the message."""
        return len(self.uids) + (len(self.message.body) >> 8)


class Search:
    """Looks for parts in the queues themselves."""

    def __init__(self, reader: MessageReader, time: Time) -> None:
        self._reader = reader
        self._time = time

    async def queues_with(self, part: Part, stopping: Callable[[], bool]) -> dict[int, int]:
        """The users whose queues have it, and its id in each. Raises `StorageError`.

        Once `stopping` says so, not all of them: the next gateway will look again.
        """
        first, last = part.uids[0], part.uids[-1]
        for _ in range(MOST_LOOKS):
            began = self._time.seconds()
            await self._reader.decided(User(part.message.appid, first))
            # An ask is done as a whole, or from its first queue on to where a crash cut it off.
            if part.scattered or await self._entry(part, first) or await self._entry(part, last):
                break
            if 0 <= self._time.seconds() - began < SLOW or stopping():
                return {}
        else:
            return {}
        found: dict[int, int] = {}
        for uid in part.uids:
            if stopping():
                break
            msgid = await self._entry(part, uid)
            if msgid:
                found[uid] = msgid
        return found

    async def _entry(self, part: Part, uid: int) -> int:
        """The id under which the user's queue has the message; 0 if it has not."""
        wanted = part.message
        after = part.known
        while True:
            page = await self._reader.fetch(User(wanted.appid, uid), after)
            for msgid, device, cmd, body in page.messages:
                if body == wanted.body and cmd == wanted.cmd and device == wanted.device:
                    return msgid
            if not page.more:
                return 0
            after = page.last

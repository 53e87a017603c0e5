"""Entering messages in many queues of one storage: in order, without an end, none twice.

What is to be done comes in *batches*: a message and some queues. The batches of one group are asked
for in order; groups do not wait for each other. A storage that failed rests a while, then is asked
again from where it stopped.

An ask that failed, or that a gateway made before it crashed, may have been done nevertheless. Such
a batch is *maybe stored*: before it is asked for again, the queues themselves are looked into.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from gobelieve.errors import StorageError
from gobelieve.gateway.fan_out.batch import Batch, Search
from gobelieve.interfaces import (
    Cancellable,
    Entries,
    MessageReader,
    MessageSaver,
    World,
)
from gobelieve.names import AckStatus, User

QUEUES_PER_ASK = 1000
"""Some 5 ms of a storage's time, and one frame, which storage does as a whole or not at all. (See
`Batch.weight`.)"""
QUEUES_AT_ONCE = 16 * QUEUES_PER_ASK
"""A few large groups, or hundreds of small ones: else how long storage takes to answer would limit
how many of them are served in a second."""
FIRST_BACKOFF, LAST_BACKOFF = 1.0, 10.0
"""Seconds that a storage is left alone after a failure; doubled each time in between."""

Done = Callable[[Batch, Sequence[User], Entries], None]
"""Told of queues that have it now: all of a batch, or some."""


class _GroupQueue:
    """The batches of one group."""

    __slots__ = ("batches", "failed", "key", "open", "weight")

    def __init__(self, key: tuple[int, int]) -> None:
        self.key = key
        self.batches: deque[Batch] = deque()
        self.open = 0
        """Asks that are not answered."""
        self.weight = 0
        """Of these; while it looks, that of a full ask."""
        self.failed = False


class MemberQueues:
    """The batches for one storage.

    `done(batch, queues, entries)` is called when queues have the message; `ended(batch, status)`
    when nothing is left to do for the batch: with 0, or with the `AckStatus` for which it is given
    up.
    """

    def __init__(
        self,
        *,
        world: World,
        saver: MessageSaver,
        reader: MessageReader,
        done: Done,
        ended: Callable[[Batch, int], None],
    ) -> None:
        self._saver = saver
        self._search = Search(reader, world.time)
        self._done = done
        self._ended = ended
        self._time = world.time
        self._tasks = world.tasks
        self._counters = world.counters
        self._log = world.log
        self._group_queues: dict[tuple[int, int], _GroupQueue] = {}
        self._ready: deque[_GroupQueue] = deque()
        """Groups that have something to ask and do not ask yet."""
        self._active = 0
        self._weight = 0
        self._going_on = False
        self._backoff = FIRST_BACKOFF
        self._resting: Cancellable | None = None
        self._stopped: Callable[[], None] | None = None

    def __len__(self) -> int:
        """How many batches are not done."""
        return sum(len(group_queue.batches) for group_queue in self._group_queues.values())

    def add(self, batch: Batch) -> None:
        """Ask for this when its turn comes."""
        key = (batch.message.appid, batch.message.group_id)
        group_queue = self._group_queues.get(key)
        if group_queue is None:
            group_queue = self._group_queues[key] = _GroupQueue(key)
            self._ready.append(group_queue)
        group_queue.batches.append(batch)
        self._go_on()

    def stop(self, stopped: Callable[[], None]) -> None:
        """Ask for nothing more; call `stopped` when what was asked for is answered."""
        self._stopped = stopped
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        self._go_on()

    def _go_on(self) -> None:
        if self._stopped is not None:
            if not self._active:
                stopped, self._stopped = self._stopped, lambda: None
                stopped()
            return
        if self._going_on:
            return  # a look that was over at once: the loop below goes on by itself
        self._going_on = True
        try:
            while self._ready and self._weight < QUEUES_AT_ONCE and self._resting is None:
                group_queue = self._ready.popleft()
                self._active += 1
                if group_queue.batches[0].maybe_stored:
                    self._weigh(group_queue, QUEUES_PER_ASK)
                    self._tasks.start(self._look(group_queue))
                else:
                    self._ask(group_queue)
        finally:
            self._going_on = False

    def _ask(self, group_queue: _GroupQueue) -> None:
        """Ask for as much as goes into one ask; all of it comes to the same end."""
        together: list[Batch] = []
        weight = 0
        for batch in group_queue.batches:
            if together and (batch.maybe_stored or weight + batch.weight > QUEUES_PER_ASK):
                break
            together.append(batch)
            weight += batch.weight
        group_queue.open = len(together)
        self._weigh(group_queue, weight)
        for batch in together:
            message = batch.message
            queues = [User(message.appid, uid) for uid in batch.uids]
            asked = _AskedBatch(self, group_queue, batch, queues)
            self._saver.save(message.cmd, message.body, message.device, queues, asked)

    def _weigh(self, group_queue: _GroupQueue, weight: int) -> None:
        self._weight += weight - group_queue.weight
        group_queue.weight = weight

    def stored(
        self,
        group_queue: _GroupQueue,
        batch: Batch,
        queues: Sequence[User],
        status: int,
        entries: Entries,
    ) -> None:
        """Take storage's answer for the queues of a batch."""
        try:
            if status == AckStatus.TOO_LARGE:
                # It would be refused for ever, and hold up all that comes behind it.
                self._give_up(group_queue, batch, status)
            elif status:
                batch.maybe_stored = group_queue.failed = True
                self._say(f"status {status}")
            else:
                self._succeeded(group_queue, batch, queues, entries)
        finally:
            group_queue.open -= 1
            if not group_queue.open:
                self._answered(group_queue)

    def _give_up(self, group_queue: _GroupQueue, batch: Batch, status: int) -> None:
        self._log.error("a message of group {id} cannot be stored", id=batch.message.group_id)
        self._counters.add("pending_given_up")
        self._finish(group_queue, batch, status)

    def _succeeded(
        self, group_queue: _GroupQueue, batch: Batch, queues: Sequence[User], entries: Entries
    ) -> None:
        # Should telling fail (a bug), the message is in the queues all the same.
        try:
            self._done(batch, queues, entries)
        finally:
            self._finish(group_queue, batch)

    def _finish(self, group_queue: _GroupQueue, batch: Batch, status: int = 0) -> None:
        # Nearly always the first: an ask is done as a whole, and its batches in order.
        group_queue.batches.remove(batch)
        self._ended(batch, status)

    def _answered(self, group_queue: _GroupQueue) -> None:
        self._active -= 1
        self._weigh(group_queue, 0)
        if group_queue.failed:
            group_queue.failed = False
            # Behind the others: what ails it may be of its own.
            self._ready.append(group_queue)
            self._take_a_rest()
        else:
            self._backoff = FIRST_BACKOFF
            if group_queue.batches:
                self._ready.append(group_queue)
            else:
                del self._group_queues[group_queue.key]
        self._go_on()

    def _say(self, why: str) -> None:
        if self._backoff == FIRST_BACKOFF and self._resting is None:
            self._log.warn("messages of groups wait for a storage: {why}", why=why)

    def _take_a_rest(self) -> None:
        self._counters.add("pending_asks_failed")
        if self._resting is None and self._stopped is None:
            self._resting = self._time.callLater(self._backoff, self._rested)
            self._backoff = min(self._backoff * 2, LAST_BACKOFF)

    def _rested(self) -> None:
        self._resting = None
        self._go_on()

    # --- batches that may be stored

    async def _look(self, group_queue: _GroupQueue) -> None:
        """Ask only for those queues of the first batch that do not have it."""
        batch = group_queue.batches[0]
        try:
            found = await self._search.queues_with(batch, lambda: self._stopped is not None)
        except Exception as why:
            group_queue.failed = True
            self._say(str(why))
            self._answered(group_queue)
            if isinstance(why, StorageError):
                return
            raise
        batch.maybe_stored = False
        missing = [uid for uid in batch.uids if uid not in found]
        try:
            if found:
                self._tell_found(batch, found)
        finally:
            batch.uids = missing
            if not missing:
                self._finish(group_queue, batch)
            if missing and self._stopped is None:
                self._ask(group_queue)
            else:
                self._answered(group_queue)

    def _tell_found(self, batch: Batch, found: Mapping[int, int]) -> None:
        self._counters.add("pending_found", len(found))
        queues = [User(batch.message.appid, uid) for uid in found]
        self._done(batch, queues, [(msgid, 0) for msgid in found.values()])


class _AskedBatch:
    """A batch that storage was asked for; a `gobelieve.interfaces.MessageInFlight`."""

    __slots__ = ("_batch", "_group_queue", "_member_queues", "_queues")

    def __init__(
        self,
        member_queues: MemberQueues,
        group_queue: _GroupQueue,
        batch: Batch,
        queues: Sequence[User],
    ) -> None:
        self._member_queues = member_queues
        self._group_queue = group_queue
        self._batch = batch
        self._queues = queues

    def stored(self, status: int, entries: Entries) -> None:
        """See `gobelieve.interfaces.MessageInFlight`."""
        self._member_queues.stored(self._group_queue, self._batch, self._queues, status, entries)

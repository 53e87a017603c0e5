"""Writes group messages into members' queues: in order per group, retried until stored, never
twice.

The work comes in *batches*: a message and some queues of one storage. Storage is asked to save the
batches of a group in order; groups do not wait for each other. After a failure there is a pause,
then the same batches are saved again.

A save that failed, or that a gateway sent before it crashed, may have been done all the same. Such
a batch is *maybe stored*: the queues are searched before it is saved again.
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
from gobelieve.support.backoff import Backoff

QUEUES_PER_ASK = 1000
"""The weight of one save (see `Batch.weight`): some 5 ms of a storage's time. Storage does it as a
whole or not at all."""
QUEUES_AT_ONCE = 16 * QUEUES_PER_ASK
"""The weight of all saves under way: a few large groups, or hundreds of small ones. With less, the
time that storage takes to answer would limit the messages per second."""
FIRST_BACKOFF, LAST_BACKOFF = 1.0, 10.0
"""Seconds of the pause after a failure; it doubles with each further failure."""

Done = Callable[[Batch, Sequence[User], Entries], None]
"""Called with queues of a batch that have the message now: all or some."""


class _GroupQueue:
    """The batches of one group."""

    __slots__ = ("batches", "failed", "key", "open", "weight")

    def __init__(self, key: tuple[int, int]) -> None:
        self.key = key
        self.batches: deque[Batch] = deque()
        self.open = 0
        """The number of saves that are not answered."""
        self.weight = 0
        """The weight of these saves; during a search, that of a full save."""
        self.failed = False


class MemberQueues:
    """The batches for one storage.

    `done(batch, queues, entries)` is called when queues have the message. `ended(batch, status)` is
    called when the batch is finished: with 0, or with the `AckStatus` for which it is given up.
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
        """Groups with batches and without a save under way."""
        self._active = 0
        self._weight = 0
        self._saving_ready = False
        self._backoff = Backoff(FIRST_BACKOFF, LAST_BACKOFF)
        self._retry: Cancellable | None = None
        self._stopped: Callable[[], None] | None = None

    def __len__(self) -> int:
        """Return the number of batches that are not finished."""
        return sum(len(group_queue.batches) for group_queue in self._group_queues.values())

    def add(self, batch: Batch) -> None:
        """Save a batch when its turn comes."""
        key = (batch.message.appid, batch.message.group_id)
        group_queue = self._group_queues.get(key)
        if group_queue is None:
            group_queue = self._group_queues[key] = _GroupQueue(key)
            self._ready.append(group_queue)
        group_queue.batches.append(batch)
        self._save_ready()

    def stop(self, stopped: Callable[[], None]) -> None:
        """Send no more saves; call `stopped` when storage has answered those under way."""
        self._stopped = stopped
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._save_ready()

    def _save_ready(self) -> None:
        if self._stopped is not None:
            if not self._active:
                stopped, self._stopped = self._stopped, lambda: None
                stopped()
            return
        if self._saving_ready:
            return  # a search that ended at once: the loop below goes on by itself
        self._saving_ready = True
        try:
            while self._ready and self._weight < QUEUES_AT_ONCE and self._retry is None:
                group_queue = self._ready.popleft()
                self._active += 1
                if group_queue.batches[0].maybe_stored:
                    self._weigh(group_queue, QUEUES_PER_ASK)
                    self._tasks.start(self._save_missing(group_queue))
                else:
                    self._save(group_queue)
        finally:
            self._saving_ready = False

    def _save(self, group_queue: _GroupQueue) -> None:
        """Save as many batches as fit into one save; all of them succeed or fail together."""
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
                # Storage would refuse it for ever, and it would hold up all batches behind it.
                self._give_up(group_queue, batch, status)
            elif status:
                batch.maybe_stored = group_queue.failed = True
                self._warn(f"status {status}")
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
        # If the delivery fails (a bug), the message is in the queues all the same.
        try:
            self._done(batch, queues, entries)
        finally:
            self._finish(group_queue, batch)

    def _finish(self, group_queue: _GroupQueue, batch: Batch, status: int = 0) -> None:
        # Nearly always the first one: a save is done as a whole, and its batches in order.
        group_queue.batches.remove(batch)
        self._ended(batch, status)

    def _answered(self, group_queue: _GroupQueue) -> None:
        self._active -= 1
        self._weigh(group_queue, 0)
        if group_queue.failed:
            group_queue.failed = False
            # Behind the others: the cause may lie in this group alone.
            self._ready.append(group_queue)
            self._pause()
        else:
            self._backoff.reset()
            if group_queue.batches:
                self._ready.append(group_queue)
            else:
                del self._group_queues[group_queue.key]
        self._save_ready()

    def _warn(self, why: str) -> None:
        if not self._backoff.failures and self._retry is None:
            self._log.warn("messages of groups wait for a storage: {why}", why=why)

    def _pause(self) -> None:
        self._counters.add("pending_asks_failed")
        if self._retry is None and self._stopped is None:
            self._retry = self._time.callLater(self._backoff.next(), self._pause_ended)

    def _pause_ended(self) -> None:
        self._retry = None
        self._save_ready()

    # --- batches that may be stored

    async def _save_missing(self, group_queue: _GroupQueue) -> None:
        """Search the queues of the first batch, and save it for those that do not have it."""
        batch = group_queue.batches[0]
        try:
            found = await self._search.queues_with(batch, lambda: self._stopped is not None)
        except Exception as why:
            group_queue.failed = True
            self._warn(str(why))
            self._answered(group_queue)
            if isinstance(why, StorageError):
                return
            raise
        batch.maybe_stored = False
        missing = [uid for uid in batch.uids if uid not in found]
        try:
            if found:
                self._report_found(batch, found)
        finally:
            batch.uids = missing
            if not missing:
                self._finish(group_queue, batch)
            if missing and self._stopped is None:
                self._save(group_queue)
            else:
                self._answered(group_queue)

    def _report_found(self, batch: Batch, found: Mapping[int, int]) -> None:
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
        """Pass the answer on; see `gobelieve.interfaces.MessageInFlight`."""
        self._member_queues.stored(self._group_queue, self._batch, self._queues, status, entries)

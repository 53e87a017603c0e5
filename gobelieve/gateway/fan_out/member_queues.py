"""Entering messages in many queues of one storage: in order, without an end, none twice.

What is to be done comes in *parts*: a message and some queues. The parts of one group are asked for
in order; groups do not wait for each other. A storage that failed rests a while, then is asked
again from where it stopped.

An ask that failed, or that a gateway made before it crashed, may have been done nevertheless. Such
a part is *doubtful*: before it is asked for again, the queues themselves are looked into.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from gobelieve.errors import StorageError
from gobelieve.gateway.fan_out.batch import Part, Search
from gobelieve.interfaces import (
    Cancellable,
    Entries,
    Log,
    MessageReader,
    MessageSaver,
    Tasks,
    Time,
)
from gobelieve.metrics import Tally
from gobelieve.names import AckStatus, User

QUEUES_AN_ASK = 1000
"""Some 5 ms of a storage's time, and one frame, which storage does as a whole or not at all. (See
`Part.weight`.)"""
QUEUES_AT_ONCE = 16 * QUEUES_AN_ASK
"""A few large groups, or hundreds of small ones: else how long storage takes to answer would limit
how many of them are served in a second."""
FIRST_REST, LAST_REST = 1.0, 10.0
"""Seconds that a storage is left alone after a failure; doubled each time in between."""

Done = Callable[[Part, Sequence[User], Entries], None]
"""Told of queues that have it now: all of a part, or some."""


class _Lane:
    """The parts of one group."""

    __slots__ = ("failed", "key", "open", "parts", "weight")

    def __init__(self, key: tuple[int, int]) -> None:
        self.key = key
        self.parts: deque[Part] = deque()
        self.open = 0
        """Asks that are not answered."""
        self.weight = 0
        """Of these; while it looks, that of a full ask."""
        self.failed = False


class Lanes:
    """The parts for one storage.

    `done(part, queues, entries)` is called when queues have the message; `ended(part, status)` when
    nothing is left to do for the part: with 0, or with the `AckStatus` for which it is given up.
    """

    def __init__(
        self,
        saver: MessageSaver,
        reader: MessageReader,
        done: Done,
        ended: Callable[[Part, int], None],
        *,
        time: Time,
        tasks: Tasks,
        tally: Tally,
        log: Log,
    ) -> None:
        self._saver = saver
        self._search = Search(reader, time)
        self._done = done
        self._ended = ended
        self._time = time
        self._tasks = tasks
        self._tally = tally
        self._log = log
        self._lanes: dict[tuple[int, int], _Lane] = {}
        self._ready: deque[_Lane] = deque()
        """Lanes that have something to ask and do not ask yet."""
        self._active = 0
        self._weight = 0
        self._going_on = False
        self._rest = FIRST_REST
        self._resting: Cancellable | None = None
        self._stopped: Callable[[], None] | None = None

    def __len__(self) -> int:
        """How many parts are not done."""
        return sum(len(lane.parts) for lane in self._lanes.values())

    def add(self, part: Part) -> None:
        """Ask for this when its turn comes."""
        key = (part.message.appid, part.message.group_id)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(key)
            self._ready.append(lane)
        lane.parts.append(part)
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
                lane = self._ready.popleft()
                self._active += 1
                if lane.parts[0].doubtful:
                    self._weigh(lane, QUEUES_AN_ASK)
                    self._tasks.start(self._look(lane))
                else:
                    self._ask(lane)
        finally:
            self._going_on = False

    def _ask(self, lane: _Lane) -> None:
        """Ask for as much as goes into one ask; all of it comes to the same end."""
        batch: list[Part] = []
        weight = 0
        for part in lane.parts:
            if batch and (part.doubtful or weight + part.weight > QUEUES_AN_ASK):
                break
            batch.append(part)
            weight += part.weight
        lane.open = len(batch)
        self._weigh(lane, weight)
        for part in batch:
            message = part.message
            queues = [User(message.appid, uid) for uid in part.uids]
            asked = (lane, part, queues)
            self._saver.save(message.cmd, message.body, message.device, queues, self._saved, asked)

    def _weigh(self, lane: _Lane, weight: int) -> None:
        self._weight += weight - lane.weight
        lane.weight = weight

    def _saved(
        self, asked: tuple[_Lane, Part, Sequence[User]], status: int, entries: Entries
    ) -> None:
        lane, part, queues = asked
        try:
            if status == AckStatus.TOO_LARGE:
                # It would be refused for ever, and hold up all that comes behind it.
                self._give_up(lane, part, status)
            elif status:
                part.doubtful = lane.failed = True
                self._say(f"status {status}")
            else:
                self._stored(lane, part, queues, entries)
        finally:
            lane.open -= 1
            if not lane.open:
                self._answered(lane)

    def _give_up(self, lane: _Lane, part: Part, status: int) -> None:
        self._log.error("a message of group {id} cannot be stored", id=part.message.group_id)
        self._tally.add("pending_given_up")
        self._finish(lane, part, status)

    def _stored(self, lane: _Lane, part: Part, queues: Sequence[User], entries: Entries) -> None:
        # Should telling fail (a bug), the message is in the queues all the same.
        try:
            self._done(part, queues, entries)
        finally:
            self._finish(lane, part)

    def _finish(self, lane: _Lane, part: Part, status: int = 0) -> None:
        # Nearly always the first: an ask is done as a whole, and its parts in order.
        lane.parts.remove(part)
        self._ended(part, status)

    def _answered(self, lane: _Lane) -> None:
        self._active -= 1
        self._weigh(lane, 0)
        if lane.failed:
            lane.failed = False
            # Behind the others: what ails it may be of its own.
            self._ready.append(lane)
            self._take_a_rest()
        else:
            self._rest = FIRST_REST
            if lane.parts:
                self._ready.append(lane)
            else:
                del self._lanes[lane.key]
        self._go_on()

    def _say(self, why: str) -> None:
        if self._rest == FIRST_REST and self._resting is None:
            self._log.warn("messages of groups wait for a storage: {why}", why=why)

    def _take_a_rest(self) -> None:
        self._tally.add("pending_asks_failed")
        if self._resting is None and self._stopped is None:
            self._resting = self._time.callLater(self._rest, self._rested)
            self._rest = min(self._rest * 2, LAST_REST)

    def _rested(self) -> None:
        self._resting = None
        self._go_on()

    # --- doubtful parts

    async def _look(self, lane: _Lane) -> None:
        """Ask only for those queues of the first part that do not have it."""
        part = lane.parts[0]
        try:
            found = await self._search.queues_with(part, lambda: self._stopped is not None)
        except Exception as why:
            lane.failed = True
            self._say(str(why))
            self._answered(lane)
            if isinstance(why, StorageError):
                return
            raise
        part.doubtful = False
        missing = [uid for uid in part.uids if uid not in found]
        try:
            if found:
                self._tell_found(part, found)
        finally:
            part.uids = missing
            if not missing:
                self._finish(lane, part)
            if missing and self._stopped is None:
                self._ask(lane)
            else:
                self._answered(lane)

    def _tell_found(self, part: Part, found: Mapping[int, int]) -> None:
        self._tally.add("pending_found", len(found))
        queues = [User(part.message.appid, uid) for uid in found]
        self._done(part, queues, [(msgid, 0) for msgid in found.values()])

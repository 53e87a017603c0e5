"""Group commit: all saves of one turn share a write, and all written saves share a sync.

1. `save` appends at once, which gives the ids, and keeps the `done` to call.
2. At the end of the turn all saves are written with one call.
3. A thread syncs them. There is one sync at a time. Saves that are written meanwhile wait for the
   next one.
4. The saves that the sync covered are answered, in the order in which they came.

If the write fails, the saves of that turn are taken back and answered with the error. Earlier saves
are not affected. If the sync fails, it is unknown what the disk has. So everything since the last
good sync is taken back and answered with the error.

Other policies answer earlier: see `Policy`.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from gobelieve.errors import StorageError
from gobelieve.interfaces import Cancellable, InThread, World
from gobelieve.names import AckStatus
from gobelieve.storage.files.files import failure_of
from gobelieve.storage.queues.counters import StorageCounters
from gobelieve.storage.queues.piece import Piece
from gobelieve.storage.queues.store import Store
from gobelieve.support.throttled_log import ThrottledLog
from gobelieve.wire.storage import SUPER_GROUPS, SaveItem

Result = tuple[int, int, tuple[int, ...]]
"""The result of one item: 0 or an `AckStatus`, the id, and the previous id of each queue."""
Done = Callable[[Any, list[Result]], None]
MAX_UNSYNCED_BLOCKS = 2
"""With so many new blocks a sync begins under any policy, since unsynced blocks stay open."""
_Waiting = list[tuple[Done, Any, list[Result]]]


class Policy(Enum):
    """The moment at which a save is answered."""

    COMMIT = "commit"
    """When the save is on disk."""
    INTERVAL = "interval"
    """When the save is written. It is synced within `interval` seconds, as in the Go server."""
    NEVER = "never"
    """When the save is written. Storage syncs only after every `MAX_UNSYNCED_BLOCKS` new blocks."""


class _Trouble(Enum):
    """The step that fails at present."""

    WRITE = "write"
    SYNC = "sync"


class GroupCommit:
    """Brings saves to the disk, and answers them."""

    def __init__(
        self,
        store: Store,
        *,
        world: World,
        in_thread: InThread,
        policy: Policy = Policy.COMMIT,
        interval: float = 1.0,
        counters: StorageCounters | None = None,
    ) -> None:
        self._store = store
        self._in_thread = in_thread
        self._turn = world.turn
        self._time = world.time
        self._log = ThrottledLog(world.log)
        self._policy = policy
        self._interval = interval
        self._counters = counters or StorageCounters()
        # The saves that wait for the write, for the next sync, and for the sync that is running.
        self._appended: _Waiting = []
        self._written: _Waiting = []
        self._syncing: _Waiting = []
        # The number of accepted messages in each of the three.
        self._accepted = 0
        self._to_sync = 0
        self._in_sync = 0
        self._sync_began = 0.0
        self._sync_runs = False
        self._unsynced = False
        self._timer: Cancellable | None = None
        self._troubles: set[_Trouble] = set()
        self.trouble = ""
        """Why messages cannot be stored at present; "" if nothing is known to prevent it."""
        self._failed_meanwhile = False
        self._closing: list[Callable[[], None]] | None = None

    def save(self, items: Sequence[SaveItem], done: Done, argument: Any) -> None:
        """Store items. Later, `done(argument, results)` is called once: one result per item."""
        append = self._store.append
        results: list[Result] = []
        for item in items:
            if self._closing is not None:
                results.append(self._refused(AckStatus.STORAGE_AWAY))
                continue
            try:
                results.append((0, *append(item)))
                if item.kind == SUPER_GROUPS:
                    self._counters.group_appends += 1
            except StorageError as why:
                results.append(self._refused(why.status))
        self._accepted += len(results)
        self._wait(done, argument, results)

    def _refused(self, status: int) -> Result:
        self._accepted -= 1
        self._counters.not_stored[status] += 1
        return status, 0, ()

    def copy(self, piece: Piece, done: Done, argument: Any) -> None:
        """Store a piece of a master's files. Later, `done(argument, [result])` is called once."""
        status: int = AckStatus.STORAGE_AWAY
        if self._closing is None:
            status = 0
            self._store.copy(*piece)
            self._counters.pieces += 1
        self._wait(done, argument, [(status, 0, ())])

    def _wait(self, done: Done, argument: Any, results: list[Result]) -> None:
        if not self._appended:
            self._turn.at_end(self._flush)
        self._appended.append((done, argument, results))

    def close(self, done: Callable[[], None]) -> None:
        """Call `done` once all earlier saves are on disk and answered.

        Later saves are answered with STORAGE_AWAY.
        """
        if self._closing is None:
            self._closing = []
        self._closing.append(done)
        self._turn.at_end(self._finish)

    # --- write

    def _flush(self) -> None:
        waiting, self._appended = self._appended, []
        accepted, self._accepted = self._accepted, 0
        self._counters.appends += accepted
        if not self._store.unwritten:
            self._answer_unwritten(waiting)
            return
        try:
            self._store.flush()
        except StorageError as why:
            self._counters.writes_failed += 1
            self._counters.not_stored[why.status] += accepted
            self._report(_Trouble.WRITE, why)
            _fail(waiting, why.status)
            return
        self._unsynced = True
        self._to_sync += accepted
        if self._policy is Policy.COMMIT:
            self._written += waiting
            if not self._sync_runs:
                self._sync()
            return
        self._counters.stored += accepted
        self._recovered(_Trouble.WRITE)
        self._store.show_written()
        self._arm()
        if self._store.unsynced_blocks >= MAX_UNSYNCED_BLOCKS and not self._sync_runs:
            self._sync()
        _answer(waiting)

    def _answer_unwritten(self, waiting: _Waiting) -> None:
        """Answer saves of which nothing is written, after all earlier saves.

        They were refused, taken back, or had no items.
        """
        if not self._sync_runs or self._policy is not Policy.COMMIT:
            _answer(waiting)
        else:
            (self._written if self._unsynced else self._syncing).extend(waiting)

    # --- sync

    def _arm(self) -> None:
        if self._policy is Policy.INTERVAL and self._timer is None:
            self._timer = self._time.callLater(self._interval, self._elapsed)

    def _elapsed(self) -> None:
        self._timer = None
        if self._sync_runs:
            self._arm()
        elif self._unsynced:
            self._sync()

    def _sync(self) -> None:
        self._sync_runs, self._unsynced, self._failed_meanwhile = True, False, False
        self._syncing, self._written = self._written, []
        self._in_sync, self._to_sync = self._to_sync, 0
        self._sync_began = self._time.seconds()
        self._in_thread(self._store.begin_sync(), self._synced)

    def _synced(self, failure: BaseException | None) -> None:
        self._sync_runs = False
        waiting, self._syncing = self._syncing, []
        try:
            if failure is not None:
                self._sync_failed(failure, waiting)
                return
            self._store.synced()
            self._count_sync()
            if self._policy is not Policy.COMMIT:
                self._recovered(_Trouble.SYNC)
            elif not self._failed_meanwhile:
                self._recovered(_Trouble.WRITE, _Trouble.SYNC)
            # The next sync begins first, so that the disk works while saves are answered.
            if self._written:
                self._sync()
            _answer(waiting)
        finally:
            self._finish()

    def _count_sync(self) -> None:
        counters = self._counters
        # The clock may have been set back.
        counters.sync_seconds.observe(max(0.0, self._time.seconds() - self._sync_began))
        if self._in_sync:
            counters.group_sizes.observe(self._in_sync)
        if self._policy is Policy.COMMIT:
            counters.stored += self._in_sync

    def _sync_failed(self, failure: BaseException, waiting: _Waiting) -> None:
        status: int = AckStatus.STORAGE_FAILED
        reason = str(failure)
        if isinstance(failure, OSError):
            status, reason = failure_of(failure).status, failure.strerror or reason
        self._counters.syncs_failed += 1
        self._report(_Trouble.SYNC, StorageError(status, reason))
        if self._policy is not Policy.COMMIT:
            # These saves were answered and can be read, so they are not taken back.
            return
        self._store.take_back()
        self._counters.appends += self._accepted
        self._counters.not_stored[status] += self._in_sync + self._to_sync + self._accepted
        self._to_sync = self._accepted = 0
        waiting += self._written
        self._written, self._unsynced = [], False
        # The saves of this turn are answered at its end, together with later saves of the turn.
        self._appended = [(d, a, _failed(r, status)) for d, a, r in self._appended]
        _fail(waiting, status)

    # --- the end, and failures

    def _finish(self) -> None:
        if self._closing is None or self._sync_runs:
            return
        if self._appended:
            self._turn.at_end(self._finish)
        elif self._unsynced:
            self._sync()
        else:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            waiting, self._closing = self._closing, []
            for done in waiting:
                done()

    def _report(self, what: _Trouble, why: StorageError) -> None:
        self._failed_meanwhile = True
        self._log.error("stored", "messages cannot be stored: {why}", why=str(why))
        self.trouble = f"messages cannot be stored: {why}"
        self._troubles.add(what)

    def _recovered(self, *what: _Trouble) -> None:
        if self._troubles:
            self._troubles.difference_update(what)
            if not self._troubles:
                self.trouble = ""
                self._log.recovered("stored", "messages are stored again")


def _answer(waiting: _Waiting) -> None:
    failure: Exception | None = None
    for done, argument, results in waiting:
        try:
            done(argument, results)
        except Exception as why:
            # A bug, which the event loop logs. The other saves are answered all the same.
            failure = failure or why
    if failure is not None:
        raise failure


def _fail(waiting: _Waiting, status: int) -> None:
    _answer([(done, argument, _failed(results, status)) for done, argument, results in waiting])


def _failed(results: list[Result], status: int) -> list[Result]:
    return [result if result[0] else (status, 0, ()) for result in results]

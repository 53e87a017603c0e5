"""When a snapshot of the index is taken: now and then while saves go on, and at a clean end.

1. Before a sync `mark` notes the position up to which it will make all durable.
2. When the sync is done `begin` starts a thread that writes the heads, one piece at a time. Saves
   go on. Of each head that they change the first value that it had since is kept: `changed`.
3. The thread adds those as corrections, syncs, and renames. So the file states the position that
   was marked, whatever the thread saw.

A snapshot that fails is tried again after as many bytes more; the one before stays right.
"""

import os
from collections.abc import Callable
from contextlib import suppress

from gobelieve.errors import StorageError
from gobelieve.interfaces import InThread, World
from gobelieve.storage.files.blocks import Blocks, Position
from gobelieve.storage.files.files import Files
from gobelieve.storage.format.layout import SNAPSHOT
from gobelieve.storage.index.heads import Index
from gobelieve.storage.index.snapshot_file import Heads, Moment, Writer, check_of

Marked = tuple[Position, int, dict[int, int]]
"""A position, and how many queues and which bridges there were."""


class SnapshotCounters:
    """The snapshots of the index since the start, and the last one."""

    __slots__ = ("at", "failed", "seconds", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.failed = 0
        self.at = 0.0
        """When the one on disk was written, seconds since the epoch; 0: there is none."""
        self.seconds = 0.0
        """How long the last one that was taken took."""


class Snapshots:
    """The snapshots of one directory, one at a time.

    `every` so many bytes that are appended there is one. `unwritten` gives the heads, as they were
    before, of the queues that a save has changed and that `changed` was not told of. `bridges`
    are those there are, see `recovery`.
    """

    def __init__(
        self,
        blocks: Blocks,
        index: Index,
        *,
        world: World,
        files: Files,
        in_thread: InThread | None,
        every: int,
        unwritten: Callable[[], Heads],
        bridges: Callable[[], dict[int, int]],
    ) -> None:
        self.counters = SnapshotCounters()
        self._time = world.time
        self._began = 0.0
        self._blocks = blocks
        self._index = index
        self._log = world.log
        self._files = files
        self._in_thread = in_thread
        self._every = every
        self._unwritten = unwritten
        self._bridges = bridges
        # From here bytes are counted until the next one; and what the file on disk states.
        self._last: Position = (0, 0)
        self._stated: Position | None = None
        # Up to this id the start has believed a snapshot, instead of reading.
        self._believed = 0
        self._distrusted = False
        self._marked: Marked | None = None
        self._since: Heads | None = None
        self._runs = False
        self._then: list[Callable[[], None]] = []

    def started(self, position: Position) -> None:
        """The index is complete; up to this position a snapshot was believed."""
        self._believed = self._id(position)
        first: Position = (self._blocks.numbers[0], 0)
        self._last, self._stated = (position, position) if self._believed else (first, None)
        if self._believed:
            with suppress(OSError):
                self.counters.at = os.stat(f"{self._blocks.root}/{SNAPSHOT}").st_mtime

    @property
    def stated(self) -> int | None:
        """The id that the snapshot on disk reaches; None: there is none."""
        return None if self._stated is None else self._id(self._stated)

    def _id(self, position: Position) -> int:
        return position[0] * self._blocks.size + position[1]

    # --- while saves go on

    def mark(self, position: Position, queues: int) -> None:
        """All before this position is written, and about to be made durable."""
        self._mark(position, queues, self._every)

    def _mark(self, position: Position, queues: int, every: int) -> None:
        if self._runs or self._in_thread is None or self._distrusted:
            return
        self._marked = self._since = None
        end = self._id(position)
        if not every or end - self._id(self._last) >= every:
            bridges = {id_: before for id_, before in self._bridges().items() if id_ < end}
            self._marked, self._since = (position, queues, bridges), {}

    def forget(self) -> None:
        """What was marked did not become durable."""
        if not self._runs:
            self._marked = self._since = None

    def changed(self, heads: Heads) -> None:
        """Saves have changed these heads, which were so before."""
        if self._since is not None:
            for place, head in heads.items():
                self._since.setdefault(place, head)

    def begin(self) -> None:
        """What was marked is durable: take the snapshot that is due, if one is."""
        if self._runs or self._marked is None:
            return
        assert self._in_thread is not None
        (position, queues, bridges), self._marked = self._marked, None
        blocks = self._blocks
        self._began = self._time.seconds()
        # Bytes are counted from here whether it succeeds or not.
        self._last = position
        try:
            check = check_of(blocks, position)
        except (OSError, StorageError) as why:
            self._since = None
            self._failed(why)
            return
        self._runs = True
        numbers = [number for number in blocks.numbers if number <= position[0]]
        moment = Moment(position, queues, numbers[0], len(numbers), check, bridges)
        writer = Writer(blocks.root, blocks.size, self._files, self._index, moment)
        self._in_thread(writer.copy, lambda failure: self._copied(writer, failure))

    def _copied(self, writer: Writer, failure: BaseException | None) -> None:
        assert self._in_thread is not None
        self.changed(self._unwritten())
        corrections, self._since = self._since or {}, None

        def work() -> None:
            try:
                if failure is not None:
                    raise failure
                writer.finish(corrections)
            except BaseException:
                with suppress(OSError):
                    writer.abandon()
                raise

        self._in_thread(work, self._ended)

    def _ended(self, failure: BaseException | None) -> None:
        self._runs = False
        if failure is not None:
            # The one before is still there.
            self._failed(failure)
        else:
            self._stated = self._last
            self.counters.taken += 1
            self.counters.at = self._time.seconds()
            self.counters.seconds = max(0.0, self.counters.at - self._began)
        if self._distrusted:
            self._remove()
        self._go_on()

    def _go_on(self) -> None:
        """Do what waits for the thread, unless that works."""
        if not self._runs:
            then, self._then = self._then, []
            for call in then:
                call()

    def _failed(self, why: BaseException) -> None:
        self.counters.failed += 1
        reason = getattr(why, "strerror", None) or str(why)
        what = "{root}: the snapshot of the index cannot be written: {why}"
        self._log.error(what, root=self._blocks.root, why=reason)

    # --- the end, and damage

    def close(self, position: Position | None, queues: int, done: Callable[[], None]) -> None:
        """Take a last snapshot, of a position that is durable; then call `done`.

        None: the end is not durable, so there is none. `done` is called when no thread works.
        """
        if self._runs:
            self._then.append(lambda: self.close(position, queues, done))
            return
        self._then.append(done)
        if position is not None and position != self._stated:
            self._mark(position, queues, 0)
            self.begin()
        self._go_on()

    def distrust(self, id_: int) -> None:
        """The entry with this id is damaged.

        If the start did not read it, the next one is to read everything: it will bridge the entry.
        """
        if id_ < self._believed and not self._distrusted:
            self._distrusted = True
            self._remove()
            what = "{root}: the next start will read all blocks, to step over the damage"
            self._log.warn(what, root=self._blocks.root)

    def _remove(self) -> None:
        self._stated, self.counters.at = None, 0.0
        with suppress(OSError):
            self._files.unlink(f"{self._blocks.root}/{SNAPSHOT}")

"""When a snapshot of the index is written: now and then while saves go on, and at a clean end.

1. Before a sync, `mark` notes the position up to which the sync makes everything durable.
2. When the sync is done, `begin` starts a thread that writes the heads, one piece at a time. Saves
   go on. `changed` keeps the old value of each head that they change.
3. The thread adds the old values as corrections, syncs the file and renames it. So the file has
   the heads of the marked position, whatever the thread saw.

A snapshot that fails is tried again after as many bytes more. The previous one stays right.
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
from gobelieve.storage.index.snapshot_file import Heads, SnapshotFacts, SnapshotWriter, check_of

Marked = tuple[Position, int, dict[int, int]]
"""A position, and the number of queues and the bridges at that position."""


class SnapshotCounters:
    """Figures about the snapshots since the start, and about the last one."""

    __slots__ = ("at", "failed", "seconds", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.failed = 0
        self.at = 0.0
        """The time of the snapshot on disk, in seconds since 1970; 0 if there is none."""
        self.seconds = 0.0
        """The duration of the last snapshot in seconds."""


class Snapshots:
    """Writes the snapshots of one directory, one at a time.

    A snapshot is written after `every` appended bytes; without `in_thread` none is written.
    `unwritten` returns the old heads of the queues that a save has changed without a call of
    `changed`. `bridges` returns the present bridges, see `recovery`.
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
        # The bytes until the next snapshot are counted from `_last`. `_on_disk` is the position of
        # the file.
        self._last: Position = (0, 0)
        self._on_disk: Position | None = None
        # Up to this id the start took a snapshot instead of reading the blocks.
        self._trusted_to = 0
        self._is_distrusted = False
        self._marked: Marked | None = None
        self._overwritten: Heads | None = None
        self._is_writing = False
        self._waiting: list[Callable[[], None]] = []

    def started(self, position: Position) -> None:
        """Note that the index is complete, and that a snapshot had it up to this position."""
        self._trusted_to = self._id(position)
        first: Position = (self._blocks.numbers[0], 0)
        self._last, self._on_disk = (position, position) if self._trusted_to else (first, None)
        if self._trusted_to:
            with suppress(OSError):
                self.counters.at = os.stat(f"{self._blocks.root}/{SNAPSHOT}").st_mtime

    @property
    def stated(self) -> int | None:
        """Return the id that the snapshot on disk reaches; None if there is none."""
        return None if self._on_disk is None else self._id(self._on_disk)

    def _id(self, position: Position) -> int:
        return position[0] * self._blocks.size + position[1]

    # --- while saves go on

    def mark(self, position: Position, queues: int) -> None:
        """Note that everything before this position is written, and that a sync of it begins."""
        self._mark(position, queues, self._every)

    def _mark(self, position: Position, queues: int, every: int) -> None:
        if self._is_writing or self._in_thread is None or self._is_distrusted:
            return
        self._marked = self._overwritten = None
        end = self._id(position)
        if not every or end - self._id(self._last) >= every:
            bridges = {id_: before for id_, before in self._bridges().items() if id_ < end}
            self._marked, self._overwritten = (position, queues, bridges), {}

    def forget(self) -> None:
        """Drop the mark, since the sync failed."""
        if not self._is_writing:
            self._marked = self._overwritten = None

    def changed(self, heads: Heads) -> None:
        """Keep the old values of heads that saves have changed."""
        if self._overwritten is not None:
            for place, head in heads.items():
                self._overwritten.setdefault(place, head)

    def begin(self) -> None:
        """Write the snapshot that is due, if one is, since the marked position is durable now."""
        if self._is_writing or self._marked is None:
            return
        assert self._in_thread is not None
        (position, queues, bridges), self._marked = self._marked, None
        blocks = self._blocks
        self._began = self._time.seconds()
        # The bytes are counted from here, even if the snapshot fails.
        self._last = position
        try:
            check = check_of(blocks, position)
        except (OSError, StorageError) as why:
            self._overwritten = None
            self._failed(why)
            return
        self._is_writing = True
        numbers = [number for number in blocks.numbers if number <= position[0]]
        facts = SnapshotFacts(position, queues, numbers[0], len(numbers), check, bridges)
        writer = SnapshotWriter(blocks.root, blocks.size, self._files, self._index, facts)
        self._in_thread(writer.copy, lambda failure: self._copied(writer, failure))

    def _copied(self, writer: SnapshotWriter, failure: BaseException | None) -> None:
        assert self._in_thread is not None
        self.changed(self._unwritten())
        corrections, self._overwritten = self._overwritten or {}, None

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
        self._is_writing = False
        if failure is not None:
            # The previous snapshot is still there.
            self._failed(failure)
        else:
            self._on_disk = self._last
            self.counters.taken += 1
            self.counters.at = self._time.seconds()
            self.counters.seconds = max(0.0, self.counters.at - self._began)
        if self._is_distrusted:
            self._remove()
        self._call_waiting()

    def _call_waiting(self) -> None:
        """Make the calls that wait for the thread, unless it is still writing."""
        if not self._is_writing:
            then, self._waiting = self._waiting, []
            for call in then:
                call()

    def _failed(self, why: BaseException) -> None:
        self.counters.failed += 1
        reason = getattr(why, "strerror", None) or str(why)
        what = "{root}: the snapshot of the index cannot be written: {why}"
        self._log.error(what, root=self._blocks.root, why=reason)

    # --- the end, and damage

    def close(self, position: Position | None, queues: int, done: Callable[[], None]) -> None:
        """Write a last snapshot of a durable position, then call `done`.

        With the position None, the end is not durable and no snapshot is written. `done` is called
        when no thread is writing.
        """
        if self._is_writing:
            self._waiting.append(lambda: self.close(position, queues, done))
            return
        self._waiting.append(done)
        if position is not None and position != self._on_disk:
            self._mark(position, queues, 0)
            self.begin()
        self._call_waiting()

    def distrust(self, id_: int) -> None:
        """Note that the entry with this id is damaged.

        If the last start did not read this entry, the snapshot is removed. The next start then
        reads all blocks and bridges the entry.
        """
        if id_ < self._trusted_to and not self._is_distrusted:
            self._is_distrusted = True
            self._remove()
            what = "{root}: the next start will read all blocks, to step over the damage"
            self._log.warn(what, root=self._blocks.root)

    def _remove(self) -> None:
        self._on_disk, self.counters.at = None, 0.0
        with suppress(OSError):
            self._files.unlink(f"{self._blocks.root}/{SNAPSHOT}")

"""The start: reading the blocks once, and rebuilding the heads of all queues.

Records before the position of the index's snapshot need not be read.

The newest block may end in a write that was torn when the machine went down. That save was never
answered, so the torn end is cut off. It is kept in a file of its own if the disk has space. Damage
anywhere else is skipped and logged, and nothing is cut there.

A power cut may also leave a hole in what was not on disk. So behind the `durable_mark` the log is
cut off at the first damage, and before it nothing is. Without a mark, a slave's newest block is cut
off at damage near its end (`Blocks.resyncable_bytes`).
"""

import os
from contextlib import suppress
from typing import NamedTuple

from gobelieve.interfaces import Log, World
from gobelieve.storage.files.blocks import Blocks, Position
from gobelieve.storage.format.layout import SNAPSHOT
from gobelieve.storage.format.records import FILE_HEADER, FIRST_OFFSET, Entry
from gobelieve.storage.index.fast_scan import FastScan
from gobelieve.storage.index.heads import Index
from gobelieve.storage.index.scan import Gap, scan
from gobelieve.storage.index.snapshot_file import LoadedSnapshot, SnapshotError, load

Bridges = dict[int, int]
"""By id of an entry whose `prev` is wrong: the id of the entry that is really before it."""


PROGRESS_INTERVAL = 2.0
"""Seconds between two log lines about the progress of the reading."""
BEGINNING: Position = (0, 0)


class Recovered(NamedTuple):
    """What a start found."""

    snapshot: Position
    """The position of the snapshot that was used; `BEGINNING` if none was."""
    bridges: Bridges
    is_damaged: bool
    """Whether there is damage in what was read before the mark."""


class Durable(NamedTuple):
    """What a start knows of the records that were on disk."""

    mark: Position
    """Before it all records were on disk."""
    is_cut: bool = True
    """Whether everything after the first damage behind the mark is cut off."""


def recover(
    blocks: Blocks, index: Index, world: World, durable: Durable | None = None
) -> Recovered:
    """Fill an empty index and cut off what was not on disk. Raises OSError and StorageError."""
    why = "there is no snapshot of the index"
    try:
        loaded = load(blocks, index)
    except SnapshotError as refused:
        loaded, why = None, f"the snapshot of the index is of no use: {refused}"
        # Removed, since the blocks may grow until the snapshot seems to fit again.
        with suppress(OSError):
            os.unlink(os.path.join(blocks.root, SNAPSHOT))
    if loaded is not None:
        return rebuild(blocks, index, world, loaded, durable)
    if blocks.end != (0, FIRST_OFFSET):
        size = sum(map(blocks.length, blocks.numbers)) // 1_000_000
        what = "{root}: {why}; all blocks are read, {size} MB"
        world.log.info(what, root=blocks.root, why=why, size=size)
    return rebuild(blocks, index, world, durable=durable)


def rebuild(
    blocks: Blocks,
    index: Index,
    world: World,
    loaded: LoadedSnapshot | None = None,
    durable: Durable | None = None,
) -> Recovered:
    """Fill an index from the blocks and cut off a torn end. Raises OSError and StorageError.

    The index is already right up to the position of the snapshot, where a record begins.

    A queue's chain may be broken by a damaged record, or by a daemon that had lost its index and
    began a new chain. Then an entry does not point to the entry that was read before it. These
    entries are returned as bridges, so that readers can step over the break.
    """
    start, known = loaded or (BEGINNING, {})
    numbers = [number for number in blocks.numbers if number >= start[0]]
    rebuilding = _Rebuilding(
        blocks, index, durable=durable, progress=_Progress(blocks, start, world), log=world.log
    )
    rebuilding.bridges.update(known)
    for number in numbers:
        first = max(FIRST_OFFSET, start[1]) if number == start[0] else FIRST_OFFSET
        if not rebuilding.read(number, first):
            break
    return Recovered(start, rebuilding.bridges, rebuilding.is_damaged)


class _Progress:
    """Logs the progress of the reading every `PROGRESS_INTERVAL` seconds."""

    def __init__(self, blocks: Blocks, start: Position, world: World) -> None:
        self._root = blocks.root
        self._log = world.log
        self._time = world.time
        self._logged_at = self._time.seconds()
        lengths = [blocks.length(number) for number in blocks.numbers if number >= start[0]]
        self._total = max(1, sum(lengths) - start[1])
        self._done = 0

    def add(self, count: int) -> None:
        """Count bytes that were read. Near damage some bytes are read and counted twice."""
        self._done += count
        now = self._time.seconds()
        if now < self._logged_at + PROGRESS_INTERVAL:
            return
        self._logged_at = now
        done = min(self._done, self._total)
        self._log.info(
            "{root}: {done} of {total} MB are read, {percent} %",
            root=self._root,
            done=done // 1_000_000,
            total=self._total // 1_000_000,
            percent=100 * done // self._total,
        )


class _Rebuilding:
    """Fills an index from blocks, which must come in order."""

    def __init__(
        self,
        blocks: Blocks,
        index: Index,
        *,
        durable: Durable | None,
        progress: _Progress,
        log: Log,
    ) -> None:
        self.bridges: Bridges = {}
        self.is_damaged = False
        self._durable = durable
        self._blocks = blocks
        self._index = index
        self._log = log
        self._progress = progress
        self._fast_scan = FastScan(index)

    def read(self, number: int, first: int) -> bool:
        """Read a block from the offset `first` on. Return False if the log was cut off in it."""
        blocks, log, path = self._blocks, self._log, self._blocks.path(number)
        length = blocks.length(number)
        end, base = min(length, blocks.size), number * blocks.size
        if length > blocks.size:
            what = "{path}: {count} bytes behind the end that a block can have are ignored"
            log.error(what, path=path, count=length - end)
        if blocks.read_block(number, 8, 0) != FILE_HEADER[:8]:
            log.warn("{path} does not begin as a block does", path=path)

        def read(count: int, offset: int) -> bytes:
            data = blocks.read_block(number, min(count, end - offset), offset)
            self._progress.add(len(data))
            return data

        for found in scan(read, first, end, self._fast_scan.within(base)):
            if not isinstance(found, Gap):
                offset, entry = found
                if self._enter(base + offset, entry):
                    continue
                found = Gap(offset, offset)
            if length == end and self._is_lost(number, found, end):
                self._cut_off(number, found.start, end)
                return False
            what = "{path}: damage at {offset}, {count} bytes skipped"
            log.error(what, path=path, offset=found.start, count=found.end - found.start)
        return True

    def _is_lost(self, number: int, found: Gap, end: int) -> bool:
        """Return whether a gap may be what a power cut left of a write, so that it is cut off."""
        blocks, durable = self._blocks, self._durable
        is_newest = number == blocks.numbers[-1]
        if durable is None:
            is_near = end - blocks.resyncable_bytes <= found.start < found.end
            return is_newest and (found.torn or is_near)
        if (number, found.start) < durable.mark:
            self.is_damaged = True
            # No record can be read behind the beginning of a torn one.
            return found.torn and is_newest
        return (found.torn and is_newest) or (durable.is_cut and found.start < found.end)

    def _enter(self, id_: int, entry: Entry) -> bool:
        """Enter an entry in the index. Return False if the entry is impossible."""
        if not 0 < entry.msgid < id_:
            return False
        before = self._index.apply(id_, entry)
        if before and before != entry.prev:
            self.bridges[id_] = before
        return True

    def _cut_off(self, number: int, start: int, end: int) -> None:
        """Cut off everything from an offset of a block on, and log where it is kept."""
        for aside in self._blocks.set_aside_blocks(number):
            what = "{path} is the rest of what was not on disk when the machine went down"
            self._log.warn(what, path=aside)
        path = self._blocks.path(number)
        what = "{path}: a torn write of {count} bytes was cut off"
        aside = self._blocks.set_aside(start)
        if aside:
            self._log.warn(what + " and kept in {aside}", path=path, count=end - start, aside=aside)
        else:
            what += ", there is no space to keep it"
            self._log.error(what, path=path, count=end - start)

"""The start: reading the blocks once, and rebuilding the heads of all queues.

Records before the position of the index's snapshot need not be read.

The newest block may end in a write that was torn when the machine went down. That save was never
answered, so the torn end is cut off. It is kept in a file of its own if the disk has space. Damage
anywhere else is skipped and logged, and nothing is cut there.

The newest block of a slave is also cut off at damage near its end (`Blocks.resyncable_bytes`). A
power cut may leave a hole in its unsynced bytes, and the master sends everything after it again.
"""

import os
from contextlib import suppress

from gobelieve.interfaces import Log, World
from gobelieve.storage.files.blocks import Blocks, Position
from gobelieve.storage.format.layout import SNAPSHOT
from gobelieve.storage.format.records import FILE_HEADER, FIRST_OFFSET, Entry
from gobelieve.storage.index.fast_scan import FastScan
from gobelieve.storage.index.heads import Index
from gobelieve.storage.index.scan import Gap, scan
from gobelieve.storage.index.snapshot_file import SnapshotError, load

Bridges = dict[int, int]
"""By id of an entry whose `prev` is wrong: the id of the entry that is really before it."""


PROGRESS_INTERVAL = 2.0
"""Seconds between two log lines about the progress of the reading."""
BEGINNING: Position = (0, 0)


def recover(blocks: Blocks, index: Index, world: World) -> tuple[Position, Bridges]:
    """Fill an empty index and cut off a torn end. Raises OSError and StorageError.

    Return the position of the snapshot that was used (`BEGINNING` if none was), and the bridges.
    """
    why = "there is no snapshot of the index"
    try:
        loaded = load(blocks, index)
    except SnapshotError as refused:
        loaded, why = None, f"the snapshot of the index is of no use: {refused}"
        # Removed, since the blocks may grow until the snapshot seems to fit again.
        with suppress(OSError):
            os.unlink(os.path.join(blocks.root, SNAPSHOT))
    if loaded is not None:
        position, bridges = loaded
        return position, rebuild(blocks, index, world, position, bridges)
    if blocks.end != (0, FIRST_OFFSET):
        size = sum(map(blocks.length, blocks.numbers)) // 1_000_000
        what = "{root}: {why}; all blocks are read, {size} MB"
        world.log.info(what, root=blocks.root, why=why, size=size)
    return BEGINNING, rebuild(blocks, index, world)


def rebuild(
    blocks: Blocks,
    index: Index,
    world: World,
    start: Position = BEGINNING,
    known: Bridges | None = None,
) -> Bridges:
    """Fill an index from the blocks and cut off a torn end. Raises OSError and StorageError.

    The index is already right up to `start`, where a record begins. `known` are the bridges up to
    there.

    A queue's chain may be broken by a damaged record, or by a daemon that had lost its index and
    began a new chain. Then an entry does not point to the entry that was read before it. Return
    these entries as bridges, so that readers can step over the break.
    """
    bridges: Bridges = dict(known or {})
    numbers = [number for number in blocks.numbers if number >= start[0]]
    rebuilding = _Rebuilding(
        blocks, index, bridges=bridges, progress=_Progress(blocks, start, world), log=world.log
    )
    for number in numbers:
        rebuilding.read(number, max(FIRST_OFFSET, start[1]) if number == start[0] else FIRST_OFFSET)
    return bridges


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
        self, blocks: Blocks, index: Index, *, bridges: Bridges, progress: _Progress, log: Log
    ) -> None:
        self._blocks = blocks
        self._index = index
        self._log = log
        self._bridges = bridges
        self._progress = progress
        self._fast_scan = FastScan(index)

    def read(self, number: int, first: int) -> None:
        """Read a block from the offset `first` on, where a record begins."""
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
            lost = found.torn or end - blocks.resyncable_bytes <= found.start < found.end
            if lost and number == blocks.numbers[-1] and length == end:
                self._cut_off(path, found.start, end)
                return
            what = "{path}: damage at {offset}, {count} bytes skipped"
            log.error(what, path=path, offset=found.start, count=found.end - found.start)

    def _enter(self, id_: int, entry: Entry) -> bool:
        """Enter an entry in the index. Return False if the entry is impossible."""
        if not 0 < entry.msgid < id_:
            return False
        before = self._index.apply(id_, entry)
        if before and before != entry.prev:
            self._bridges[id_] = before
        return True

    def _cut_off(self, path: str, start: int, end: int) -> None:
        """Cut off the end of the newest block, and log where it is kept."""
        what = "{path}: a torn write of {count} bytes was cut off"
        aside = self._blocks.set_aside(start)
        if aside:
            self._log.warn(what + " and kept in {aside}", path=path, count=end - start, aside=aside)
        else:
            what += ", there is no space to keep it"
            self._log.error(what, path=path, count=end - start)

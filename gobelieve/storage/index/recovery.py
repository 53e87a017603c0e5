"""What happens at the start: blocks are read once, and the heads of all queues rebuilt.

What is before the position of the index's snapshot need not be read.

The newest block may end in a write that was torn when the machine went down. Nobody was told that
it is stored, so it is cut off, but kept in a file of its own if there is space for one. Damage
anywhere else is stepped over and reported; nothing is cut there. But a slave's newest block is
cut off at damage near its end as well (`Blocks.resyncable_bytes`): a power cut may leave a hole in
what was not yet synced, and what is behind it comes again from the master.
"""

import os
from contextlib import suppress

from gobelieve.interfaces import Log, World
from gobelieve.storage.files.blocks import Blocks, Position
from gobelieve.storage.format.layout import SNAPSHOT
from gobelieve.storage.format.records import FILE_HEADER, FIRST, Entry
from gobelieve.storage.index.fast_scan import FastScan
from gobelieve.storage.index.heads import Index
from gobelieve.storage.index.scan import Gap, scan
from gobelieve.storage.index.snapshot_file import SnapshotError, load

Bridges = dict[int, int]
"""Queue records whose pointer to the one before is wrong, and the one that is really before."""


PROGRESS_INTERVAL = 2.0
"""Seconds between two log lines about the progress of the reading."""
BEGINNING: Position = (0, 0)


def recover(blocks: Blocks, index: Index, world: World) -> tuple[Position, Bridges]:
    """Fill an empty index, and cut off what is torn. OSError, StorageError.

    The position of the snapshot that was used (`BEGINNING` if none was), and the bridges.
    """
    why = "there is no snapshot of the index"
    try:
        loaded = load(blocks, index)
    except SnapshotError as refused:
        loaded, why = None, f"the snapshot of the index is of no use: {refused}"
        # What is added from now on must not let it fit again.
        with suppress(OSError):
            os.unlink(os.path.join(blocks.root, SNAPSHOT))
    if loaded is not None:
        position, bridges = loaded
        return position, rebuild(blocks, index, world, position, bridges)
    if blocks.end != (0, FIRST):
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
    """Fill an index from the blocks, and cut off what is torn. OSError, StorageError.

    The index is right up to `start`, where a record begins, and `known` are the bridges up to it.

    Whatever breaks a queue's chain (a damaged record, a daemon that had lost its index and began
    a new chain) shows here, as an entry that does not point to the one seen before it. These few
    are given back, so that readers go on over the break.
    """
    bridges: Bridges = dict(known or {})
    numbers = [number for number in blocks.numbers if number >= start[0]]
    rebuilding = _Rebuilding(
        blocks, index, bridges=bridges, progress=_Progress(blocks, start, world), log=world.log
    )
    for number in numbers:
        rebuilding.read(number, max(FIRST, start[1]) if number == start[0] else FIRST)
    return bridges


class _Progress:
    """Tells the log now and then how far the reading is."""

    def __init__(self, blocks: Blocks, start: Position, world: World) -> None:
        self._root = blocks.root
        self._log = world.log
        self._time = world.time
        self._logged_at = self._time.seconds()
        lengths = [blocks.length(number) for number in blocks.numbers if number >= start[0]]
        self._total = max(1, sum(lengths) - start[1])
        self._done = 0

    def add(self, count: int) -> None:
        """So many bytes more are read. (Some of them twice.)"""
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
    """Fills an index from blocks that come in order."""

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
        """A block, from a record's beginning on."""
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
            what = "{path}: damage at {offset}, {count} bytes stepped over"
            log.error(what, path=path, offset=found.start, count=found.end - found.start)

    def _enter(self, id_: int, entry: Entry) -> bool:
        """Take an entry; False if it cannot be."""
        if not 0 < entry.msgid < id_:
            return False
        before = self._index.apply(id_, entry)
        if before and before != entry.prev:
            self._bridges[id_] = before
        return True

    def _cut_off(self, path: str, start: int, end: int) -> None:
        """Take the end of the newest block away."""
        what = "{path}: a torn write of {count} bytes was cut off"
        aside = self._blocks.set_aside(start)
        if aside:
            self._log.warn(what + " and kept in {aside}", path=path, count=end - start, aside=aside)
        else:
            what += ", there is no space to keep it"
            self._log.error(what, path=path, count=end - start)

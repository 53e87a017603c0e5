"""What happens at the start: blocks are read once, and the heads of all queues rebuilt.

What is before the position of the index's snapshot need not be read.

The newest block may end in a write that was torn when the machine went down. Nobody was told that
it is stored, so it is cut off, but kept in a file of its own if there is space for one. Damage
anywhere else is stepped over and reported; nothing is cut there. But a slave's newest block is
cut off at damage near its end as well (`Blocks.unsure`): a power cut may leave a hole in what was
not yet synced, and what is behind it comes again from the master.
"""

import os
from contextlib import suppress

from gobelieve.interfaces import Log
from gobelieve.storage.blocks import SNAPSHOT, Blocks, Position
from gobelieve.storage.fitting import Fitting
from gobelieve.storage.index import Index
from gobelieve.storage.records import FILE_HEADER, FIRST
from gobelieve.storage.scan import Gap, scan
from gobelieve.storage.snapshot_file import SnapshotError, load

Bridges = dict[int, int]
"""Queue records whose pointer to the one before is wrong, and the one that is really before."""


LARGE = 4
"""With so many blocks to read there is a line in the log for each: it takes a while."""
BEGINNING: Position = (0, 0)


def recover(blocks: Blocks, index: Index, log: Log) -> tuple[Position, Bridges]:
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
        return loaded.position, rebuild(blocks, index, log, loaded.position, loaded.bridges)
    if blocks.end != (0, FIRST):
        log.info("{root}: {why}; all blocks are read", root=blocks.root, why=why)
    return BEGINNING, rebuild(blocks, index, log)


def rebuild(
    blocks: Blocks,
    index: Index,
    log: Log,
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
    fitting = Fitting(index)
    for done, number in enumerate(numbers):
        if len(numbers) >= LARGE and done:
            what = "{root}: {done} of {count} blocks are read, {percent} %"
            percent = 100 * done // len(numbers)
            log.info(what, root=blocks.root, done=done, count=len(numbers), percent=percent)
        first = max(FIRST, start[1]) if number == start[0] else FIRST
        _rebuild_block(blocks, number, first, index, fitting, bridges, log)
    return bridges


def _rebuild_block(
    blocks: Blocks,
    number: int,
    first: int,
    index: Index,
    fitting: Fitting,
    bridges: Bridges,
    log: Log,
) -> None:
    length = blocks.length(number)
    end = min(length, blocks.size)
    if length > blocks.size:
        what = "{path}: {count} bytes behind the end that a block can have are ignored"
        log.error(what, path=blocks.path(number), count=length - end)
    if blocks.read_block(number, 8, 0) != FILE_HEADER[:8]:
        log.warn("{path} does not begin as a block does", path=blocks.path(number))
    base = number * blocks.size
    torn: Gap | None = None

    def read(count: int, offset: int) -> bytes:
        return blocks.read_block(number, min(count, end - offset), offset)

    for found in scan(read, first, end, fitting.within(base)):
        if not isinstance(found, Gap):
            offset, entry = found
            id_ = base + offset
            if not 0 < entry.msgid < id_:
                found = Gap(offset, offset)
            else:
                before = index.apply(id_, entry)
                if before and before != entry.prev:
                    bridges[id_] = before
                continue
        lost = found.torn or end - blocks.unsure <= found.start < found.end
        if lost and number == blocks.numbers[-1] and length == end:
            torn = found
            break
        what = "{path}: damage at {offset}, {count} bytes stepped over"
        count = found.end - found.start
        log.error(what, path=blocks.path(number), offset=found.start, count=count)
    if torn is not None:
        path, count = blocks.path(number), end - torn.start
        aside = blocks.set_aside(torn.start)
        if aside:
            what = "{path}: a torn write of {count} bytes was cut off and kept in {aside}"
            log.warn(what, path=path, count=count, aside=aside)
        else:
            what = "{path}: a torn write of {count} bytes was cut off, there is no space to keep it"
            log.error(what, path=path, count=count)

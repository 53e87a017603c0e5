"""What happens at the start: all blocks are read once, and the heads of all queues rebuilt.

The newest block may end in a write that was torn when the machine went down. Nobody was told that
it is stored, so it is cut off, but kept in a file of its own if there is space for one. Damage
anywhere else is stepped over and reported; nothing is cut there.
"""

from gobelieve.interfaces import Log
from gobelieve.storage.blocks import Blocks
from gobelieve.storage.index import Index
from gobelieve.storage.records import FILE_HEADER, FIRST
from gobelieve.storage.scan import Gap, scan

Bridges = dict[int, int]
"""Queue records whose pointer to the one before is wrong, and the one that is really before."""


def rebuild(blocks: Blocks, index: Index, log: Log) -> Bridges:
    """Fill an empty index from the blocks, and cut off what is torn. OSError, StorageError.

    Whatever breaks a queue's chain (a damaged record, a daemon that had lost its index and began
    a new chain) shows here, as an entry that does not point to the one seen before it. These few
    are given back, so that readers go on over the break.
    """
    bridges: Bridges = {}
    for number in list(blocks.numbers):
        _rebuild_block(blocks, number, index, bridges, log)
    return bridges


def _rebuild_block(blocks: Blocks, number: int, index: Index, bridges: Bridges, log: Log) -> None:
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

    for found in scan(read, FIRST, end):
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
        if found.torn and number == blocks.numbers[-1] and length == end:
            torn = found
            break
        what = "{path}: damage at {offset}, {count} bytes stepped over"
        count = found.end - found.start
        log.error(what, path=blocks.path(number), offset=found.start, count=count)
    if torn is not None:
        path, count = blocks.path(number), torn.end - torn.start
        aside = blocks.set_aside(torn.start)
        if aside:
            what = "{path}: a torn write of {count} bytes was cut off and kept in {aside}"
            log.warn(what, path=path, count=count, aside=aside)
        else:
            what = "{path}: a torn write of {count} bytes was cut off, there is no space to keep it"
            log.error(what, path=path, count=count)

"""The snapshot of the index: a file with which the start need not read all blocks.

It has the heads of all queues at a position in the blocks, and the bridges up to there. The start
loads it and reads the blocks from that position on. Without it all blocks are read. It may be
removed at any time. The file is `SNAPSHOT`; its integers are in this machine's byte order::

    offset  size  type    name
    0       8             magic      "GBHEADS" and a zero
    8       4     uint32  version    1
    12      4     uint32  tables     T, the number of kinds and apps of queues
    16      8     int64   block size
    24      8     int64   block      the position: the heads include all records before it,
    32      8     int64   offset     and none after it
    40      8     int64   first      the number of the oldest block
    48      8     int64   blocks     the number of blocks up to the position
    56      8     int64   queues     Q
    64      8     int64   bridges    B
    72      8     int64   check      CRC-32 of bytes before the position, see `check_of`
    80      16 T  int64   tables     kind, appid
            8 Q   int64   owners     user or group
            4 Q   int32   tables     each queue's kind and app: a number below T
            40 Q  int64   heads      msgid, id, peer, batch, seq
            16 B  int64   bridges    id of an entry, id of the one before it
            48 C  int64   corrections: row, and the right head for this row
            8     int64   C
            4     uint32  CRC-32 of all before

Heads change while they are written. The old values of those that changed since the position follow
as corrections.
"""

import os
from array import array
from itertools import islice
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from gobelieve.storage.files.blocks import Blocks, Position
from gobelieve.storage.files.files import Files
from gobelieve.storage.format.layout import SNAPSHOT, SNAPSHOT_NEW
from gobelieve.storage.index.heads import WIDTH, Head, Index

MAGIC = b"GBHEADS\0"
VERSION = 1
_HEADER = Struct("=8sII8q")
_COUNT = Struct("=q")
_CRC = Struct("=I")
_CORRECTION = Struct("=6q")
_PAIR = Struct("=2q")
_ROW = 8 + 4 + 8 * WIDTH
"""Bytes per queue in the file."""
CHECKED_BYTES = 4096
INTEGERS_PER_WRITE, CORRECTIONS_PER_WRITE = 1 << 14, 1 << 8
"""Copied at a time. The event loop may have to wait for one copy."""
BYTES_PER_SYNC = 4 << 20
"""Unsynced bytes at most. The sync of a save may have to wait for them."""

Heads = dict[int, Head]


class SnapshotFacts(NamedTuple):
    """The content of a snapshot without the heads."""

    position: Position
    queues: int
    """The number of queues at the position. Later queues follow them in the index."""
    first: int
    """The number of the oldest block."""
    blocks: int
    """The number of blocks up to the position."""
    check: int
    bridges: dict[int, int]


class SnapshotError(Exception):
    """The reason for which a snapshot cannot be used."""


def check_of(blocks: Blocks, position: Position) -> int:
    """Return a CRC-32 by which another directory is noticed. Raises OSError and StorageError.

    It covers the last 4 KiB before a position in its block, and the last 4 KiB of the block before.
    """
    number, offset = position
    crc = 0
    for block, end in ((number - 1, -1), (number, offset)):
        if block not in blocks.numbers:
            continue
        end = min(blocks.length(block), blocks.size) if end < 0 else end
        start = max(0, end - CHECKED_BYTES)
        crc = crc32(blocks.read_block(block, end - start, start), crc)
    return crc


class SnapshotWriter:
    """Writes one snapshot under another name. All calls may block and may raise OSError."""

    def __init__(
        self, root: str, size: int, files: Files, index: Index, facts: SnapshotFacts
    ) -> None:
        self._root = root
        self._size = size
        self._files = files
        self._index = index
        self._facts = facts
        self._path = os.path.join(root, SNAPSHOT_NEW)
        self._fd = -1
        self._offset = self._unsynced = self._crc = 0

    def copy(self) -> None:
        """Write all but the corrections.

        The index may change meanwhile. So each piece of it is copied with one call, and nothing
        depends on two pieces being equally old.
        """
        how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._fd = self._files.open(self._path, how, 0o644)
        facts, index = self._facts, self._index
        names = list(index.names)
        (number, offset), bridges = facts.position, facts.bridges
        counts = (facts.first, facts.blocks, facts.queues, len(bridges), facts.check)
        self._write(_HEADER.pack(MAGIC, VERSION, len(names), self._size, number, offset, *counts))
        self._write(b"".join(_PAIR.pack(*name) for name in names))
        queues = facts.queues
        for values, count in (
            (index.owners, queues),
            (index.tables, queues),
            (index.values, queues * WIDTH),
        ):
            for start in range(0, count, INTEGERS_PER_WRITE):
                self._write(values[start : min(start + INTEGERS_PER_WRITE, count)].tobytes())
        self._write(b"".join(_PAIR.pack(*bridge) for bridge in bridges.items()))

    def finish(self, corrections: Heads) -> None:
        """Write the corrections, and replace the previous snapshot."""
        limit, pack, count = self._facts.queues * WIDTH, _CORRECTION.pack, 0
        rest = iter(corrections.items())
        while some := list(islice(rest, CORRECTIONS_PER_WRITE)):
            rows = [pack(place // WIDTH, *head) for place, head in some if place < limit]
            self._write(b"".join(rows))
            count += len(rows)
        self._write(_COUNT.pack(count))
        self._write(_CRC.pack(self._crc))
        self._files.fsync(self._fd)
        self._close()
        self._files.rename(self._path, os.path.join(self._root, SNAPSHOT))
        self._files.sync_folder(self._root)

    def abandon(self) -> None:
        """Remove the unfinished file."""
        self._close()
        if os.path.exists(self._path):
            self._files.unlink(self._path)

    def _close(self) -> None:
        if self._fd >= 0:
            self._files.close_quietly(self._fd)
            self._fd = -1

    def _write(self, data: bytes) -> None:
        self._crc = crc32(data, self._crc)
        self._files.write_all(self._fd, data, self._offset)
        self._offset += len(data)
        self._unsynced += len(data)
        if self._unsynced >= BYTES_PER_SYNC:
            self._files.fdatasync(self._fd)
            self._unsynced = 0


class LoadedSnapshot(NamedTuple):
    """The position and the bridges of a snapshot that was loaded."""

    position: Position
    bridges: dict[int, int]


def load(blocks: Blocks, index: Index) -> LoadedSnapshot | None:
    """Fill an empty index from the snapshot of this directory. Return None if there is none.

    Raises `SnapshotError` if the snapshot is damaged or belongs to other blocks. The index is then
    still empty.
    """
    path = os.path.join(blocks.root, SNAPSHOT)
    try:
        with open(path, "rb") as file:
            data = memoryview(file.read())
    except FileNotFoundError:
        return None
    except OSError as why:
        raise SnapshotError(why.strerror or str(why)) from why
    if len(data) < _HEADER.size + _COUNT.size + _CRC.size:
        raise SnapshotError("it is too short")
    if crc32(data[:-4]) != _CRC.unpack(data[-4:])[0]:
        raise SnapshotError("its checksum is wrong")
    header = _HEADER.unpack_from(data)
    magic, version, tables, size, number, offset, first, count, queues, bridges, check = header
    if (magic, version) != (MAGIC, VERSION):
        raise SnapshotError("it has another format")
    corrections = _COUNT.unpack(data[-12:-4])[0]
    counts = (tables * 16, queues * _ROW, bridges * 16, corrections * _CORRECTION.size)
    if min(counts) < 0 or _HEADER.size + sum(counts) + 12 != len(data):
        raise SnapshotError("its counts do not fit its length")
    if size != blocks.size:
        raise SnapshotError(f"it is of blocks of {size} bytes")
    _compare(blocks, (number, offset), first, count, check)
    body = data[_HEADER.size : -12]
    return LoadedSnapshot((number, offset), _take(body, index, tables, queues, bridges))


def _compare(blocks: Blocks, position: Position, first: int, count: int, check: int) -> None:
    """Raise `SnapshotError` unless the directory still has the blocks before the position."""
    number, offset = position
    there = [n for n in blocks.numbers if n <= number]
    if number not in there:
        raise SnapshotError(f"{blocks.path(number)} is not there")
    if there[0] != first or len(there) != count:
        raise SnapshotError("there were other blocks")
    if offset > blocks.length(number):
        raise SnapshotError(f"{blocks.path(number)} is shorter than it was")
    if check_of(blocks, position) != check:
        raise SnapshotError(f"{blocks.path(number)} has other records")


def _take(data: memoryview, index: Index, tables: int, queues: int, bridges: int) -> dict[int, int]:
    """Fill the index. Return the bridges."""
    names, at = [], 0
    for at in range(0, tables * 16, 16):
        names.append(_PAIR.unpack_from(data, at))
    at = tables * 16
    found: list[array[int]] = []
    for kind, size in (("q", 8), ("i", 4), ("q", 8 * WIDTH)):
        values: array[int] = array(kind)
        values.frombytes(data[at : at + queues * size])
        at += queues * size
        found.append(values)
    owners, numbers, heads = found
    if queues and not 0 <= min(numbers) <= max(numbers) < tables:
        raise SnapshotError("it names queues of an unknown kind")
    end = at + bridges * 16
    for row, *head in _CORRECTION.iter_unpack(data[end:]):
        if not 0 <= row < queues:
            raise SnapshotError("it corrects a queue that it does not have")
        heads[row * WIDTH : (row + 1) * WIDTH] = array("q", head)
    index.fill(names, owners, numbers, heads)
    return dict(_PAIR.iter_unpack(data[at:end]))

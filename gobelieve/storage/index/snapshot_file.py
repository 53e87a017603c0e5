"""The snapshot of the index: a file that spares the start the reading of what is before it.

It states the heads of all queues at a position in the blocks, and the bridges that were found. The
start takes it over and reads on from there; without it all blocks are read. It may be removed at
any time. The file is `SNAPSHOT`, its integers in this machine's byte order::

    offset  size  type    name
    0       8             magic      "GBHEADS" and a zero
    8       4     uint32  version    1
    12      4     uint32  tables     T, how many kinds and apps of queues there are
    16      8     int64   block size
    24      8     int64   block      the position: all records before it are in the heads,
    32      8     int64   offset     and none behind it
    40      8     int64   first      the number of the oldest block
    48      8     int64   blocks     how many there were up to the position
    56      8     int64   queues     Q
    64      8     int64   bridges    B
    72      8     int64   check      CRC-32 of what is before the position, see `check_of`
    80      16 T  int64   tables     kind, appid
            8 Q   int64   owners     user or group
            4 Q   int32   tables     each queue's kind and app: a number below T
            40 Q  int64   heads      msgid, id, peer, batch, seq
            16 B  int64   bridges    id of an entry, id of the one before it
            48 C  int64   corrections: row, and the head that is really in it
            8     int64   C
            4     uint32  CRC-32 of all before

Heads go on changing while they are written. Those that changed since the position follow as they
were, as corrections.
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
"""What a queue takes, in bytes."""
_CHECKED = 4096
_STEP, _ROWS = 1 << 14, 1 << 8
"""So many integers, or corrections, are copied at a time: the event loop waits for that at most."""
_SYNC_EVERY = 4 << 20
"""So many bytes wait for the disk at most, since those who save may have to wait for them."""

Heads = dict[int, Head]


class Moment(NamedTuple):
    """What a snapshot states, but for the heads."""

    position: Position
    queues: int
    """How many the index had then: those that came later follow in it."""
    first: int
    """The oldest block."""
    blocks: int
    """How many blocks there were up to the position."""
    check: int
    bridges: dict[int, int]


class SnapshotError(Exception):
    """Why a snapshot cannot be used."""


def check_of(blocks: Blocks, position: Position) -> int:
    """The CRC-32 of the last 4 KiB before a position in its block, and of those that end the
    block before: how a directory is noticed that is another one. OSError, StorageError."""
    number, offset = position
    crc = 0
    for block, end in ((number - 1, -1), (number, offset)):
        if block not in blocks.numbers:
            continue
        end = min(blocks.length(block), blocks.size) if end < 0 else end
        start = max(0, end - _CHECKED)
        crc = crc32(blocks.read_block(block, end - start, start), crc)
    return crc


class Writer:
    """Writes one snapshot, aside. All of it may block, and raise OSError."""

    def __init__(self, root: str, size: int, files: Files, index: Index, moment: Moment) -> None:
        self._root = root
        self._size = size
        self._files = files
        self._index = index
        self._moment = moment
        self._path = os.path.join(root, SNAPSHOT_NEW)
        self._fd = -1
        self._offset = self._unsynced = self._crc = 0

    def copy(self) -> None:
        """Write all but the corrections. The index may change meanwhile: it is not looked at as a
        whole, and what is read of it is a copy, made in one go."""
        how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._fd = self._files.open(self._path, how, 0o644)
        moment, index = self._moment, self._index
        names = list(index.names)
        (number, offset), bridges = moment.position, moment.bridges
        counts = (moment.first, moment.blocks, moment.queues, len(bridges), moment.check)
        self._write(_HEADER.pack(MAGIC, VERSION, len(names), self._size, number, offset, *counts))
        self._write(b"".join(_PAIR.pack(*name) for name in names))
        queues = moment.queues
        for values, count in (
            (index.owners, queues),
            (index.tables, queues),
            (index.values, queues * WIDTH),
        ):
            for start in range(0, count, _STEP):
                self._write(values[start : min(start + _STEP, count)].tobytes())
        self._write(b"".join(_PAIR.pack(*bridge) for bridge in bridges.items()))

    def finish(self, corrections: Heads) -> None:
        """Write these, and put the file in the place of the one before."""
        limit, pack, count = self._moment.queues * WIDTH, _CORRECTION.pack, 0
        rest = iter(corrections.items())
        while some := list(islice(rest, _ROWS)):
            rows = [pack(place // WIDTH, *head) for place, head in some if place < limit]
            self._write(b"".join(rows))
            count += len(rows)
        self._write(_COUNT.pack(count))
        self._write(_CRC.pack(self._crc))
        self._files.fsync(self._fd)
        self._let_go()
        self._files.rename(self._path, os.path.join(self._root, SNAPSHOT))
        self._files.sync_folder(self._root)

    def abandon(self) -> None:
        """Let go of what was written so far."""
        self._let_go()
        if os.path.exists(self._path):
            self._files.unlink(self._path)

    def _let_go(self) -> None:
        if self._fd >= 0:
            self._files.let_go(self._fd)
            self._fd = -1

    def _write(self, data: bytes) -> None:
        self._crc = crc32(data, self._crc)
        self._files.write_all(self._fd, data, self._offset)
        self._offset += len(data)
        self._unsynced += len(data)
        if self._unsynced >= _SYNC_EVERY:
            self._files.fdatasync(self._fd)
            self._unsynced = 0


class Loaded(NamedTuple):
    """What the start takes over, but for the index."""

    position: Position
    bridges: dict[int, int]


def load(blocks: Blocks, index: Index) -> Loaded | None:
    """Fill an empty index from the snapshot of this directory; None if there is none.

    `SnapshotError` if it is damaged, or states something of other blocks; the index is empty then.
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
    return Loaded((number, offset), _take(body, index, tables, queues, bridges))


def _compare(blocks: Blocks, position: Position, first: int, count: int, check: int) -> None:
    """See that the directory is the one, and still has what was before the position."""
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
    """Fill the index; the bridges."""
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
            raise SnapshotError("it corrects what is not in it")
        heads[row * WIDTH : (row + 1) * WIDTH] = array("q", head)
    index.fill(names, owners, numbers, heads)
    return dict(_PAIR.iter_unpack(data[at:end]))

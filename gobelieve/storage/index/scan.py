"""Reading a block from front to back: every record, and the damage between them.

A damaged record must not hide the records after it. So where no record begins, the scan searches
for the next place where one does. The scan must not invent records either: a message may contain
bytes that look like records, written by a user. So if the head of a record is intact, its end is
found by its checksum. If the last record of a file has a good head and reaches beyond the file, it
is a torn write. Nothing inside it counts.

CRC-32 is not secret, so a user can write a body of which a part has the checksum of the whole. So
if the checksum is right at several ends, the last one counts. An end before the length in the head
counts only if sound records follow from there, without a gap, to behind that length.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple
from zlib import crc32

from gobelieve.storage.format.records import (
    BODY_LIMIT,
    ENTRY_SIZE,
    GROUP_ENTRY,
    HEAD,
    HEAD_SIZE,
    MAGIC,
    MAX_RECORD_BYTES,
    OVERHEAD,
    QUEUE_KINDS,
    USER_ENTRY,
    Entry,
    entry_of,
    has_checksum,
    is_sound,
    whole_length,
)
from gobelieve.storage.index.fast_scan import FastPath

CHUNK_BYTES = 1 << 20
_ENTRIES = (USER_ENTRY, GROUP_ENTRY)

Read = Callable[[int, int], bytes]
"""``read(count, offset)`` returns bytes of a block: fewer than `count` only at its end."""


class Gap(NamedTuple):
    """Bytes that contain no sound record."""

    start: int
    end: int
    torn: bool = False
    """Whether no complete record follows. At the end of the newest block this is a torn write."""


def scan(
    read: Read, start: int, end: int, fast_path: FastPath | None = None
) -> Iterator[tuple[int, Entry] | Gap]:
    """Yield the queue records of a block with their offsets, and the gaps, in order.

    `end` is the offset where the block ends. Records that `fast_path` takes are left out.
    """
    at, unpack = start, HEAD.unpack_from
    while at < end:
        data = read(CHUNK_BYTES, at)
        base, last = at, at + len(data) >= end or len(data) < CHUNK_BYTES
        # A record that may be incomplete in the chunk is read only at the end of the block.
        i, stop = 0, len(data) - (OVERHEAD - 1 if last else MAX_RECORD_BYTES + HEAD_SIZE)
        while i < stop:
            if fast_path is not None and (i := fast_path(data, i, stop, base)) >= stop:
                break
            magic, length, checksum, cmd, version, flag, checked = unpack(data, i)
            tail = i + HEAD_SIZE + length
            if magic != MAGIC or not 0 <= length <= BODY_LIMIT or data[tail : tail + 4] != MAGIC:
                break
            body = data[i + HEAD_SIZE : tail]
            if crc32(body) != checksum and has_checksum(cmd, version, checksum, checked):
                break
            if cmd in QUEUE_KINDS:
                entry = entry_of(cmd, flag, body)
                yield (base + i, entry) if entry else Gap(base + i, base + tail + 4)
            i = tail + 4
        at = base + i
        if i < stop or (last and at < end):
            gap = _gap(read, at, end)
            yield gap
            at = gap.end


def _may_begin(data: bytes, at: int) -> bool:
    """Return whether a record may begin at `at`: its magic, a part of it, or the end of `data`."""
    return MAGIC.startswith(data[at : at + 4])


def _gap(read: Read, at: int, end: int) -> Gap:
    """Return the gap that begins at `at`, where no sound record is followed by another one."""
    data = read(MAX_RECORD_BYTES + HEAD_SIZE, at)
    if len(data) < HEAD_SIZE:
        return Gap(at, end, torn=True)
    magic, length, checksum, cmd, version, _, mark = HEAD.unpack_from(data)
    checked = has_checksum(cmd, version, checksum, mark)
    if checked and cmd in _ENTRIES and _is_entry(data, checksum):
        return Gap(at, at + ENTRY_SIZE)
    possible = 0 <= length <= BODY_LIMIT
    size = OVERHEAD + length
    ends = _ends_by_checksum(data, checksum) if checked else []
    if ends and size not in ends and (ends[-1] > size or not possible):
        return Gap(at, at + ends[-1])
    # The length is right if the last magic is where it says, even if the first one is damaged.
    closed = possible and data[size - 4 : size] == MAGIC
    if closed and _may_begin(data, size):
        return Gap(at, at + size)
    if ends and (magic != MAGIC or _goes_on(read, at + ends[-1], min(at + size, end))):
        return Gap(at, at + ends[-1])
    if closed:
        return Gap(at, at + size)
    # With a checksum a wrong length was noticed above, so all within the length is this record.
    known = magic == MAGIC and checked and possible
    if known and at + size > end:
        return Gap(at, end, torn=True)
    found = _search(read, at + (size if known else 1), end)
    if known and found < end and crc32(data[HEAD_SIZE : size - len(MAGIC)]) == checksum:
        # Only its end is damaged. The record after it has a head of its own.
        return Gap(at, at + size)
    return Gap(at, found, torn=found == end)


def _is_entry(data: bytes, checksum: int) -> bool:
    """Return whether `data` begins with an undamaged body of a queue record 247 or 248.

    These have one length only, so a wrong length in the head does not matter.
    """
    end = ENTRY_SIZE - len(MAGIC)
    return data[end:ENTRY_SIZE] == MAGIC and crc32(data[HEAD_SIZE:end]) == checksum


def _ends_by_checksum(data: bytes, checksum: int) -> list[int]:
    """Return the possible ends of the record at the beginning, if only its length is wrong."""
    ends = []
    crc, done = 0, HEAD_SIZE
    magic = data.find(MAGIC, HEAD_SIZE)
    while magic >= 0:
        crc = crc32(data[done:magic], crc)
        done = magic
        if crc == checksum and _may_begin(data, magic + 4):
            ends.append(magic + 4)
        magic = data.find(MAGIC, magic + 1)
    return ends


def _goes_on(read: Read, at: int, beyond: int) -> bool:
    """Return whether records follow without a gap from `at` to behind `beyond`, or to the end.

    All of them must have a checksum: a record without one could enclose anything.
    """
    data, i, stop = read(beyond - at + MAX_RECORD_BYTES, at), 0, beyond - at
    while i <= stop and i < len(data):
        length = whole_length(data, i)
        if not length or not data[i + 15] or not is_sound(data, i, length):
            return False
        i += length
    return True


def _search(read: Read, at: int, end: int) -> int:
    while at < end:
        data = read(CHUNK_BYTES + MAX_RECORD_BYTES, at)
        i = data.find(MAGIC)
        while 0 <= i < CHUNK_BYTES:
            length = whole_length(data, i)
            if length and is_sound(data, i, length):
                return at + i
            i = data.find(MAGIC, i + 1)
        at += CHUNK_BYTES
    return end

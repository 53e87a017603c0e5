"""Reading a block from front to back: every record, and what is damaged.

A damaged record must not hide what follows it, so where no record begins the next place is looked
for where one does. It must not invent anything either: a message may contain bytes that look like
records, written by a user. So of a record whose head stands, the end is found by its checksum; and
if the last record of a file has a good head and reaches beyond the file, then it is a write that
was torn, and nothing inside it counts.

A user can also write a body of which a part has the checksum of the whole: CRC-32 is no secret. So
of several ends that the checksum allows the last one counts, and none within the length that the
head names, unless sound records lie one behind the other from there to behind that length.
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
"""(how many bytes, from which offset) of a block; fewer only at its end."""


class Gap(NamedTuple):
    """Bytes in which no sound record was found."""

    start: int
    end: int
    torn: bool = False
    """Nothing whole comes behind it: at the end of the newest block, a write that was cut short."""


def scan(
    read: Read, start: int, end: int, fast_path: FastPath | None = None
) -> Iterator[tuple[int, Entry] | Gap]:
    """The queue records of a block with their offsets, and the gaps, in order.

    `end` is how far the block reaches. What `fast_path` takes is not among them.
    """
    at, unpack = start, HEAD.unpack_from
    while at < end:
        data = read(CHUNK_BYTES, at)
        base, last = at, at + len(data) >= end or len(data) < CHUNK_BYTES
        # Only at the end of the block may a record be looked at that the chunk may not have whole.
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
    """Whether a record may begin here, be it cut short, or the data ends."""
    return MAGIC.startswith(data[at : at + 4])


def _gap(read: Read, at: int, end: int) -> Gap:
    """The gap that begins at a place where no sound record is, or none with another behind it."""
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
    # The length is right if the magic is where it says, even if the first one is damaged.
    closed = possible and data[size - 4 : size] == MAGIC
    if closed and _may_begin(data, size):
        return Gap(at, at + size)
    if ends and (magic != MAGIC or _goes_on(read, at + ends[-1], min(at + size, end))):
        return Gap(at, at + ends[-1])
    if closed:
        return Gap(at, at + size)
    # With a checksum a wrong length would have shown, so what is within the length is this record.
    known = magic == MAGIC and checked and possible
    if known and at + size > end:
        return Gap(at, end, torn=True)
    found = _search(read, at + (size if known else 1), end)
    if known and found < end and crc32(data[HEAD_SIZE : size - len(MAGIC)]) == checksum:
        # Only its end is damaged. What is behind it has a head of its own to go by.
        return Gap(at, at + size)
    return Gap(at, found, torn=found == end)


def _is_entry(data: bytes, checksum: int) -> bool:
    """Whether one of our queue records is here. They have one length, whatever the head says."""
    end = ENTRY_SIZE - len(MAGIC)
    return data[end:ENTRY_SIZE] == MAGIC and crc32(data[HEAD_SIZE:end]) == checksum


def _ends_by_checksum(data: bytes, checksum: int) -> list[int]:
    """Where the record at the beginning may end if its length is wrong and all else is right."""
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
    """Whether records lie one behind the other from a place to behind another, or to the end.

    They all have a checksum: without one a record could enclose anything.
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

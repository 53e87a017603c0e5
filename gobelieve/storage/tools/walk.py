"""Reading a block from front to back, with every record and the kind of each damage.

The start of the daemon uses `scan`, which yields only queue records and gaps. For both, `scan`
decides which bytes are damaged.
"""

from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from gobelieve.storage.format.records import (
    BODY_LIMIT,
    HEAD,
    HEAD_SIZE,
    MAGIC,
    MAX_RECORD_BYTES,
    OVERHEAD,
    QUEUE_KINDS,
    entry_of,
    is_sound,
)
from gobelieve.storage.index.fast_scan import FastPath
from gobelieve.storage.index.scan import CHUNK_BYTES, Gap, Read, scan

Found = tuple[int, int, int, int, bytes]
"""A sound record: its offset, cmd, version, flag and body."""


class Damage(NamedTuple):
    """Bytes that are not a sound record."""

    gap: Gap
    what: str


def walk(
    read: Read, start: int, end: int, fast_path: FastPath | None = None
) -> Iterator[Found | Damage]:
    """Yield the records and the damage of a block from `start` on, in order.

    A record must begin at `start`. `end` is the offset where the block ends. Records that
    `fast_path` takes are left out.
    """
    at, unpack = start, HEAD.unpack_from
    while at < end:
        data = read(CHUNK_BYTES, at)
        last = at + len(data) >= end or len(data) < CHUNK_BYTES
        # A record that may be incomplete in the chunk is read only at the end of the block.
        i, stop = 0, len(data) - (OVERHEAD - 1 if last else MAX_RECORD_BYTES + HEAD_SIZE)
        while i < stop:
            if fast_path is not None and (i := fast_path(data, i, stop, at)) >= stop:
                break
            magic, length, checksum, cmd, version, flag, _ = unpack(data, i)
            tail = i + HEAD_SIZE + length
            if magic != MAGIC or not 0 <= length <= BODY_LIMIT or data[tail : tail + 4] != MAGIC:
                break
            body = data[i + HEAD_SIZE : tail]
            if crc32(body) != checksum and not is_sound(data, i, length + OVERHEAD):
                break
            if cmd in QUEUE_KINDS and entry_of(cmd, flag, body) is None:
                break
            yield at + i, cmd, version, flag, body
            i = tail + 4
        at += i
        if i < stop or (last and at < end):
            damage = _damage(read, at, end)
            yield damage
            at = damage.gap.end


def whole_end(read: Read, start: int, end: int) -> int:
    """Return the end of the last complete record of a block, before a torn end if there is one."""
    for found in scan(read, start, end):
        if isinstance(found, Gap) and found.torn:
            return found.start
    return end


def _damage(read: Read, at: int, end: int) -> Damage:
    gap = next((g for g in scan(read, at, end) if isinstance(g, Gap)), Gap(at, end, torn=True))
    return Damage(gap, _what(read(MAX_RECORD_BYTES, at)))


def _what(data: bytes) -> str:
    """Return the fault of the record at the beginning of `data`."""
    if len(data) < HEAD_SIZE:
        return "too short for a record"
    magic, length, checksum, cmd, _, _, _ = HEAD.unpack_from(data)
    if magic != MAGIC:
        return "no record begins here"
    if not 0 <= length <= BODY_LIMIT:
        return f"a length of {length} cannot be"
    tail = HEAD_SIZE + length
    if tail + len(MAGIC) > len(data):
        return f"a record of {length + OVERHEAD} bytes reaches beyond the end"
    if data[tail : tail + 4] != MAGIC:
        return f"no record ends where the length {length} says"
    if not is_sound(data, 0, length + OVERHEAD):
        found = crc32(data[HEAD_SIZE:tail])
        return f"the checksum is {checksum:08x}, the body has {found:08x}"
    return f"a queue record {cmd} cannot have {length} bytes"

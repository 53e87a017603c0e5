"""The fast path over records that are as they should be, which nearly all are.

Whoever reads a directory through, to rebuild the index or to verify it, looks at every record:
whole, its checksum right, a queue record one that continues its queue. `scan` and `walk` do that
with an object a record and a call of their reader for each: 2 us a record. Here it is one loop,
and 1 us. It takes only what fits without a question, and leaves the rest, one record at a time, to
them: old layouts, broken chains, damage. So what it does not know it cannot do wrong; leaving a
record to them never changes what comes out, only how long it takes.

Of that 1 us a third is taking the record apart, a quarter its checksum, and the rest the queue's
head: where 100,000 queues take turns at random the memory is waited for, and it is 1.4 us.
"""

from collections.abc import Callable
from struct import Struct
from zlib import crc32

from gobelieve.storage.format.records import (
    BATCH,
    BODY_LIMIT,
    ENTRY_SIZE,
    GROUP_ENTRY,
    HEAD_SIZE,
    MAGIC,
    USER_ENTRY,
    has_checksum,
)
from gobelieve.storage.index.heads import HEAD, Index
from gobelieve.wire.frames import GROUP
from gobelieve.wire.storage import SUPER_GROUPS, USERS

FastPath = Callable[[bytes, int, int, int], int]
"""(bytes, from where in them, up to where, the offset of the first in the block) to where it came.
At the end may lie less than a record."""

_MESSAGE = Struct(">4s3I").unpack_from
_ENTRY = Struct(">8sII3q8x4q4s").unpack_from
"""All of a queue record but the device."""
_NO_ID = 1 << 63
"""What no entry can name."""
_BEGINNING = MAGIC + (64).to_bytes(4, "big")


def _what(cmd: int, flag: int, checked: int) -> int:
    """The end of a queue record's head: cmd, version, flag, and whether there is a checksum."""
    return int.from_bytes((cmd, 0, flag, checked), "big")


# What a queue record can be: its kind, and whether it is a peer's. Upstream writes no checksum.
_KINDS = {
    _what(cmd, flag, checked): (kind, not flag)
    for cmd, flag, kind in (
        (USER_ENTRY, 0, USERS),
        (USER_ENTRY, GROUP, USERS),
        (GROUP_ENTRY, 0, SUPER_GROUPS),
    )
    for checked in (0, 1)
}


def _is_wrong(what: int, checksum: int) -> bool:
    """Whether a checksum that is not the body's should have been."""
    return has_checksum(what >> 24, what >> 16 & 255, checksum, what & 255)


class FastScan:
    """Enters in an index what fits of the blocks of a directory, which come in order."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.message = _NO_ID
        """The id of the last message, which the entries behind it are of as a rule."""
        self.kinds = [0] * 256
        """How many records of each cmd were taken."""

    def within(self, base: int) -> FastPath:
        """The fast path over a block, of which `base` is the id of its first byte."""

        def fast_path(data: bytes, i: int, stop: int, offset: int) -> int:
            return self.enter(data, i, min(stop, len(data) - ENTRY_SIZE + 1), base + offset)

        return fast_path

    def enter(self, data: bytes, i: int, stop: int, base: int) -> int:
        """Enter all records from a place on that fit; where the first begins that does not.

        From every place before `stop` an entry must be whole; `base` is the id of the first byte.
        """
        # One long loop with all at hand: a call or an attribute more a record costs 3 %.
        index, kinds, message = self._index, self.kinds, self.message
        values, head, put = index.values, HEAD.unpack_from, HEAD.pack_into
        places: dict[int, int] = {}
        current = app = -1
        kind, peers = USERS, False
        while i < stop:
            cmd = data[i + 12]
            if cmd < GROUP_ENTRY:
                magic, length, checksum, what = _MESSAGE(data, i)
                end = i + HEAD_SIZE + length
                if magic != MAGIC or length > BODY_LIMIT or data[end : end + 4] != MAGIC:
                    break
                if crc32(data[i + HEAD_SIZE : end]) != checksum and _is_wrong(what, checksum):
                    break
                kinds[cmd] += 1
                message = base + i
                i = end + 4
                continue
            begin, checksum, what, appid, owner, msgid, seq, prev, peer, batch, tail = _ENTRY(
                data, i
            )
            if begin != _BEGINNING or tail != MAGIC or msgid != message:
                break
            if crc32(data[i + HEAD_SIZE : i + HEAD_SIZE + 64]) != checksum and _is_wrong(
                what, checksum
            ):
                break
            if what != current or appid != app:
                if what not in _KINDS:
                    break
                current, app = what, appid
                kind, peers = _KINDS[what]
                places = index.table(kind, appid)
            place = places.get(owner, -1)
            if place < 0:
                place = index.place(kind, appid, owner)
            last_msgid, last, last_peer, last_batch, last_seq = head(values, place * 8)
            if prev != last or seq != last_seq + 1 or batch != last_batch or msgid <= last_msgid:
                break
            # A super group's entries name no peer.
            if peer != (0 if kind else last_peer):
                break
            id_ = base + i
            put(
                values,
                place * 8,
                msgid,
                id_,
                id_ if peers else last_peer,
                batch if seq % BATCH else id_,
                seq,
            )
            kinds[cmd] += 1
            i += ENTRY_SIZE
        self.message = message
        return i

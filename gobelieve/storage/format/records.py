"""The format of the block files, apart from the files.

A file ``message_N`` begins with 32 bytes::

    offset  size  type   name
    0       4     int32  magic     "IMIM"
    4       4     int32  version   0x00010000
    8       8      int64  skipped   numbers of blocks left out before this block: 0 in most blocks
    16      16            zeros

and continues with records, without gaps between them. All integers are big-endian::

    offset  size  type    name
    0       4     int32   magic     "IMIM"
    4       4     int32   length    L, of the body: 0 .. 32767
    8       4     uint32  checksum  CRC-32 of the body, if byte 15 says that there is one
    12      1     uint8   cmd       what the body is
    13      1     uint8   version   messages: layout of the body (we write 2); queue records: 0
    14      1     uint8   flag      4 in a user's queue record of a GROUP_IM, else 0
    15      1     uint8   checked   1; 0 in records of older daemons: there is no checksum
    16      L             body
    16+L    4     int32   magic     "IMIM"

A record is either a message or a **queue record**, which is the entry of a message in one queue.
This module does not look into the body of a message. Queue records have several layouts. The cmd
and the length name the layout. Each one is a row of int64, and `read_entry` returns an `Entry`::

    254  user         32  appid, uid, msgid, prev
                      40  appid, uid, msgid, device, prev
    250  user         48  appid, uid, msgid, device, prev, prev_peer
    249  user         56  appid, uid, msgid, device, prev, prev_peer, prev_batch
    248  user         64  appid, uid, msgid, device, seq, prev, prev_peer, prev_batch
    252  super group  40  appid, -, msgid, gid, prev
                      48  appid, -, msgid, gid, device, prev
    247  super group  64  appid, gid, msgid, device, seq, prev, 0, prev_batch

Storage writes 248 and 247. The cmds 253, 255, 9, 11, 12, 16 and 23 are obsolete, and no entry
refers to them.
"""

from struct import Struct
from typing import NamedTuple
from zlib import crc32

from gobelieve.wire.bodies import from_version_0
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, GROUP
from gobelieve.wire.message import GROWN, STORED
from gobelieve.wire.storage import SUPER_GROUPS, USERS

BLOCK_SIZE = 128 << 20
"""The largest length of a block in bytes. Every id depends on it."""
_FILE_HEADER = Struct(">4siq16x")
FILE_HEADER = _FILE_HEADER.pack(b"IMIM", 0x00010000, 0)
FIRST_OFFSET = len(FILE_HEADER)
"""The offset of the first record of a block, in bytes."""
BODY_LIMIT = CLIENT_BODY_LIMIT
"""The largest length of a record's body in bytes."""
MAGIC = b"IMIM"
HEAD = Struct(">4siIBBBB")
HEAD_SIZE = HEAD.size
OVERHEAD = HEAD_SIZE + len(MAGIC)
"""The length of a record without its body, in bytes."""
MAX_RECORD_BYTES = BODY_LIMIT + OVERHEAD
"""The largest length of a record in bytes."""
ENTRY_SIZE = 64 + OVERHEAD
"""The largest length of a queue record in bytes."""
ENTRIES_PER_BATCH = 1000
"""Entries of a queue from one `prev_batch` link to the next."""

USER_ENTRY = 248
GROUP_ENTRY = 247
QUEUE_KINDS = frozenset({254, 252, 250, 249, 248, 247})
GROUP_IM = 8
_MESSAGE_VERSION = 2
_OLD = frozenset({(254, 32), (254, 40), (252, 40), (252, 48), (250, 48), (249, 56)})

_ENTRY = Struct(">8q")
_WHOLE_ENTRY = Struct(">4siIBBBB64s4s")
_ROWS = {length: Struct(f">{length // 8}q") for length in (32, 40, 48, 56)}


class Record(NamedTuple):
    """One record with its raw body."""

    cmd: int
    version: int
    flag: int
    body: bytes


class Entry(NamedTuple):
    """A message's entry in one queue, independent of the layout in which it is stored."""

    kind: int
    """USERS or SUPER_GROUPS."""
    appid: int
    owner: int
    """The user's or the group's id."""
    msgid: int
    device: int
    seq: int
    """The number in this queue: 1, 2, 3, ...; 0 in layouts without a seq."""
    prev: int
    """The id of the entry before this one in the queue; 0 at the end of the chain."""
    prev_peer: int
    """The id of the last entry before that is not of an ordinary group's message; or 0."""
    prev_batch: int
    """The id of the last entry before whose seq is a multiple of `ENTRIES_PER_BATCH`; or 0."""
    peer: bool
    """False for an ordinary group's message."""


def pack_record(cmd: int, version: int, flag: int, body: bytes) -> bytes:
    """Return a record with its checksum."""
    return HEAD.pack(MAGIC, len(body), crc32(body), cmd, version, flag, 1) + body + MAGIC


def block_header(skipped: int) -> bytes:
    """Return the header of a block before which `skipped` numbers of blocks are left out."""
    return _FILE_HEADER.pack(b"IMIM", 0x00010000, skipped)


def skipped_of(header: bytes) -> int | None:
    """Return the number of blocks left out before a block; None if `header` is not of a block."""
    if len(header) < FIRST_OFFSET:
        return None
    skipped: int = _FILE_HEADER.unpack_from(header)[2]
    return skipped if skipped >= 0 and header[:FIRST_OFFSET] == block_header(skipped) else None


def pack_message(cmd: int, body: bytes) -> bytes:
    """Return the record of a message."""
    return HEAD.pack(MAGIC, len(body), crc32(body), cmd, _MESSAGE_VERSION, 0, 1) + body + MAGIC


def pack_entry(
    kind: int,
    appid: int,
    owner: int,
    msgid: int,
    device: int,
    seq: int,
    prev: int,
    prev_peer: int,
    prev_batch: int,
    flag: int,
) -> bytes:
    """Return a queue record with cmd 248 or 247."""
    body = _ENTRY.pack(appid, owner, msgid, device, seq, prev, prev_peer, prev_batch)
    cmd = GROUP_ENTRY if kind == SUPER_GROUPS else USER_ENTRY
    return _WHOLE_ENTRY.pack(MAGIC, 64, crc32(body), cmd, 0, flag, 1, body, MAGIC)


def whole_length(data: bytes, at: int) -> int:
    """Return the length of the record at an offset, head and end included; 0 if none is complete.

    The checksum is not checked.
    """
    if len(data) - at < OVERHEAD:
        return 0
    magic, length, _, _, _, _, _ = HEAD.unpack_from(data, at)
    if magic != MAGIC or not 0 <= length <= BODY_LIMIT:
        return 0
    end = at + HEAD_SIZE + length
    return length + OVERHEAD if data[end : end + 4] == MAGIC else 0


def has_checksum(cmd: int, version: int, checksum: int, checked: int) -> bool:
    """Return whether the checksum of a record must be right.

    Byte 15 (`checked`) says so, but damage may have changed it. Older daemons had a seq in place of
    the checksum: always 0 in queue records, and since 2018 also in messages. Version 2 came later.
    No record has the cmd 0, but a sector of zeros may begin at the cmd.
    """
    if checked or not cmd:
        return True
    return checksum != 0 and (version == _MESSAGE_VERSION or cmd in (USER_ENTRY, GROUP_ENTRY))


def is_sound(data: bytes, at: int, length: int) -> bool:
    """Return whether the body of a complete record has the right checksum, if it has one."""
    _, _, checksum, cmd, version, _, checked = HEAD.unpack_from(data, at)
    body = data[at + HEAD_SIZE : at + length - 4]
    return crc32(body) == checksum or not has_checksum(cmd, version, checksum, checked)


def read_record(data: bytes) -> Record | None:
    """Return the record at the beginning of `data`; None if it is incomplete or damaged."""
    length = whole_length(data, 0)
    if not length or not is_sound(data, 0, length):
        return None
    return Record(data[12], data[13], data[14], data[HEAD_SIZE : length - 4])


def read_entry(data: bytes) -> Entry | None:
    """Return the entry at the beginning of `data`; None if no sound queue record is there."""
    record = read_record(data)
    return None if record is None else entry_of(record.cmd, record.flag, record.body)


def entry_of(cmd: int, flag: int, body: bytes) -> Entry | None:
    """Return the entry that a record contains; None if the record is not a queue record."""
    length = len(body)
    if length == _ENTRY.size and cmd in (USER_ENTRY, GROUP_ENTRY):
        appid, owner, msgid, device, seq, prev, peer, batch = _ENTRY.unpack(body)
        kind = USERS if cmd == USER_ENTRY else SUPER_GROUPS
        return Entry(kind, appid, owner, msgid, device, seq, prev, peer, batch, not flag & GROUP)
    if (cmd, length) not in _OLD:
        return None
    row = list(_ROWS[length].unpack(body))
    # Fields that a layout does not have are 0.
    if cmd == 252:
        appid, _, msgid, owner, *rest, prev = row
        device = rest[0] if rest else 0
        return Entry(SUPER_GROUPS, appid, owner, msgid, device, 0, prev, 0, 0, True)
    if cmd == 254:
        appid, owner, msgid, *rest, prev = row
        device = rest[0] if rest else 0
        return Entry(USERS, appid, owner, msgid, device, 0, prev, prev, 0, True)
    appid, owner, msgid, device, prev, peer, *rest = row
    batch = rest[0] if rest else 0
    return Entry(USERS, appid, owner, msgid, device, 0, prev, peer, batch, not flag & GROUP)


def delivered_body(record: Record) -> bytes:
    """Return the body of a message in today's layout: version 0 had no timestamp."""
    return from_version_0(record.cmd, record.body) if record.version == 0 else record.body


def time_of(record: Record) -> int | None:
    """Return the time of a message in seconds; None where its record does not say."""
    kind = STORED.get(record.cmd)
    if kind is None or (record.version == 0 and record.cmd in GROWN):
        return None
    return kind.time(record.body)

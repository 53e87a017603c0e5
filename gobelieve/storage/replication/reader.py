"""The master's side: reading the files of a store from a slave's cursor on, as far as settled.

A slave that catches up and one that follows are served alike, so that nothing is missed between the
two. A cursor moves over the files, and everything that it passes is sent. Records are sent as they
are in the file; only their lengths and checksums are read. Damaged bytes are sent too, since a
slave's files must equal the master's byte for byte.

Before that, the slave's cursor is checked: whether the master has this place, and whether the bytes
before it are the same on both sides.
"""

from typing import NamedTuple
from zlib import crc32

from gobelieve.storage.files.blocks import Position
from gobelieve.storage.files.files import failure_of, refusal
from gobelieve.storage.format.records import FIRST_OFFSET, HEAD_SIZE, MAGIC, is_sound, whole_length
from gobelieve.storage.index.scan import Gap, scan
from gobelieve.storage.queues.store import Store
from gobelieve.wire.frames import HEADER, HEADER_SIZE

RECORDS_PER_BATCH = 1000
"""The largest number of records in a batch."""
BATCH_BYTES = 1 << 20
"""The largest length of a batch in bytes, including the magics."""
MAX_PIECE_BYTES = 8 << 20
"""The largest number of damaged bytes that are sent at once."""
TAIL_BYTES = 64 << 10
"""The largest length of a slave's tail in bytes."""
_MAGIC = len(MAGIC)


class Batch(NamedTuple):
    """Consecutive records of one block, without their magics."""

    first: int
    last: int
    """The ids of the first and of the last record."""
    records: int
    frames: bytes


class Bytes(NamedTuple):
    """Bytes of one block that are not records: its header, or damage."""

    ended: int
    """The id at which the bytes sent before end."""
    first: int
    data: bytes


class Tail(NamedTuple):
    """The last bytes of a directory, to compare it with another one."""

    first: int
    end: int
    checksum: int


def tail_of(store: Store) -> Tail:
    """Return the tail of a slave's directory; (0, 0, 0) if it has no record yet.

    Raises StorageError if the disk fails.
    """
    blocks = store.blocks
    number, offset = blocks.end
    at = len(blocks.numbers) - 1
    while offset <= FIRST_OFFSET and at > 0:
        # A block that has only its header is of no use here.
        at -= 1
        number = blocks.numbers[at]
        offset = end_of(store, number)
    if offset <= FIRST_OFFSET:
        return Tail(0, 0, 0)
    start = max(FIRST_OFFSET, offset - TAIL_BYTES)
    data = blocks.read_block(number, offset - start, start)
    base = number * blocks.size
    return Tail(base + start, base + start + len(data), crc32(data))


def check_tail(store: Store, tail: Tail, cursor: int) -> None:
    """Raise StorageError if the tail of a slave, whose end is `cursor`, differs from the master."""
    size = store.blocks.size
    number, offset = divmod(tail.first, size)
    count = tail.end - tail.first
    if not 0 <= count <= TAIL_BYTES or offset + count > size or tail.first < 0:
        raise refusal(f"a tail from {tail.first} to {tail.end} cannot be")
    if tail.end != cursor and cursor % size != FIRST_OFFSET:
        raise refusal(f"its tail ends at {tail.end}, and its end is {cursor}")
    if count and number not in store.blocks.numbers:
        raise refusal(f"its newest record is in message_{number}, which we do not have")
    if count and crc32(store.blocks.read_block(number, count, offset)) != tail.checksum:
        raise refusal(
            f"what it has from {tail.first} to {tail.end} is not what we have there:"
            " it is of another history"
        )


def place_of(store: Store, cursor: int) -> Position:
    """Return the place of a slave's cursor. StorageError if nothing can be sent from there."""
    blocks = store.blocks
    number, offset = divmod(cursor, blocks.size)
    if offset == 0 and number > 0:
        # The end of a full block has the id of the next block's first byte.
        number, offset = number - 1, blocks.size
    if cursor < 0 or offset < FIRST_OFFSET:
        raise refusal(f"its end {cursor} is no place of a record")
    if (number, offset) > store.settled:
        end = id_of(store, store.settled)
        raise refusal(f"its end {cursor} is beyond ours, which is {end}")
    if number < blocks.numbers[0]:
        oldest = blocks.numbers[0]
        raise refusal(f"its end {cursor} is before our oldest block, message_{oldest}")
    if number not in blocks.numbers:
        raise refusal(f"its end {cursor} is in message_{number}, which we do not have")
    end = end_of(store, number)
    if offset > end:
        raise refusal(f"its end {cursor} is behind the end of message_{number}, {end}")
    return number, offset


def is_boundary(store: Store, position: Position) -> bool:
    """Return whether a place seems to be between records, judging by the magics around it."""
    number, offset = position
    around = store.blocks.read_block(number, 2 * _MAGIC, offset - _MAGIC)
    before, behind = around[:_MAGIC], around[_MAGIC:]
    return offset == FIRST_OFFSET or (before == MAGIC and behind in (MAGIC, b""))


def id_of(store: Store, position: Position) -> int:
    """Return the id that a record at this place would have, as replication names places."""
    return position[0] * store.blocks.size + position[1]


def end_of(store: Store, number: int) -> int:
    """Return the offset up to which a block is settled. StorageError if the block is missing."""
    last, offset = store.settled
    return offset if number == last else min(_length(store, number), store.blocks.size)


def _length(store: Store, number: int) -> int:
    try:
        return store.blocks.length(number)
    except OSError as why:
        raise failure_of(why, store.blocks.path(number)) from why


class ReplicationReader:
    """Reads the files of a store for one slave, from its cursor on."""

    def __init__(self, store: Store, cursor: Position) -> None:
        self._store = store
        self._blocks = store.blocks
        self.cursor = cursor
        # The end of the damage in which the cursor is. It is not after the cursor if there is none.
        self._damaged_to = cursor

    @property
    def id(self) -> int:
        """Return the cursor as an id, as replication names places."""
        return id_of(self._store, self.cursor)

    def waiting(self) -> int:
        """Return roughly the number of bytes that are still to be sent."""
        return id_of(self._store, self._store.settled) - self.id

    def next(self) -> Batch | Bytes | None:
        """Return the next piece and move the cursor behind it; None if nothing more is settled.

        Raises StorageError if the piece cannot be read. The cursor then stays.
        """
        number, offset = self.cursor
        end = end_of(self._store, number)
        if offset >= end:
            return self._next_block(number, end)
        if self.cursor < self._damaged_to:
            return self._damage(number, offset)
        data = self._read(number, min(BATCH_BYTES, end - offset), offset)
        parts: list[bytes] = []
        at = last = 0
        while len(parts) < RECORDS_PER_BATCH:
            length = whole_length(data, at)
            if not length or not is_sound(data, at, length):
                break
            last = at
            at += length
            parts.append(data[last + _MAGIC : at - _MAGIC])
        if not parts:
            self._damaged_to = number, self._end_of_damage(number, offset, end)
            return self._damage(number, offset)
        self.cursor = number, offset + at
        first = number * self._blocks.size + offset
        return Batch(first, first + last, len(parts), b"".join(parts))

    def _next_block(self, number: int, end: int) -> Bytes | None:
        settled = self._store.settled[0]
        if number == settled:
            return None
        # A block without a whole header counts as missing.
        following = next(
            n for n in self._blocks.numbers if n > number and end_of(self._store, n) >= FIRST_OFFSET
        )
        header = self._read(following, FIRST_OFFSET, 0)
        self.cursor = following, FIRST_OFFSET
        size = self._blocks.size
        return Bytes(number * size + end, following * size, header)

    def _end_of_damage(self, number: int, offset: int, end: int) -> int:
        """Return where the next sound record begins. A slave that starts finds the same place."""

        def read(count: int, at: int) -> bytes:
            return self._blocks.read_block(number, max(0, min(count, end - at)), at)

        return next(found.end for found in scan(read, offset, end) if isinstance(found, Gap))

    def _damage(self, number: int, offset: int) -> Bytes:
        stop = min(self._damaged_to[1], offset + MAX_PIECE_BYTES)
        data = self._read(number, stop - offset, offset)
        first = self.id
        self.cursor = number, stop
        return Bytes(first, first, data)

    def _read(self, number: int, count: int, offset: int) -> bytes:
        data = self._blocks.read_block(number, count, offset)
        if len(data) < count:
            raise refusal(f"{self._blocks.path(number)} became shorter")
        return data


class BoundaryCheck:
    """Checks, piece by piece, that a record begins at a place.

    With `damage_too`, a place within damage is right too: a slave may have stopped there.
    """

    def __init__(self, store: Store, position: Position, damage_too: bool = False) -> None:
        self._reader = ReplicationReader(store, (position[0], FIRST_OFFSET))
        self._position = position
        self._damage_too = damage_too

    def found(self) -> bool:
        """Read one piece. Return True if the place is right, False to go on.

        Raises StorageError if the place is wrong.
        """
        reader, wanted = self._reader, self._position
        if reader.cursor < wanted:
            start = reader.cursor[1]
            piece = reader.next()
            if reader.cursor > wanted and not self._within(piece, start):
                raise refusal(f"its end, {wanted[1]} in message_{wanted[0]}, is inside a record")
        return reader.cursor >= wanted

    def _within(self, piece: Batch | Bytes | None, at: int) -> bool:
        """Return whether a record of a piece, which begins at `at`, begins at the place."""
        if not isinstance(piece, Batch):
            return self._damage_too
        i = 0
        while at < self._position[1]:
            length = HEADER.unpack_from(piece.frames, i)[0]
            i += HEADER_SIZE + length
            at += HEAD_SIZE + length + _MAGIC
        return at == self._position[1]

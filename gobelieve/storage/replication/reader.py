"""What a slave is sent: the files of a store from a cursor on, as far as they are settled.

Catching up and following are one thing, so that nothing can be missed between them: a cursor goes
over the files, and what it passes is sent. Records go as they lie there, nothing of them decoded
but their lengths and checksums. What is no sound record goes as bytes: a slave's files are to be
the master's, byte for byte, damage too.

Before that a slave's cursor is looked at: whether it is at a place that we have, and whether what
lies before it is the same here and there.
"""

from typing import NamedTuple
from zlib import crc32

from gobelieve.errors import StorageError
from gobelieve.names import AckStatus
from gobelieve.storage.files.blocks import Position
from gobelieve.storage.files.files import failure_of
from gobelieve.storage.format.records import FIRST_OFFSET, HEAD_SIZE, MAGIC, is_sound, whole_length
from gobelieve.storage.index.scan import Gap, scan
from gobelieve.storage.queues.store import Store
from gobelieve.wire.frames import HEADER, HEADER_SIZE

RECORDS_PER_BATCH = 1000
"""The most records of a batch."""
BATCH_BYTES = 1 << 20
"""The most bytes of a batch, magics included."""
MAX_PIECE_BYTES = 8 << 20
"""The most bytes that are sent as such at once."""
TAIL_BYTES = 64 << 10
"""The most bytes that a slave's tail is compared by."""
_MAGIC = len(MAGIC)


class Batch(NamedTuple):
    """Neighbouring records of one block, without their magics."""

    first: int
    last: int
    """The ids of the first and of the last record."""
    records: int
    frames: bytes


class Bytes(NamedTuple):
    """Bytes of one block that are no records: its header, or damage."""

    ended: int
    """The id where what was sent before ends."""
    first: int
    data: bytes


class Tail(NamedTuple):
    """The last bytes of a directory, by which another one is compared with it."""

    first: int
    end: int
    checksum: int


def refusal(reason: str) -> StorageError:
    """Why a slave gets nothing."""
    return StorageError(AckStatus.STORAGE_FAILED, reason)


def tail_of(store: Store) -> Tail:
    """The tail of a directory that is a slave's; (0, 0, 0) if it has no record yet.

    StorageError if the disk fails.
    """
    blocks = store.blocks
    number, offset = blocks.end
    at = len(blocks.numbers) - 1
    while offset <= FIRST_OFFSET and at > 0:
        # A block with nothing but its header says nothing.
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
    """StorageError if the tail of a slave, whose end is `cursor`, is not the same here."""
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
    """The place that a slave's cursor means; StorageError if nothing can be sent from there."""
    blocks = store.blocks
    number, offset = divmod(cursor, blocks.size)
    if offset == 0 and number > 0:
        # Behind a block that is full to the last byte.
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
    """Whether a place where we have something is between records, as far as a glance shows."""
    number, offset = position
    around = store.blocks.read_block(number, 2 * _MAGIC, offset - _MAGIC)
    before, behind = around[:_MAGIC], around[_MAGIC:]
    return offset == FIRST_OFFSET or (before == MAGIC and behind in (MAGIC, b""))


def id_of(store: Store, position: Position) -> int:
    """A place as replication names it: the id that a record there would have."""
    return position[0] * store.blocks.size + position[1]


def end_of(store: Store, number: int) -> int:
    """How far a block is settled. StorageError if it is gone."""
    last, offset = store.settled
    return offset if number == last else min(_length(store, number), store.blocks.size)


def _length(store: Store, number: int) -> int:
    try:
        return store.blocks.length(number)
    except OSError as why:
        raise failure_of(why, store.blocks.path(number)) from why


class ReplicationReader:
    """One slave's cursor."""

    def __init__(self, store: Store, cursor: Position) -> None:
        self._store = store
        self._blocks = store.blocks
        self.cursor = cursor
        # How far the damage reaches that it is in: behind the cursor, if it is in none.
        self._damaged_to = cursor

    @property
    def id(self) -> int:
        """The cursor, as replication names it."""
        return id_of(self._store, self.cursor)

    def waiting(self) -> int:
        """How many bytes are before the cursor, roughly."""
        return id_of(self._store, self._store.settled) - self.id

    def next(self) -> Batch | Bytes | None:
        """What comes next, and the cursor moves behind it; None if nothing is settled yet.

        StorageError if it cannot be read; the cursor stays.
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
        # One that lost even its header counts as missing.
        following = next(
            n for n in self._blocks.numbers if n > number and end_of(self._store, n) >= FIRST_OFFSET
        )
        header = self._read(following, FIRST_OFFSET, 0)
        self.cursor = following, FIRST_OFFSET
        size = self._blocks.size
        return Bytes(number * size + end, following * size, header)

    def _end_of_damage(self, number: int, offset: int, end: int) -> int:
        """Where the next sound record begins, as a slave that starts again sees it."""

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
    """Looks whether a place is where a record begins, or may.

    `damage_too`: or within damage. Slaves of ours may have stopped there.
    """

    def __init__(self, store: Store, position: Position, damage_too: bool = False) -> None:
        self._reader = ReplicationReader(store, (position[0], FIRST_OFFSET))
        self._position = position
        self._damage_too = damage_too

    def found(self) -> bool:
        """Look at one piece; whether it is known that it is one. StorageError if it is none."""
        reader, wanted = self._reader, self._position
        if reader.cursor < wanted:
            start = reader.cursor[1]
            piece = reader.next()
            if reader.cursor > wanted and not self._within(piece, start):
                raise refusal(f"its end, {wanted[1]} in message_{wanted[0]}, is inside a record")
        return reader.cursor >= wanted

    def _within(self, piece: Batch | Bytes | None, at: int) -> bool:
        """Whether one of the records of a piece begins there."""
        if not isinstance(piece, Batch):
            return self._damage_too
        i = 0
        while at < self._position[1]:
            length = HEADER.unpack_from(piece.frames, i)[0]
            i += HEADER_SIZE + length
            at += HEAD_SIZE + length + _MAGIC
        return at == self._position[1]

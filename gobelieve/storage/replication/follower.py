"""The slave's side: turning the messages of its master into pieces of a block, at the same place.

A slave's files equal the master's byte for byte, with the same blocks and the same ids. So a piece
must begin at the slave's end, or begin the next block. Anything else would leave a gap and is
refused. The slave then asks again from its own end.
"""

from gobelieve.errors import BodyError, WireError
from gobelieve.interfaces import Log
from gobelieve.storage.files.blocks import Blocks, Position
from gobelieve.storage.format.layout import MAX_BLOCK
from gobelieve.storage.format.records import (
    BODY_LIMIT,
    FILE_HEADER,
    FIRST_OFFSET,
    MAGIC,
    OVERHEAD,
    QUEUE_KINDS,
    Entry,
    entry_of,
    is_sound,
)
from gobelieve.storage.queues.piece import Piece
from gobelieve.wire.frames import HEADER, HEADER_SIZE
from gobelieve.wire.message import Message
from gobelieve.wire.replication import StorageSyncBytes, StorageSyncMessage, StorageSyncMessageBatch


class Follower:
    """Makes pieces of the messages of a master. Raises `WireError` for an impossible one."""

    def __init__(self, blocks: Blocks, log: Log) -> None:
        self._blocks = blocks
        self._log = log

    @property
    def end(self) -> int:
        """Return the id that the next record of this slave would have."""
        number, offset = self._blocks.end
        return number * self._blocks.size + offset

    def piece(self, sent: Message) -> Piece:
        """Return the piece that a message of the master contains."""
        if isinstance(sent, StorageSyncBytes):
            return self._bytes(sent.ended, sent.first_id, sent.content)
        if isinstance(sent, StorageSyncMessage):
            return self._records(sent.msgid, 1, sent.inner)
        if isinstance(sent, StorageSyncMessageBatch):
            return self._records(sent.first_id, sent.count, sent.frames)
        raise WireError(f"{sent.label} contains no records")

    def _bytes(self, ended: int, first: int, data: bytes) -> Piece:
        number, offset = divmod(first, self._blocks.size)
        mine = self._blocks.end
        begins = offset == 0 and mine[0] < number <= MAX_BLOCK and len(data) == FIRST_OFFSET
        if ended != self.end or not (begins or first == ended):
            raise self._gap(first)
        if not begins:
            number, offset = mine
        self._fits(offset + len(data), first)
        return Piece((number, offset), data, [])

    def _records(self, first: int, count: int, frames: bytes) -> Piece:
        parts: list[bytes] = []
        at, end = 0, len(frames)
        while at < end:
            if end - at < HEADER_SIZE:
                raise BodyError("the head of a record is cut short")
            length = HEADER.unpack_from(frames, at)[0]
            if not 0 <= length <= BODY_LIMIT or HEADER_SIZE + length > end - at:
                raise BodyError(f"a record of {length} bytes cannot be")
            parts += (MAGIC, frames[at : at + HEADER_SIZE + length], MAGIC)
            at += HEADER_SIZE + length
        if not parts or len(parts) != 3 * count:
            raise BodyError(f"{len(parts) // 3} records came where {count} are promised")
        data = b"".join(parts)
        position = self._place(first, len(parts[1]) + 2 * len(MAGIC))
        self._fits(max(position[1], FIRST_OFFSET) + len(data), first)
        entries = self._entries(first, data)
        if position[1] == 0:
            data = FILE_HEADER + data
        return Piece(position, data, entries)

    def _place(self, first: int, length: int) -> Position:
        """Return the place of records whose first one has this id and length."""
        number, offset = self._blocks.end
        if first == self.end:
            return number, offset
        # A master of the Go server does not send that a block is full; this record shows it.
        size = self._blocks.size
        full = offset + length > size
        if full and first == (number + 1) * size + FIRST_OFFSET and number < MAX_BLOCK:
            return number + 1, 0
        raise self._gap(first)

    def _gap(self, first: int) -> WireError:
        return WireError(f"it sends what begins at {first}, and our end is {self.end}")

    def _fits(self, end: int, first: int) -> None:
        if end > self._blocks.size:
            raise WireError(f"what begins at {first} reaches beyond its block")

    def _entries(self, first: int, data: bytes) -> list[tuple[int, Entry]]:
        entries: list[tuple[int, Entry]] = []
        at, end = 0, len(data)
        while at < end:
            length = int.from_bytes(data[at + 4 : at + 8], "big") + OVERHEAD
            if data[at + 12] in QUEUE_KINDS:
                body = data[at + HEADER_SIZE + 4 : at + length - 4]
                sound = is_sound(data, at, length)
                entry = entry_of(data[at + 12], data[at + 14], body) if sound else None
                if entry is not None and 0 < entry.msgid < first + at:
                    entries.append((first + at, entry))
                else:
                    what = "the queue record {id} is damaged, as our master has it"
                    self._log.error(what, id=first + at)
            at += length
        return entries

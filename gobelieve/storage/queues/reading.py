"""Reading a queue: pages from its old end, its newest messages, and the number of messages.

A queue is a chain of entries from the newest to the oldest. Every 1000th entry has a link to the
one 1000 entries before. So a read need not walk the whole chain to begin at the old end. A page of
n messages takes a walk over about n + 1000 entries. (Entries of the first years of the Go
server have no such links.)

Damaged records are skipped. If an operator has removed a block, the queues end there. A reader
never follows a chain into the queue of another owner: such an entry counts as damage.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gobelieve.interfaces import Log, Page
from gobelieve.names import User
from gobelieve.storage.files.blocks import Blocks
from gobelieve.storage.format.records import (
    ENTRY_SIZE,
    HEAD_SIZE,
    MAX_RECORD_BYTES,
    OVERHEAD,
    Entry,
    Record,
    delivered_body,
    read_entry,
    read_record,
    time_of,
)
from gobelieve.storage.index.heads import LAST_BATCH, LAST_ID, LAST_MSGID, Head
from gobelieve.wire.message import STORED
from gobelieve.wire.storage import SUPER_GROUPS, USERS, StoredMessage

PAGE_BYTES = 4 << 20
"""The largest size of a page: the bytes of its bodies, and 32 bytes per message."""
FIRST_READ_BYTES = 512
"""The bytes of the first read. A longer record takes a second read."""
MAX_DAMAGED_IDS = 1000

HeadOf = Callable[[int, int, int], Head | None]
EMPTY = Page(0, 0, False, ())


class _Queue(NamedTuple):
    """The queue that is read. Each of its entries names the same kind and owner."""

    kind: int
    appid: int
    owner: int


class _Place(NamedTuple):
    """The message of an entry."""

    msgid: int
    device: int


class QueueReader:
    """Reads queues. All methods raise StorageError if the disk fails.

    `heads` returns the end of a queue that readers may see, or None for an empty queue. `on_damage`
    is called with the id of each damaged entry that no bridge steps over.
    """

    def __init__(
        self, blocks: Blocks, *, heads: HeadOf, on_damage: Callable[[int], None], log: Log
    ) -> None:
        self.bridges: dict[int, int] = {}
        """By id of an entry whose `prev` is wrong: the id of the entry before it."""
        self._blocks = blocks
        self._heads = heads
        self._log = log
        self._on_damage = on_damage
        self._damaged: set[int] = set()

    @property
    def damaged_records(self) -> int:
        """Return the number of damaged records found since the start: at most `MAX_DAMAGED_IDS`."""
        return len(self._damaged)

    def forget(self, end: int) -> None:
        """Remove the bridges from this id on, since the records were taken back."""
        for id_ in [id_ for id_ in self.bridges if id_ >= end]:
            del self.bridges[id_]

    def fetch(self, user: User, after: int, limit: int, max_bytes: int = PAGE_BYTES) -> Page:
        """Return the oldest messages of a user after an id.

        The page ends after `limit` entries (at least 1), or after `max_bytes` of messages (at least
        one message).
        """
        return self._page(USERS, user, after, limit, max_bytes, 0)

    def fetch_group(
        self, group: User, after: int, joined: int, limit: int, max_bytes: int = PAGE_BYTES
    ) -> Page:
        """Return the oldest messages of a super group after an id, within the limits of `fetch`.

        What was sent before `joined` (seconds) is left out; with 0, nothing is.
        """
        return self._page(SUPER_GROUPS, group, after, limit, max_bytes, joined)

    def fetch_latest(self, user: User, limit: int, max_bytes: int = PAGE_BYTES) -> Page:
        """Return the newest messages of a user, at most `limit` (at least 1)."""
        queue = _Queue(USERS, *user)
        head = self._heads(*queue)
        if head is None:
            return EMPTY
        messages, _ = self._backwards(queue, head[LAST_ID], limit, max_bytes)
        newest = head[LAST_MSGID]
        return Page(newest, newest, False, messages)

    def fetch_before(
        self, user: User, before: int, limit: int, max_bytes: int = PAGE_BYTES
    ) -> Page:
        """Return the newest messages of a user before an id, at most `limit` (at least 1).

        `last` of the page is the id of its oldest message, or `before` if it has none; `more` says
        whether the queue has older entries.
        """
        queue = _Queue(USERS, *user)
        head = self._heads(*queue)
        if head is None:
            return EMPTY
        newest = self._entry_before(queue, head, before)
        messages, left = self._backwards(queue, newest, limit, max_bytes)
        last = messages[0].msgid if messages else before
        return Page(last, head[LAST_MSGID], left != 0, messages)

    def _backwards(
        self, queue: _Queue, id_: int, limit: int, bytes_left: int
    ) -> tuple[list[StoredMessage], int]:
        """Return messages from an entry backwards, oldest first, and the entry before them or 0."""
        found: list[StoredMessage] = []
        while id_ and len(found) < max(limit, 1):
            entry = self._entry(queue, id_)
            if entry is None:
                return found[::-1], 0
            record = self._message(entry.msgid)
            kind = None if record is None else STORED.get(record.cmd)
            if record is not None and kind is not None and kind.facts.in_history:
                body = delivered_body(record)
                bytes_left -= len(body) + 32
                if bytes_left < 0 and found:
                    break
                found.append(StoredMessage(entry.msgid, entry.device, record.cmd, body))
            id_ = self._before(id_, entry)
        return found[::-1], id_

    def _entry_before(self, queue: _Queue, head: Head, before: int) -> int:
        """Return the newest entry whose message has an id below `before`; 0 if there is none."""
        id_: int = head[LAST_ID]
        batch: int = head[LAST_BATCH]
        while batch:
            entry = self._entry(queue, batch)
            if entry is None or entry.msgid < before:
                break
            id_ = batch
            batch = entry.prev_batch if 0 < entry.prev_batch < batch else 0
        while id_:
            entry = self._entry(queue, id_)
            if entry is None:
                return 0
            if entry.msgid < before:
                break
            id_ = self._before(id_, entry)
        return id_

    def count_new(self, user: User, after: int) -> int:
        """Return the number of entries in a user's queue after an id, of all commands."""
        queue = _Queue(USERS, *user)
        head = self._heads(*queue)
        if head is None:
            return 0
        count, id_, tried = 0, head[LAST_ID], 0
        while id_:
            entry = self._entry(queue, id_)
            if entry is None or entry.msgid <= after:
                break
            if 0 < entry.prev_batch < id_ and entry.prev_batch != tried:
                tried = entry.prev_batch
                batch = self._entry(queue, tried)
                # The seqs are used only if both entries have one.
                if batch is not None and batch.msgid > after and 0 < batch.seq < entry.seq:
                    count += entry.seq - batch.seq
                    id_ = tried
                    continue
            count += 1
            id_ = self._before(id_, entry)
        return count

    # --- pages

    def _page(
        self, kind: int, owner: User, after: int, limit: int, bytes_left: int, joined: int
    ) -> Page:
        queue = _Queue(kind, *owner)
        head = self._heads(*queue)
        if head is None:
            return EMPTY
        newest = head[LAST_MSGID]
        if after >= newest:
            return Page(newest, newest, False, ())
        messages: list[StoredMessage] = []
        places = self._places_after(queue, head, after, max(limit, 1))
        # If no message is readable, the page still ends at the newest id. Otherwise the client
        # would ask for ever.
        last = newest
        for msgid, device in places:
            record = self._message(msgid)
            if record is not None and record.cmd in STORED:
                body = delivered_body(record)
                if joined <= 0 or not _was_sent_before(record, joined):
                    bytes_left -= len(body) + 32
                    if bytes_left < 0 and messages:
                        break
                    messages.append(StoredMessage(msgid, device, record.cmd, body))
            last = msgid
        return Page(last, newest, last < newest, messages)

    def _places_after(self, queue: _Queue, head: Head, after: int, limit: int) -> list[_Place]:
        """Return the oldest entries after an id, oldest first: at most `limit`."""
        starts = [head[LAST_ID]]
        id_ = head[LAST_BATCH]
        while id_:
            entry = self._entry(queue, id_)
            if entry is None or entry.msgid <= after:
                break
            if id_ != starts[-1]:
                starts.append(id_)
            id_ = entry.prev_batch if 0 < entry.prev_batch < id_ else 0
        found: list[_Place] = []
        floor = 0
        for start in reversed(starts):
            found += self._walk(queue, start, floor, after, limit - len(found))
            if len(found) == limit:
                break
            floor = start
        return found

    def _walk(self, queue: _Queue, id_: int, floor: int, after: int, limit: int) -> list[_Place]:
        """Return the oldest `limit` entries after an id in the part of the chain above `floor`."""
        oldest: deque[_Place] = deque(maxlen=limit)
        while id_ > floor:
            entry = self._entry(queue, id_)
            if entry is None or entry.msgid <= after:
                break
            oldest.append(_Place(entry.msgid, entry.device))
            id_ = self._before(id_, entry)
        return list(reversed(oldest))

    # --- records

    def _entry(self, queue: _Queue, id_: int) -> Entry | None:
        """Return the entry of a queue at an id; None if no sound entry of this queue is there."""
        entry = read_entry(self._blocks.read(id_, ENTRY_SIZE))
        if entry is not None and entry[:3] == queue:
            return entry
        wrong = "damaged" if entry is None else "of another queue"
        if self._report(id_, wrong) and not self._is_bridged(id_):
            self._on_damage(id_)
        return None

    def _is_bridged(self, id_: int) -> bool:
        """Return whether the start bridged a damaged entry, so that readers step over it."""
        behind = (read_entry(self._blocks.read(id_, ENTRY_SIZE)) for id_ in self.bridges)
        return any(entry is not None and entry.prev == id_ for entry in behind)

    def _before(self, id_: int, entry: Entry) -> int:
        """Return the entry before another one; 0 at the end, or if a record names a higher id."""
        before = self.bridges.get(id_, entry.prev) if self.bridges else entry.prev
        return before if 0 < before < id_ else 0

    def _message(self, id_: int) -> Record | None:
        data = self._blocks.read(id_, FIRST_READ_BYTES)
        if len(data) == FIRST_READ_BYTES:
            length = int.from_bytes(data[4:8], "big") + OVERHEAD
            if FIRST_READ_BYTES < length <= MAX_RECORD_BYTES:
                data = self._blocks.read(id_, length)
        record = read_record(data)
        if record is None:
            self._report(id_, "damaged")
        return record

    def _report(self, id_: int, wrong: str) -> bool:
        """Log a wrong record once. Return False if it is known, or if its block is missing."""
        if id_ in self._damaged or not self._blocks.read(id_, HEAD_SIZE):
            return False
        if len(self._damaged) < MAX_DAMAGED_IDS:
            self._damaged.add(id_)
            what = "the record at id {id} is {wrong} and skipped"
            self._log.error(what, id=id_, wrong=wrong)
        return True


def _was_sent_before(record: Record, joined: int) -> bool:
    when = time_of(record)
    return when is not None and when < joined

"""Checking the queues: each entry must point to the entries before it, and to a message.

Entries come in the order of their ids. Only the last entry of each queue is kept. If an entry is
wrong, the next entry is compared with the wrong one, so that one fault is reported once.

A pointer into a missing block is not a fault, since an operator may remove old blocks.
"""

from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.records import (
    ENTRIES_PER_BATCH,
    ENTRY_SIZE,
    MAX_RECORD_BYTES,
    QUEUE_KINDS,
    Entry,
    entry_of,
    read_entry,
    read_record,
)
from gobelieve.storage.index.heads import Index
from gobelieve.wire.storage import USERS

NO_MESSAGES = QUEUE_KINDS | {253, 255}
"""Records that are not messages: the entries, and the obsolete acks."""
UNKNOWN = -1
"""Stands for the seq and `prev_batch` of a last entry whose layout has neither."""


def owner_name(kind: int, appid: int, owner: int) -> str:
    """Return a queue's owner as findings name it."""
    return f"{'user' if kind == USERS else 'group'} {appid}:{owner}"


class Chains:
    """Checks entries, and keeps the last entry of each queue of a directory."""

    def __init__(self, folder: ReadOnlyFolder, index: Index) -> None:
        self._folder = folder
        self._index = index

    def enter(self, id_: int, cmd: int, flag: int, body: bytes, message: int) -> str:
        """Return the faults of an entry, or "". `message` is the id of the last message."""
        entry = entry_of(cmd, flag, body)
        # `walk` reports a queue record that cannot be unpacked as damage.
        assert entry is not None
        wrong = self._compare(id_, cmd, entry)
        if entry.msgid != message:
            wrong += self._message(id_, entry)
        self._take(id_, entry)
        owner_ = owner_name(entry.kind, entry.appid, entry.owner)
        return f"entry of {owner_}: {'; '.join(wrong)}" if wrong else ""

    def _take(self, id_: int, entry: Entry) -> None:
        place = self._index.place(entry.kind, entry.appid, entry.owner)
        peer, batch, seq = id_ if entry.peer else entry.prev_peer, UNKNOWN, UNKNOWN
        if entry.seq:
            batch, seq = entry.prev_batch if entry.seq % ENTRIES_PER_BATCH else id_, entry.seq
        self._index.put(place, (entry.msgid, id_, peer, batch, seq))

    def _compare(self, id_: int, cmd: int, entry: Entry) -> list[str]:
        """Return the faults of an entry compared with the last entry of its queue."""
        place = self._index.place(entry.kind, entry.appid, entry.owner)
        last_msgid, last, last_peer, last_batch, last_seq = self._index.head(place)
        wrong: list[str] = []
        if entry.prev != last:
            if self._folder.is_missing(entry.prev):
                return []
            wrong.append(self._prev(id_, entry, last))
        if 0 < entry.msgid <= last_msgid:
            wrong.append(f"message {entry.msgid} is not after {last_msgid}")
        # The oldest layout has no link but prev, and only the newest layout has a seq.
        for there, name, found, expected in (
            (cmd != 254, "prev_peer", entry.prev_peer, last_peer if entry.kind == USERS else 0),
            (entry.seq and last_batch != UNKNOWN, "prev_batch", entry.prev_batch, last_batch),
            (entry.seq and last_seq != UNKNOWN, "seq", entry.seq, last_seq + 1),
        ):
            if there and found != expected:
                wrong.append(f"{name} is {found}, not {expected}")
        return wrong

    def _prev(self, id_: int, entry: Entry, last: int) -> str:
        prev = entry.prev
        before = f"the entry before is {last}" if last else "it is the first"
        if not prev:
            return f"prev is 0, but {before}"
        if not 0 < prev < id_:
            return f"prev {prev} cannot be"
        other = read_entry(self._folder.read(prev, ENTRY_SIZE))
        if other is None:
            return f"prev {prev} is no queue record, {before}"
        if (other.kind, other.appid, other.owner) != (entry.kind, entry.appid, entry.owner):
            return f"prev {prev} is of {owner_name(other.kind, other.appid, other.owner)}, {before}"
        return f"prev is {prev}, but {before}"

    def _message(self, id_: int, entry: Entry) -> list[str]:
        """Return the faults of the message to which an entry points."""
        msgid = entry.msgid
        if not 0 < msgid < id_:
            return [f"message {msgid} cannot be"]
        if self._folder.is_missing(msgid):
            return []
        record = read_record(self._folder.read(msgid, MAX_RECORD_BYTES))
        if record is None:
            return [f"message {msgid} is missing or damaged"]
        if record.cmd in NO_MESSAGES:
            return [f"message {msgid} is not a message but a record {record.cmd}"]
        return []

"""The content of a directory: all its records, or the messages of one queue.

The blocks are read from front to back, so that nothing depends on the links of a damaged chain.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.records import (
    FIRST_OFFSET,
    MAX_RECORD_BYTES,
    QUEUE_KINDS,
    Entry,
    Record,
    entry_of,
    read_record,
)
from gobelieve.storage.tools.walk import Damage, walk


class Item(NamedTuple):
    """A record with its id, or an entry of a queue with its message."""

    id: int
    record: Record | None
    """None if the message of an entry cannot be read."""
    entry: Entry | None
    """None if the record is a message and was not found by an entry."""


class DamagedBytes(NamedTuple):
    """Bytes that are not a sound record."""

    id: int
    length: int
    what: str


def records(folder: ReadOnlyFolder, after: int) -> Iterator[Item | DamagedBytes]:
    """Yield all records after an id, in order, and the damage between them."""
    for number in folder.numbers:
        base, end = number * folder.size, folder.end(number)
        if base + end <= after:
            continue
        for found in walk(folder.reader(number), FIRST_OFFSET, end):
            if isinstance(found, Damage):
                (start, stop, _), what = found
                if base + start > after:
                    yield DamagedBytes(base + start, stop - start, what)
                continue
            offset, cmd, version, flag, body = found
            if base + offset > after:
                record = Record(cmd, version, flag, body)
                entry = entry_of(cmd, flag, body) if cmd in QUEUE_KINDS else None
                yield Item(base + offset, record, entry)


def queue(folder: ReadOnlyFolder, kind: int, appid: int, owner: int, after: int) -> Iterator[Item]:
    """Yield the messages of one queue after a message id, oldest first. Links do not matter."""
    wanted = (kind, appid, owner)
    # The owner is in the entry in all layouts. This check is fast and skips most other queues.
    packed = owner.to_bytes(8, "big", signed=True)
    for number in folder.numbers:
        base, end = number * folder.size, folder.end(number)
        # An entry comes after its message.
        if base + end <= after:
            continue
        for found in walk(folder.reader(number), FIRST_OFFSET, end):
            if isinstance(found, Damage) or found[1] not in QUEUE_KINDS or packed not in found[4]:
                continue
            entry = entry_of(found[1], found[3], found[4])
            if entry is None or entry[:3] != wanted or entry.msgid <= after:
                continue
            record = (
                read_record(folder.read(entry.msgid, MAX_RECORD_BYTES)) if entry.msgid > 0 else None
            )
            yield Item(base + found[0], record, entry)

"""What is in a directory, for whoever wants to look at it: its records, or one queue's messages.

Everything is read from front to back, so that nothing depends on the links of a damaged chain.
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
    """A record and its id; or an entry of a queue with the message that it is of."""

    id: int
    record: Record | None
    """None: of an entry, that the message cannot be read."""
    entry: Entry | None
    """None: the record is a message."""


class DamagedBytes(NamedTuple):
    """Bytes that are no sound record."""

    id: int
    length: int
    what: str


def records(folder: ReadOnlyFolder, after: int) -> Iterator[Item | DamagedBytes]:
    """All records behind an id, in order, and what is damaged between them."""
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
    """The messages of one queue after a message's id, oldest first, whatever its links say."""
    wanted = (kind, appid, owner)
    # All layouts have it somewhere: a quick look at most entries of others.
    packed = owner.to_bytes(8, "big", signed=True)
    for number in folder.numbers:
        base, end = number * folder.size, folder.end(number)
        # An entry lies behind its message.
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

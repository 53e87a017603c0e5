"""The queues in which upstream's gateway left messages of ordinary groups, as they lie on disk.

Up to July 2018 one queue, ``pending_group_messages`` and ``cursor`` in ``pending_root``; later
some, in the folders ``q0``, ``q1`` and so on. All integers are big-endian.

The first file begins with 32 bytes: ``IMIM``, int32 0x00010000, zeros. Then records, of which the
place in the file is the id:

========== ==========================================================================
4          ``IMIM``
4          L, the bytes of the next two
12         a frame header with the command 251 and the length L - 12
L - 12     appid, sender, device, group (int64 each), timestamp (int32), how many
           members (16 bits), the members (int64 each), the content
4, 4       L and ``IMIM`` again
========== ==========================================================================

The other file is one int64: the id of the record that was delivered last, 0 if none was.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from heapq import merge
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from gobelieve.errors import BackendError
from gobelieve.interfaces import PendingMessage
from gobelieve.wire.client import GroupIM

MESSAGES = "pending_group_messages"
CURSOR = "cursor"
IMPORTED = ".imported"
"""Added to the names of files whose messages were taken over."""

_MAGIC = b"IMIM"
_FILE_HEAD = Struct(">4si24x")
_VERSION = 0x00010000
_HEAD = Struct(">4siiiBBBB")
_TAIL = Struct(">i4s")
_FRAME = 12
_BEGIN = _HEAD.size - _FRAME
_COMMAND = 251
_MESSAGE = Struct(">qqqqiH")
_CURSOR = Struct(">q")
_STORED = Struct(">qqii")
_COUNTS = 1 << 16
"""Members are counted in 16 bits, so that a larger group's count is too small by some of these."""


class OldMessage(NamedTuple):
    """A record."""

    timestamp: int
    message: PendingMessage


class OldQueue(NamedTuple):
    """What one queue holds."""

    folder: Path
    digest: bytes
    """Of both files."""
    waiting: list[OldMessage]
    """What is not delivered, in its order."""
    delivered: list[tuple[int, bytes]]
    """App and body of what is, as far as it looks like something that is not."""
    remarks: list[str]
    """What an operator should know."""

    def set_aside(self) -> None:
        """Rename the files, so that nobody takes the messages over again. `BackendError`."""
        try:
            for name in (MESSAGES, CURSOR):
                path = self.folder / name
                with suppress(FileNotFoundError):
                    path.rename(_free_name(path))
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as why:
            raise BackendError(f"{self.folder}: {why}") from None


def _free_name(path: Path) -> Path:
    free, number = path.with_name(path.name + IMPORTED), 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}{IMPORTED}-{number}")
    return free


def find(root: Path) -> list[OldQueue]:
    """The queues in the folder. `BackendError` if one cannot be read, or is something else."""
    folders = [root, *sorted(root.glob("q[0-9]*"), key=lambda one: (len(one.name), one.name))]
    try:
        read = [_Files(one) for one in folders if (one / MESSAGES).is_file()]
        waiting = [list(files.waiting()) for files in read]
        bodies = {_key(one) for queue in waiting for one in queue}
        return [
            OldQueue(
                files.folder, files.digest, queue, list(files.delivered(bodies)), files.remarks
            )
            for files, queue in zip(read, waiting, strict=True)
        ]
    except OSError as why:
        raise BackendError(f"{why.filename or root}: {why.strerror}") from None


def merged(queues: Sequence[OldQueue], storages: int) -> list[PendingMessage]:
    """All that waits, the order of each queue kept. `storages`: how many there are.

    Upstream gave messages no numbers. Two that are alike to the second get some, so that the
    fan-out, which looks whether upstream has brought a part of a message about, tells them apart.
    The first of them keeps upstream's form: it may be the one that is there in part.
    """
    alike = Counter(key for queue in queues for key in queue.delivered)
    messages = []
    for old in merge(*(queue.waiting for queue in queues), key=lambda one: one.timestamp):
        before = alike[_key(old)]
        alike[_key(old)] += 1
        body = old.message.body
        if before:
            start = _STORED.size - 4
            body = body[:start] + before.to_bytes(4, "big") + body[_STORED.size :]
        messages.append(old.message._replace(body=body, after_ids=(0,) * storages))
    return messages


def _key(old: OldMessage) -> tuple[int, bytes]:
    return old.message.appid, old.message.body


class _Files:
    """The two files of a queue, read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remarks: list[str] = []
        self._path = folder / MESSAGES
        self._data = self._path.read_bytes()
        cursor = b""
        with suppress(FileNotFoundError):
            cursor = (folder / CURSOR).read_bytes()
        self.digest = blake2b(self._data, digest_size=32, key=cursor[:64]).digest()
        # A shorter one is what a crash left of a new file.
        whole = len(self._data) >= _FILE_HEAD.size
        if whole and _FILE_HEAD.unpack_from(self._data) != (_MAGIC, _VERSION):
            raise BackendError(f"{self._path} is no queue of group messages")
        self._delivered = self._delivered_up_to(cursor)

    def _delivered_up_to(self, cursor: bytes) -> int:
        """The place of the record that was delivered last; 0 if none was."""
        delivered = _CURSOR.unpack_from(cursor)[0] if len(cursor) >= _CURSOR.size else 0
        if delivered and not any(place == delivered for place, _ in self._records([])):
            # Upstream was killed when it had cut off what was delivered, and before it wrote the
            # cursor. What the file has then came later.
            self.remarks.append(f"{self._path}: the cursor names no record; all are sent on")
            return 0
        return delivered

    def waiting(self) -> Iterator[OldMessage]:
        """What lies behind the cursor."""
        for place, record in self._records(self.remarks):
            if place > self._delivered:
                old = _parse(record)
                if old is None:
                    said = f"{self._path}: the record at {place} makes no sense; it is left out"
                    self.remarks.append(said)
                else:
                    yield old

    def delivered(self, wanted: set[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """What does not, and is one of these."""
        for place, record in self._records([]):
            if not wanted or place > self._delivered:
                return
            old = _parse(record)
            if old is not None and _key(old) in wanted:
                yield _key(old)

    def _records(self, remarks: list[str]) -> Iterator[tuple[int, bytes]]:
        """Each record's place, and what is in it: a frame."""
        data, place = self._data, _FILE_HEAD.size
        while place < len(data):
            end = _end(data, place)
            if end:
                yield place, data[place + _BEGIN : end - _TAIL.size]
                place = end
                continue
            begun = place
            while place >= 0 and not _end(data, place):
                place = data.find(_MAGIC, place + 1)
            if place < 0:
                torn = len(data) - begun
                remarks.append(f"{self._path}: the last {torn} bytes are a torn write; they stay")
                return
            remarks.append(f"{self._path}: {place - begun} bytes at {begun} are no record")


def _end(data: bytes, place: int) -> int:
    """Where the record at a place ends; 0 if there is none."""
    if len(data) - place < _HEAD.size + _TAIL.size:
        return 0
    magic, length, *_ = _HEAD.unpack_from(data, place)
    end: int = place + _BEGIN + length
    if magic != _MAGIC or length < _FRAME or end + _TAIL.size > len(data):
        return 0
    return end + _TAIL.size if _TAIL.unpack_from(data, end) == (length, _MAGIC) else 0


def _parse(frame: bytes) -> OldMessage | None:
    """The message in a record; None if it makes no sense."""
    body = frame[_FRAME:]
    command = frame[8]
    if command != _COMMAND or int.from_bytes(frame[:4], "big") != len(body):
        return None
    if len(body) < _MESSAGE.size:
        return None
    appid, sender, device, group_id, timestamp, count = _MESSAGE.unpack_from(body)
    split = _content(body, count)
    if not split or not group_id:
        return None
    uids = Struct(f">{(split - _MESSAGE.size) // 8}q").unpack_from(body, _MESSAGE.size)
    members = tuple(dict.fromkeys(uids))
    stored = _STORED.pack(sender, group_id, timestamp, 0) + body[split:]
    message = PendingMessage(appid, group_id, sender, device, GroupIM.number, stored, members, ())
    return OldMessage(timestamp, message) if members else None


def _content(body: bytes, count: int) -> int:
    """Where the content begins; 0 if there is no room for so many members.

    A group of more than 65,535 members has a count that is too small, and then what would be the
    content begins with members: numbers, whose zeros no text has.
    """
    first = _MESSAGE.size + 8 * count
    if first > len(body):
        return 0
    for split in range(first, len(body) + 1, 8 * _COUNTS):
        if b"\0" not in body[split:]:
            return split
    return first

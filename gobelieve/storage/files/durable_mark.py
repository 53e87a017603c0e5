"""The mark: up to where a directory was on disk when somebody was told so.

Behind the mark nobody relies on the records, so the start cuts the log off there at the first
damage: a power cut may leave holes in what was not synced. Before the mark nothing is cut.
A directory that ends before its mark has lost records that senders or a master rely on.

The file ``durable`` has 64 bytes, and is overwritten in place, so that it needs no space later::

    <block> <offset> <synced|written> <whole|damaged> <CRC-32 of the text before, in hex>

``written``: saves were answered before they were on disk, and the daemon did not stop in good
order. ``damaged``: a start found damage before the mark. After a power cut the mark may be a second
old.
"""

import os
from contextlib import suppress
from typing import NamedTuple
from zlib import crc32

from gobelieve.interfaces import Time
from gobelieve.storage.files.files import Files
from gobelieve.storage.format.layout import DURABLE

INTERVAL = 1.0
"""Seconds from one sync of the mark to the next, within one block."""
_LENGTH = 64
Position = tuple[int, int]


class Mark(NamedTuple):
    """The content of the file."""

    position: Position
    """The end of what was on disk: block number and offset."""
    is_written_only: bool = False
    """Whether saves behind the position may have been answered."""
    is_damaged: bool = False
    """Whether there is damage before the position."""


def read_mark(root: str) -> Mark | None:
    """Return the mark of a directory; None if it has no mark, or a damaged one. Raises OSError."""
    try:
        with open(os.path.join(root, DURABLE), "rb") as file:
            parts = file.read(_LENGTH).split()
    except FileNotFoundError:
        return None
    if len(parts) != 5 or parts[4] != _checksum(b" ".join(parts[:4])):
        return None
    number, offset, acked, state = parts[:4]
    position = (int(number), int(offset))
    return Mark(position, acked == b"written", state == b"damaged")


def _checksum(text: bytes) -> bytes:
    return b"%08x" % crc32(text)


def _packed(mark: Mark) -> bytes:
    acked = b"written" if mark.is_written_only else b"synced"
    state = b"damaged" if mark.is_damaged else b"whole"
    text = b"%d %d %s %s" % (*mark.position, acked, state)
    return (text + b" " + _checksum(text)).ljust(_LENGTH - 1) + b"\n"


class DurableMark:
    """Writes the mark of one directory that is open.

    Nothing fails if the mark cannot be written: an older one only makes the start more careful.
    """

    def __init__(self, root: str, files: Files, time: Time) -> None:
        self._root = root
        self._files = files
        self._time = time
        self._fd = -1
        self._mark = Mark((0, 0))
        self._synced_at = 0.0

    @property
    def mark(self) -> Mark:
        """Return the newest mark, which the file has unless writing it failed."""
        return self._mark

    def open(self, mark: Mark) -> None:
        """Open the file, and write the first mark."""
        path = os.path.join(self._root, DURABLE)
        is_new = not os.path.exists(path)
        self._mark = mark
        with suppress(OSError):
            self._fd = self._files.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._write()
            if is_new:
                self._files.sync_folder(self._root)

    def note(self, position: Position) -> None:
        """Write that everything before a position is on disk. May block; called in a thread."""
        before, now = self._mark.position, self._time.seconds()
        if position <= before:
            return
        self._mark = self._mark._replace(position=position)
        # A killed process leaves what it wrote, so only a power cut makes the mark old.
        is_due = position[0] != before[0] or not 0 <= now - self._synced_at < INTERVAL
        with suppress(OSError):
            self._write(is_synced=is_due)
            if is_due:
                self._synced_at = now

    def close(self, end: Position | None = None) -> None:
        """Close the file. With `end`, everything before it is on disk, and the daemon stops."""
        if self._fd < 0:
            return
        if end is not None:
            position = max(end, self._mark.position)
            self._mark = Mark(position, is_damaged=self._mark.is_damaged)
            with suppress(OSError):
                self._write()
        self._files.close_quietly(self._fd)
        self._fd = -1

    def _write(self, is_synced: bool = True) -> None:
        if self._fd >= 0:
            self._files.write_all(self._fd, _packed(self._mark), 0)
            if is_synced:
                self._files.fdatasync(self._fd)

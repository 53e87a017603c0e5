"""Helpers of the storage tests: a store in a folder, a disk that fails, and messages."""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Never
from zlib import crc32

from gobelieve.interfaces import Page
from gobelieve.storage.files.files import Files
from gobelieve.storage.format.records import BLOCK_SIZE
from gobelieve.storage.queues.store import Store
from gobelieve.wire.storage import SUPER_GROUPS, USERS, SaveItem
from tests.fakes.world import world

APPID = 7


class QuickFiles(Files):
    """The real files without syncing, for tests that only look at the files."""

    def __init__(self) -> None:
        super().__init__()
        self.fdatasync = self.fsync = lambda fd: None


class BadDisk(Files):
    """A disk that fails when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.room: int | None = None
        """The number of bytes that can still be written; None for no limit."""
        self.broken = False
        """Whether syncing fails."""
        self.stuck = False
        """Whether cutting files fails."""
        self.sour = False
        """Whether closing fails."""
        self.unreadable = False
        self.opened: set[int] = set()
        self._paths: dict[int, str] = {}
        self.synced: list[int] = []
        self.folders: list[str] = []
        """The directories that were synced."""
        self.open = self._open
        self.close = self._close
        self.pwrite = self._pwrite
        self.pread = self._pread
        self.fdatasync = self._fdatasync
        self.truncate = self._truncate
        self.fsync = self._fsync

    def _open(self, path: str, flags: int, mode: int = 0o777) -> int:
        fd = os.open(path, flags, mode)
        self.opened.add(fd)
        self._paths[fd] = path
        return fd

    def _close(self, fd: int) -> None:
        self.opened.discard(fd)
        os.close(fd)
        if self.sour:
            raise OSError(errno.EIO, "Input/output error")

    def _pwrite(self, fd: int, data: bytes, offset: int) -> int:
        if self.room is None:
            return os.pwrite(fd, data, offset)
        taken = min(len(data), self.room)
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= taken
        return os.pwrite(fd, data[:taken], offset)

    def _pread(self, fd: int, count: int, offset: int) -> bytes:
        if self.unreadable:
            raise OSError(errno.EIO, "Input/output error")
        return os.pread(fd, count, offset)

    def _fdatasync(self, fd: int) -> None:
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        if fd not in self.opened:
            raise OSError(errno.EBADF, "Bad file descriptor")
        self.synced.append(fd)

    def _fsync(self, fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            self.folders.append(self._paths[fd])

    def fails(self, *args: object) -> Never:
        """Fail, in place of a system call."""
        raise OSError(errno.EIO, "Input/output error")

    def _truncate(self, fd: int, length: int) -> None:
        if self.stuck:
            raise OSError(errno.EIO, "Input/output error")
        os.ftruncate(fd, length)


def im(sender: int, receiver: int, content: str, when: int = 1_700_000_000) -> bytes:
    """Return the body of an IM."""
    head = [n.to_bytes(8, "big", signed=True) for n in (sender, receiver)]
    return b"".join(head) + when.to_bytes(4, "big", signed=True) + bytes(4) + content.encode()


def to_users(*uids: int, body: bytes = b"hello", cmd: int = 4, device: int = 11) -> SaveItem:
    """Return a message for the queues of these users."""
    queues = tuple(n for uid in uids for n in (APPID, uid))
    return SaveItem(device, cmd, USERS, queues, body)


def to_group(gid: int, body: bytes = b"hello", cmd: int = 8, device: int = 11) -> SaveItem:
    """Return a message for the queue of a super group."""
    return SaveItem(device, cmd, SUPER_GROUPS, (APPID, gid), body)


def open_store(
    root: str,
    *,
    block_size: int = BLOCK_SIZE,
    files: Files | None = None,
    log: Any = None,
    has_mark: bool = False,
) -> Store:
    """Return an opened store.

    Without `has_mark` the directory loses its mark first, as if it were one of the Go server. Then
    a test may damage records that were on disk in place of records that were not.
    """
    if not has_mark:
        with suppress(OSError):
            os.unlink(os.path.join(root, "durable"))
    store = Store(root, world=world(log=log), block_size=block_size, files=files or QuickFiles())
    store.open()
    return store


def save(store: Store, *items: SaveItem) -> list[tuple[int, tuple[int, ...]]]:
    """Store items durably, each with a write of its own."""
    found = []
    for item in items:
        found.append(store.append(item))
        store.flush()
    store.begin_sync()()
    store.synced()
    return found


def pages(fetch: Callable[[int], Page], after: int = 0) -> Iterator[Page]:
    """Yield all pages of a queue, as a client reads them."""
    while True:
        page = fetch(after)
        yield page
        if not page.more:
            return
        assert page.last > after, "a page that leads nowhere"
        after = page.last


def bodies(page: Page) -> list[bytes]:
    """Return the bodies of the messages of a page."""
    return [message.body for message in page.messages]


def with_checksum_of(start: bytes, body: bytes) -> bytes:
    """Return a body with four bytes more, which has the CRC-32 of `start`."""
    wanted = crc32(start) ^ 0xFFFFFFFF
    for _ in range(32):
        wanted = (wanted << 1) ^ (0x1DB710641 if wanted >> 31 else 0)
    return body + (wanted ^ crc32(body) ^ 0xFFFFFFFF).to_bytes(4, "little")


def copy(source: Path, target: Path) -> str:
    """Copy a directory of the vectors, so that a test can write to it."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return str(target)


def ids(found: Sequence[tuple[int, tuple[int, ...]]]) -> list[int]:
    """Return the message ids of saved items."""
    return [msgid for msgid, _ in found]

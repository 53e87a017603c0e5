"""The system calls that storage makes, gathered so that a test can let them fail."""

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress

from gobelieve.errors import StorageError
from gobelieve.names import AckStatus


class Files:
    """Descriptors and paths, as `os` has them. All may raise OSError."""

    def __init__(self) -> None:
        # Attributes and not methods: a read is two calls less, and a test puts its own there.
        self.open: Callable[..., int] = os.open
        self.close: Callable[[int], None] = os.close
        self.pread: Callable[[int, int, int], bytes] = os.pread
        self.pwrite: Callable[[int, bytes, int], int] = os.pwrite
        self.truncate: Callable[[int, int], None] = os.ftruncate
        self.fdatasync: Callable[[int], None] = os.fdatasync
        self.fsync: Callable[[int], None] = os.fsync
        self.unlink: Callable[[str], None] = os.unlink
        self.rename: Callable[[str, str], None] = os.rename

    def size(self, fd: int) -> int:
        """How long an open file is, in bytes."""
        return os.fstat(fd).st_size

    def write_all(self, fd: int, data: bytes, offset: int) -> None:
        """Write all of it; the kernel may take several bites."""
        while data:
            taken = self.pwrite(fd, data, offset)
            if taken == len(data):
                return
            data = data[taken:]
            offset += taken

    def let_go(self, fd: int) -> None:
        """Close a descriptor that has nothing unsynced left: what closing says is no news."""
        with suppress(OSError):
            self.close(fd)

    def make_folder(self, path: str) -> None:
        """Make a directory with its parents, durably, unless it is there."""
        made, above = [], os.path.abspath(path)
        while not os.path.exists(above):
            above = os.path.dirname(above)
            made.append(above)
        os.makedirs(path, exist_ok=True)
        for above in made:
            self.sync_folder(above)

    def keep(self, name: str, data: bytes) -> str:
        """Write a new file durably, with a number behind its name if need be; where it is.

        It is gone again if that fails.
        """
        path, copies = name, 0
        while os.path.exists(path):
            copies += 1
            path = f"{name}.{copies}"
        fd = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            try:
                self.write_all(fd, data, 0)
                self.fsync(fd)
            finally:
                self.let_go(fd)
            self.sync_folder(os.path.dirname(path))
        except OSError:
            with suppress(OSError):
                self.unlink(path)
            raise
        return path

    def sync_folder(self, path: str) -> None:
        """Make durable which files a directory has."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.fsync(fd)
        finally:
            self.let_go(fd)

    def lock(self, path: str) -> int:
        """Take the lock that a file stands for; BlockingIOError if somebody else has it."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return fd


def is_full(why: OSError) -> bool:
    """Whether a system call failed for want of space."""
    return why.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def failure_of(why: OSError, where: str = "") -> StorageError:
    """What a failed system call means to somebody who wanted to save or to read."""
    status = AckStatus.STORAGE_FULL if is_full(why) else AckStatus.STORAGE_FAILED
    reason = why.strerror or str(why)
    return StorageError(status, f"{where}: {reason}" if where else reason)

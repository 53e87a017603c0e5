"""The system calls of storage, in one place so that a test can make them fail."""

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress

from gobelieve.errors import StorageError
from gobelieve.names import AckStatus


class Files:
    """System calls with descriptors and paths, as in `os`. All of them may raise OSError."""

    def __init__(self) -> None:
        # Attributes, not methods: this saves two calls per read, and a test can replace them.
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
        """Return the length of an open file in bytes."""
        return os.fstat(fd).st_size

    def write_all(self, fd: int, data: bytes, offset: int) -> None:
        """Write all of `data`, with several calls if the kernel takes only a part."""
        while data:
            taken = self.pwrite(fd, data, offset)
            if taken == len(data):
                return
            data = data[taken:]
            offset += taken

    def close_quietly(self, fd: int) -> None:
        """Close a descriptor without unsynced data. An error of `close` does not matter then."""
        with suppress(OSError):
            self.close(fd)

    def make_folder(self, path: str) -> None:
        """Make a directory and its parents durably, if they are missing."""
        made, above = [], os.path.abspath(path)
        while not os.path.exists(above):
            above = os.path.dirname(above)
            made.append(above)
        os.makedirs(path, exist_ok=True)
        for above in made:
            self.sync_folder(above)

    def write_new_file(self, name: str, data: bytes) -> str:
        """Write a new file durably and return its path.

        If the name is taken, a number is added to it. If writing fails, the file is removed.
        """
        path = self.free_name(name)
        fd = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            try:
                self.write_all(fd, data, 0)
                self.fsync(fd)
            finally:
                self.close_quietly(fd)
            self.sync_folder(os.path.dirname(path))
        except OSError:
            with suppress(OSError):
                self.unlink(path)
            raise
        return path

    def free_name(self, name: str) -> str:
        """Return a name that no file has: this one, or with a number added to it."""
        path, copies = name, 0
        while os.path.exists(path):
            copies += 1
            path = f"{name}.{copies}"
        return path

    def sync_folder(self, path: str) -> None:
        """Sync a directory, so that its list of files is durable."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.fsync(fd)
        finally:
            self.close_quietly(fd)

    def lock(self, path: str) -> int:
        """Lock a file; return its descriptor. BlockingIOError if another process has the lock."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return fd


def is_full(why: OSError) -> bool:
    """Return whether a system call failed because the disk is full."""
    return why.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refusal(reason: str) -> StorageError:
    """Return the StorageError for a request that storage refuses."""
    return StorageError(AckStatus.STORAGE_FAILED, reason)


def failure_of(why: OSError, where: str = "") -> StorageError:
    """Return the StorageError for a failed system call, with the path `where` if it is given."""
    status = AckStatus.STORAGE_FULL if is_full(why) else AckStatus.STORAGE_FAILED
    reason = why.strerror or str(why)
    return StorageError(status, f"{where}: {reason}" if where else reason)

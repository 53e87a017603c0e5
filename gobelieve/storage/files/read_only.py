"""A directory that is only looked at: its blocks, and how far each of them reached at one moment.

A daemon may have the directory meanwhile. Records are only ever appended, and a block is begun
when the one before it is whole, so what lies before these ends stays as it is.
"""

import fcntl
import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from gobelieve.errors import StorageError
from gobelieve.names import AckStatus
from gobelieve.storage.files.files import Files
from gobelieve.storage.format.layout import LOCK, block_name, block_number
from gobelieve.storage.format.records import BLOCK_SIZE, FIRST

DESCRIPTORS = 8
"""How many blocks are open at most: the one that is walked, and those that it refers to."""

Progress = Callable[[int], None]
"""Told now and then how many bytes of a work are done."""


class Folder:
    """The blocks of one directory. Nothing is written. OSError if the disk fails.

    `mine`: who looks holds the lock himself.
    """

    def __init__(
        self, root: str, size: int = BLOCK_SIZE, files: Files | None = None, mine: bool = False
    ) -> None:
        self.root = root
        self.size = size
        self._files = files or Files()
        self._descriptors: dict[int, int] = {}
        self.in_use = not mine and is_in_use(root)
        """A daemon of ours has it: the newest block may end in a write that is under way."""
        found = map(block_number, os.listdir(root))
        self.numbers = sorted(number for number in found if number is not None)
        if not self.numbers:
            raise StorageError(AckStatus.STORAGE_FAILED, f"{root}: there is no message_N in it")
        self.lengths = {number: os.stat(self.path(number)).st_size for number in self.numbers}
        """Of each block's file, in bytes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        while self._descriptors:
            self._files.close(self._descriptors.popitem()[1])

    def path(self, number: int) -> str:
        """Where a block is."""
        return os.path.join(self.root, block_name(number))

    def end(self, number: int) -> int:
        """How far a block's records can reach: a block has no more than `size` bytes."""
        return min(self.lengths[number], self.size)

    @property
    def total(self) -> int:
        """All blocks together, in bytes."""
        return sum(map(self.end, self.numbers))

    def reader(self, number: int) -> Callable[[int, int], bytes]:
        """What reads (so many bytes, from an offset) of a block up to its end."""
        end = self.end(number)

        def read(count: int, offset: int) -> bytes:
            return self._read(number, max(0, min(count, end - offset)), offset)

        return read

    def read(self, id_: int, count: int) -> bytes:
        """Bytes from an id on, fewer where the block ends, none where it is missing."""
        number, offset = divmod(id_, self.size)
        if number not in self.lengths:
            return b""
        return self._read(number, max(0, min(count, self.end(number) - offset)), offset)

    def is_missing(self, id_: int) -> bool:
        """Whether the block that an id lies in is not there, though a block after it is."""
        number, offset = divmod(id_, self.size)
        return offset >= FIRST and number not in self.lengths and 0 <= number < self.numbers[-1]

    def _read(self, number: int, count: int, offset: int) -> bytes:
        fd = self._descriptors.get(number)
        if fd is None:
            if len(self._descriptors) >= DESCRIPTORS:
                self._files.close(self._descriptors.pop(next(iter(self._descriptors))))
            fd = self._files.open(self.path(number), os.O_RDONLY | os.O_CLOEXEC)
            self._descriptors[number] = fd
        try:
            return self._files.pread(fd, count, offset)
        except OSError as why:
            raise OSError(why.errno, why.strerror, self.path(number)) from why


def is_in_use(root: str) -> bool:
    """Whether a daemon of ours has the directory. (Upstream's leave no sign.)"""
    try:
        fd = os.open(os.path.join(root, LOCK), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False

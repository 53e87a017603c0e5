"""Reading a directory without changing it: its blocks, and the length that each had at one moment.

A daemon may use the directory meanwhile. The daemon only appends records, and begins a block only
when the one before is complete. So the bytes before these lengths do not change.
"""

import fcntl
import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from gobelieve.storage.files.files import Files, refusal
from gobelieve.storage.format.layout import LOCK, block_name, block_number
from gobelieve.storage.format.records import BLOCK_SIZE, FIRST_OFFSET

MAX_OPEN_BLOCKS = 8
"""The largest number of open blocks: the one that is read, and those that it refers to."""

Progress = Callable[[int], None]
"""Called now and then with the number of bytes that are done."""


class ReadOnlyFolder:
    """The blocks of one directory. Nothing is written. OSError if the disk fails.

    `mine` means that the caller holds the lock of the directory.
    """

    def __init__(
        self, root: str, size: int = BLOCK_SIZE, files: Files | None = None, mine: bool = False
    ) -> None:
        self.root = root
        self.size = size
        self._files = files or Files()
        self._descriptors: dict[int, int] = {}
        self.in_use = not mine and is_in_use(root)
        """Whether a daemon uses the directory. Its newest block may end in an unfinished write."""
        found = map(block_number, os.listdir(root))
        self.numbers = sorted(number for number in found if number is not None)
        if not self.numbers:
            raise refusal(f"{root}: there is no message_N in it")
        self.lengths = {number: os.stat(self.path(number)).st_size for number in self.numbers}
        """The length of each block's file in bytes, by block number."""

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
        while self._descriptors:
            self._files.close(self._descriptors.popitem()[1])

    def path(self, number: int) -> str:
        """Return the path of a block's file."""
        return os.path.join(self.root, block_name(number))

    def end(self, number: int) -> int:
        """Return the offset at which a block's records end at the latest: at most `size`."""
        return min(self.lengths[number], self.size)

    @property
    def total(self) -> int:
        """Return the length of all blocks together in bytes."""
        return sum(map(self.end, self.numbers))

    def reader(self, number: int) -> Callable[[int, int], bytes]:
        """Return a function that reads a block: (number of bytes, offset) to bytes."""
        end = self.end(number)

        def read(count: int, offset: int) -> bytes:
            return self._read(number, max(0, min(count, end - offset)), offset)

        return read

    def read(self, id_: int, count: int) -> bytes:
        """Return bytes from an id on: fewer at the end of the block, none if it is missing."""
        number, offset = divmod(id_, self.size)
        if number not in self.lengths:
            return b""
        return self._read(number, max(0, min(count, self.end(number) - offset)), offset)

    def is_missing(self, id_: int) -> bool:
        """Return whether the block of an id is missing, although a later block exists."""
        number, offset = divmod(id_, self.size)
        is_known = number in self.lengths or not 0 <= number < self.numbers[-1]
        return offset >= FIRST_OFFSET and not is_known

    def _read(self, number: int, count: int, offset: int) -> bytes:
        fd = self._descriptors.get(number)
        if fd is None:
            if len(self._descriptors) >= MAX_OPEN_BLOCKS:
                self._files.close(self._descriptors.pop(next(iter(self._descriptors))))
            fd = self._files.open(self.path(number), os.O_RDONLY | os.O_CLOEXEC)
            self._descriptors[number] = fd
        try:
            return self._files.pread(fd, count, offset)
        except OSError as why:
            raise OSError(why.errno, why.strerror, self.path(number)) from why


def is_in_use(root: str) -> bool:
    """Return whether a daemon uses the directory. The Go server locks nothing and is not seen."""
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

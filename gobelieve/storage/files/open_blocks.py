"""The blocks that are open for reading: those that were read last, up to a limit."""

import os
from collections import OrderedDict

from gobelieve.storage.files.files import Files, failure_of
from gobelieve.storage.format.layout import block_name

MAX_OPEN_BLOCKS = 128
"""The largest number of blocks that are open for reading at a time."""


class OpenBlocks:
    """Reads blocks of one directory, and keeps the last ones open."""

    def __init__(self, root: str, files: Files, limit: int = MAX_OPEN_BLOCKS) -> None:
        self._root = root
        self._files = files
        self._limit = limit
        # The block that was read last is at the end.
        self._open: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def read(self, number: int, count: int, offset: int) -> bytes:
        """Return bytes of a block: fewer at its end, none if it is missing.

        Raises StorageError if the disk fails.
        """
        fd = self._open.get(number)
        try:
            if fd is None:
                fd = self._open_block(number)
            elif len(self._open) > 1:
                self._open.move_to_end(number)
            return self._files.pread(fd, count, offset)
        except FileNotFoundError:
            return b""
        except OSError as why:
            raise failure_of(why, self._path(number)) from why

    def _path(self, number: int) -> str:
        return os.path.join(self._root, block_name(number))

    def _open_block(self, number: int) -> int:
        fd = self._files.open(self._path(number), os.O_RDONLY | os.O_CLOEXEC)
        self._open[number] = fd
        if len(self._open) > self._limit:
            _, oldest = self._open.popitem(last=False)
            self._files.close_quietly(oldest)
        return fd

    def close_block(self, number: int) -> None:
        """Close a block if it is open."""
        if number in self._open:
            self._files.close_quietly(self._open.pop(number))

    def close(self) -> None:
        while self._open:
            self._files.close_quietly(self._open.popitem()[1])

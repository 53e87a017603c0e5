"""Blocks that are open for reading: as many as have been read lately, up to a limit."""

import os
from collections import OrderedDict

from gobelieve.storage.files.files import Files, failure_of
from gobelieve.storage.format.layout import block_name

DESCRIPTORS = 128
"""How many blocks are open for reading at most."""


class OpenBlocks:
    """The blocks of one directory."""

    def __init__(self, root: str, files: Files, limit: int = DESCRIPTORS) -> None:
        self._root = root
        self._files = files
        self._limit = limit
        # The one that was read last is the last.
        self._open: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def read(self, number: int, count: int, offset: int) -> bytes:
        """Bytes of a block, fewer where it ends, none where it is missing.

        StorageError if the disk fails.
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
            self._files.let_go(oldest)
        return fd

    def let_go(self, number: int) -> None:
        """Close a block if it is open."""
        if number in self._open:
            self._files.let_go(self._open.pop(number))

    def close(self) -> None:
        """Close all."""
        while self._open:
            self._files.let_go(self._open.popitem()[1])

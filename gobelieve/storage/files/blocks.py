"""The block files: where records go, how they are read back by id, how what went wrong is cut off.

An id is ``block number * block size + offset`` of the record's first byte. `append` gives it at
once and keeps the record in memory; `flush` writes what was kept, `sync_work` makes it durable.
A record never spans two blocks: one that does not fit begins the next.

A place in the files where a record may begin is a `Position`: a block number and an offset.
(Not an id: behind a block that is full to the last byte the two would not be the same.)
"""

import os
from bisect import bisect_left
from collections.abc import Callable

from gobelieve.errors import StorageError
from gobelieve.interfaces import Log
from gobelieve.names import AckStatus
from gobelieve.storage.files.files import Files, is_full
from gobelieve.storage.files.open_blocks import DESCRIPTORS, OpenBlocks
from gobelieve.storage.format.layout import LOCK, TORN, block_name, listed
from gobelieve.storage.format.records import BLOCK_SIZE, FILE_HEADER, FIRST
from gobelieve.support.throttled_log import ThrottledLog

Position = tuple[int, int]


class Blocks:
    """The files ``message_N`` of one directory. One process has a directory at a time."""

    def __init__(
        self,
        root: str,
        log: Log,
        size: int = BLOCK_SIZE,
        files: Files | None = None,
        descriptors: int = DESCRIPTORS,
    ) -> None:
        self.root = root
        self.size = size
        self.resyncable_bytes = 0
        """So many bytes at the end may have holes, and can be had again."""
        self._log = log
        self._cut_log = ThrottledLog(log)
        self._files = files or Files()
        self._lock = -1
        self.numbers: list[int] = []
        """The blocks there are, ascending; the last one is written to."""
        self._number = 0
        self._offset = FIRST
        # What is not written yet: whole runs for blocks that are full, and the run that grows.
        self._runs: list[tuple[Position, list[bytes]]] = []
        self._parts: list[bytes] = []
        self._start: Position = (0, FIRST)
        # Descriptors of the blocks that may have something to sync.
        self._writers: dict[int, int] = {}
        self._reading = OpenBlocks(root, self._files, descriptors)
        self.read_block = self._reading.read
        """Bytes of a block: (number, how many, from which offset), as `OpenBlocks` reads them."""
        self._folder_changed = False
        self._owed: Position | None = None
        self.written = 0
        """Bytes written since the start, those that were cut off again among them."""

    # --- the directory

    def open(self) -> None:
        """Take the directory, make it and its first block if need be. OSError, StorageError."""
        self._files.make_folder(self.root)
        try:
            self._lock = self._files.lock(os.path.join(self.root, LOCK))
        except BlockingIOError:
            raise StorageError(
                AckStatus.STORAGE_FAILED, f"{self.root} is in use by another daemon"
            ) from None
        self.numbers, strays = listed(self.root)
        if strays:
            shown = ", ".join(strays[:10])
            self._log.warn("{root}: not ours, ignored: {names}", root=self.root, names=shown)
        number = self.numbers[-1] if self.numbers else 0
        if self.numbers and number - self.numbers[0] + 1 > len(self.numbers):
            self._log.warn("{root}: blocks are missing in the middle", root=self.root)
        fresh = not self.numbers
        self._writers[number] = fd = self._open_for_writing(number, os.O_CREAT if fresh else 0)
        length = self._files.size(fd)
        if length <= FIRST and self._files.pread(fd, FIRST, 0) != FILE_HEADER:
            self._write_header(fd)
        self.numbers = self.numbers or [number]
        self._begin_at((number, min(max(length, FIRST), self.size)))

    def path(self, number: int) -> str:
        """Where a block is."""
        return os.path.join(self.root, block_name(number))

    def _open_for_writing(self, number: int, how: int) -> int:
        return self._files.open(self.path(number), os.O_RDWR | os.O_CLOEXEC | how, 0o644)

    def _write_header(self, fd: int) -> None:
        self._files.truncate(fd, 0)
        self._files.write_all(fd, FILE_HEADER, 0)

    def set_aside(self, offset: int) -> str:
        """Cut the newest block off at an offset; the file where what was there is kept.

        With no space left it is not kept, and "" is what comes back: reading has to go on.
        """
        fd = self._writers[self._number]
        torn = self._files.pread(fd, self._files.size(fd) - offset, offset)
        name = f"{TORN}{self._number}_{offset}"
        try:
            path = self._files.keep(os.path.join(self.root, name), torn)
        except OSError as why:
            if not is_full(why):
                raise
            path = ""
        if offset == FIRST:
            # What tore the first record may have torn the header before it.
            self._write_header(fd)
        self._files.truncate(fd, offset)
        self._begin_at((self._number, offset))
        return path

    def close(self) -> None:
        """Let go of everything; what was not written is lost."""
        if self._owed is not None:
            self.cut(self._owed)
            self._owed = None
        self._reading.close()
        while self._writers:
            self._files.let_go(self._writers.popitem()[1])
        if self._lock >= 0:
            self._files.let_go(self._lock)
            self._lock = -1

    @property
    def is_open(self) -> bool:
        """Whether we have the directory."""
        return self._lock >= 0

    @property
    def open_files(self) -> tuple[int, int]:
        """How many files are open for reading, and for writing."""
        return len(self._reading), len(self._writers)

    # --- writing

    @property
    def end(self) -> Position:
        """Behind the last record appended."""
        return self._number, self._offset

    def append(self, record: bytes) -> int:
        """Keep a record for the next `flush`; its id."""
        offset = self._offset
        if offset + len(record) > self.size:
            self._roll_over()
            offset = FIRST
        self._parts.append(record)
        self._offset = offset + len(record)
        return self._number * self.size + offset

    def put(self, position: Position, data: bytes) -> None:
        """Keep bytes of another directory for the next `flush`.

        Their place is the end, or the beginning of a block that is yet to be, header and all.
        """
        number, offset = position
        if number != self._number:
            self._begin_block(number)
        self._parts.append(data)
        self._offset = offset + len(data)

    def _roll_over(self) -> None:
        self._begin_block(self._number + 1)
        self._parts.append(FILE_HEADER)
        self._offset = FIRST

    def _begin_block(self, number: int) -> None:
        if self._parts:
            self._runs.append((self._start, self._parts))
        self._number = number
        self._start, self._parts = (number, 0), []

    def _begin_at(self, position: Position) -> None:
        self._number, self._offset = self._start = position
        self._runs, self._parts = [], []

    def flush(self) -> None:
        """Write what was appended, in one go a block. OSError: some of it may be written."""
        if self._owed is not None:
            self._cut_files(self._owed)
        if self._parts:
            self._runs.append((self._start, self._parts))
            self._start, self._parts = (self._number, self._offset), []
        runs, self._runs = self._runs, []
        for (number, offset), parts in runs:
            if number not in self._writers:
                how = os.O_CREAT | os.O_EXCL
                self._writers[number] = self._open_for_writing(number, how)
                self.numbers.append(number)
                self._folder_changed = True
            data = b"".join(parts) if len(parts) > 1 else parts[0]
            self._files.write_all(self._writers[number], data, offset)
            self.written += len(data)

    def cut(self, position: Position) -> None:
        """Forget what was appended behind a position, and take it out of the files, durably.

        Should that fail, it is tried again before the next write, and at the end.
        """
        self._begin_at(position)
        self._owed = position
        try:
            self._cut_files(position)
        except OSError as why:
            what = "{path} cannot be cut back: {why}"
            self._cut_log.error("cut", what, path=self.path(position[0]), why=why.strerror)

    def _cut_files(self, position: Position) -> None:
        number, offset = position
        while self.numbers[-1] > number:
            newest = self.numbers[-1]
            self._folder_changed = True
            self._files.unlink(self.path(newest))
            self.numbers.pop()
            self._reading.let_go(newest)
            if newest in self._writers:
                self._files.let_go(self._writers.pop(newest))
        fd = self._writers[number]
        self._files.truncate(fd, offset)
        # Synced before other records take the same ids: else a power cut could leave a mixture.
        self._files.fdatasync(fd)
        if self._folder_changed:
            self._files.sync_folder(self.root)
        self._owed = None
        self._cut_log.reset("cut")

    def sync_work(self) -> Callable[[], None]:
        """What makes all that is written by now durable. It blocks; OSError if it failed.

        The descriptors it uses stay open until `synced`: those of blocks that are yet to be cut
        off are not among them.
        """
        last = self._number if self._owed is None else self._owed[0]
        descriptors = [fd for number, fd in self._writers.items() if number <= last]
        folder, self._folder_changed = self._folder_changed, False

        def work() -> None:
            try:
                for fd in descriptors:
                    self._files.fdatasync(fd)
                if folder:
                    self._files.sync_folder(self.root)
            except OSError:
                self._folder_changed |= folder
                raise

        return work

    def sync_from(self, first: int) -> None:
        """Make durable what another process may have left unsynced: from this block on."""
        for number in self.numbers[bisect_left(self.numbers, first) :]:
            fd = self._files.open(self.path(number), os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._files.fdatasync(fd)
            finally:
                self._files.let_go(fd)
        self._files.sync_folder(self.root)

    def synced(self, position: Position) -> None:
        """All before a position is durable: blocks that were full by then are done with."""
        for number in [n for n in self._writers if n < position[0]]:
            self._files.let_go(self._writers.pop(number))

    # --- reading

    def read(self, id_: int, count: int) -> bytes:
        """Bytes from an id on, fewer where the block ends, none where it is missing.

        StorageError if the disk fails.
        """
        number, offset = divmod(id_, self.size)
        return self.read_block(number, count, offset)

    def length(self, number: int) -> int:
        """How long a block's file is, in bytes."""
        return os.stat(self.path(number)).st_size

"""The block files: appending records, reading them by id, and cutting off a failed write.

An id is ``block number * block size + offset`` of the record's first byte. `append` returns it at
once and keeps the record in memory. `flush` writes the kept records, and `sync_work` makes them
durable. A record never spans two blocks: a record that does not fit begins the next block.

A place where a record may begin is a `Position`: a block number and an offset. It is not an id,
since the end of a full block and the beginning of the next one would have the same id.
"""

import os
from bisect import bisect_left
from collections.abc import Callable

from gobelieve.interfaces import Log
from gobelieve.storage.files.files import Files, is_full, refusal
from gobelieve.storage.files.missing import missing_blocks
from gobelieve.storage.files.open_blocks import MAX_OPEN_BLOCKS, OpenBlocks
from gobelieve.storage.format.layout import LOCK, TORN, block_name, listed
from gobelieve.storage.format.records import (
    BLOCK_SIZE,
    FIRST_OFFSET,
    block_header,
    skipped_of,
)
from gobelieve.support.throttled_log import ThrottledLog

Position = tuple[int, int]


class Blocks:
    """The files ``message_N`` of one directory. Only one process at a time can open a directory."""

    def __init__(
        self,
        root: str,
        log: Log,
        size: int = BLOCK_SIZE,
        files: Files | None = None,
        max_open_blocks: int = MAX_OPEN_BLOCKS,
    ) -> None:
        self.root = root
        self.size = size
        self.resyncable_bytes = 0
        """The bytes at the end that may contain unsynced holes. The master can resend them."""
        self._log = log
        self._cut_log = ThrottledLog(log)
        self._files = files or Files()
        self._lock = -1
        self.numbers: list[int] = []
        """The numbers of the blocks, ascending. Records are appended to the last block."""
        self._number = 0
        self._offset = FIRST_OFFSET
        # Records that are not written yet: one run for each full block, and the run that grows.
        self._runs: list[tuple[Position, list[bytes]]] = []
        self._parts: list[bytes] = []
        self._start: Position = (0, FIRST_OFFSET)
        # Descriptors of the blocks that may have unsynced bytes, by block number.
        self._writers: dict[int, int] = {}
        self._open_blocks = OpenBlocks(root, self._files, max_open_blocks)
        self.read_block = self._open_blocks.read
        """`OpenBlocks.read`: (block number, number of bytes, offset) to bytes."""
        self._folder_changed = False
        self._pending_cut: Position | None = None
        self.written = 0
        """Bytes written since the start, including those that were cut off again."""

    # --- the directory

    def open(self) -> None:
        """Lock the directory. Make it and its first block if they are missing.

        Raises OSError, and StorageError if another daemon has locked the directory.
        """
        self._files.make_folder(self.root)
        try:
            self._lock = self._files.lock(os.path.join(self.root, LOCK))
        except BlockingIOError:
            raise refusal(f"{self.root} is in use by another daemon") from None
        self.numbers, foreign = listed(self.root)
        if foreign:
            shown = ", ".join(foreign[:10])
            self._log.warn("{root}: not ours, ignored: {names}", root=self.root, names=shown)
        number = self.numbers[-1] if self.numbers else 0
        if missing := missing_blocks(self.numbers, self._header):
            what = "{root}: {count} blocks are missing, the first is message_{first}"
            self._log.warn(
                what, root=self.root, count=sum(map(len, missing)), first=missing[0].start
            )
        fresh = not self.numbers
        self._writers[number] = fd = self._open_for_writing(number, os.O_CREAT if fresh else 0)
        length = self._files.size(fd)
        if length <= FIRST_OFFSET:
            self._mend_header(fd, number)
        self.numbers = self.numbers or [number]
        self._begin_at((number, min(max(length, FIRST_OFFSET), self.size)))

    def path(self, number: int) -> str:
        """Return the path of a block's file."""
        return os.path.join(self.root, block_name(number))

    def _open_for_writing(self, number: int, how: int) -> int:
        return self._files.open(self.path(number), os.O_RDWR | os.O_CLOEXEC | how, 0o644)

    def mend_header(self) -> None:
        """Write the header of the newest block if it is zeros, after a power cut. Raises OSError.

        A slave does not do this: the master, whose files its own must equal, does.
        """
        if not any(self._header(self._number)):
            self._mend_header(self._writers[self._number], self._number)

    def _header(self, number: int) -> bytes:
        return self._open_blocks.read(number, FIRST_OFFSET, 0)

    def _mend_header(self, fd: int, number: int) -> None:
        if skipped_of(self._files.pread(fd, FIRST_OFFSET, 0)) is None:
            before = [n for n in self.numbers if n < number]
            self._files.write_all(fd, block_header(number - before[-1] - 1 if before else 0), 0)

    def set_aside_blocks(self, number: int) -> list[str]:
        """Remove the blocks after this one, the newest first. Return the paths that they get."""
        kept = []
        while self.numbers[-1] > number:
            newest = self.numbers[-1]
            path = self._files.free_name(os.path.join(self.root, f"{TORN}{newest}_0"))
            self._files.rename(self.path(newest), path)
            self._files.sync_folder(self.root)
            kept.append(path)
            self.numbers.pop()
            self._open_blocks.close_block(newest)
            if newest in self._writers:
                self._files.close_quietly(self._writers.pop(newest))
        if number not in self._writers:
            self._writers[number] = self._open_for_writing(number, 0)
        self._begin_at((number, min(self._files.size(self._writers[number]), self.size)))
        return kept

    def set_aside(self, offset: int) -> str:
        """Cut the newest block off at an offset. Return the path of the file that keeps the bytes.

        On a full disk the bytes are not kept and the result is "", so that the start can go on.
        """
        fd = self._writers[self._number]
        torn = self._files.pread(fd, self._files.size(fd) - offset, offset)
        name = f"{TORN}{self._number}_{offset}"
        try:
            path = self._files.write_new_file(os.path.join(self.root, name), torn)
        except OSError as why:
            if not is_full(why):
                raise
            path = ""
        if offset == FIRST_OFFSET:
            # If the first record is torn, the header before it may be torn too.
            self._mend_header(fd, self._number)
        self._files.truncate(fd, offset)
        self._begin_at((self._number, offset))
        return path

    def close(self) -> None:
        """Close all files and unlock the directory. Records that are not written are lost."""
        if self._pending_cut is not None:
            self.cut(self._pending_cut)
            self._pending_cut = None
        self._open_blocks.close()
        while self._writers:
            self._files.close_quietly(self._writers.popitem()[1])
        if self._lock >= 0:
            self._files.close_quietly(self._lock)
            self._lock = -1

    @property
    def is_open(self) -> bool:
        """Return whether this object has locked the directory."""
        return self._lock >= 0

    @property
    def open_files(self) -> tuple[int, int]:
        """Return the number of files open for reading, and the number open for writing."""
        return len(self._open_blocks), len(self._writers)

    # --- writing

    @property
    def end(self) -> Position:
        """Return the position after the last appended record."""
        return self._number, self._offset

    def append(self, record: bytes) -> int:
        """Keep a record for the next `flush`. Return its id."""
        offset = self._offset
        if offset + len(record) > self.size:
            self.begin_block(self._number + 1)
            offset = FIRST_OFFSET
        self._parts.append(record)
        self._offset = offset + len(record)
        return self._number * self.size + offset

    def append_piece(self, position: Position, data: bytes) -> None:
        """Keep bytes of another directory for the next `flush`.

        `position` must be the end of this directory, or the beginning of a new block. In the second
        case the bytes include the block's header.
        """
        number, offset = position
        if number != self._number:
            self._begin_run(number)
        self._parts.append(data)
        self._offset = offset + len(data)

    def begin_block(self, number: int) -> None:
        """Begin a block after the newest one, at the next `flush`. Its header has what is skipped.

        The numbers between the two blocks are never given to another block.
        """
        skipped = number - self._number - 1
        self._begin_run(number)
        self._parts.append(block_header(skipped))
        self._offset = FIRST_OFFSET

    def _begin_run(self, number: int) -> None:
        if self._parts:
            self._runs.append((self._start, self._parts))
        self._number = number
        self._start, self._parts = (number, 0), []

    def _begin_at(self, position: Position) -> None:
        self._number, self._offset = self._start = position
        self._runs, self._parts = [], []

    def flush(self) -> None:
        """Write the appended records, with one call per block.

        After an OSError a part of them may be written.
        """
        if self._pending_cut is not None:
            self._cut_files(self._pending_cut)
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
        """Remove everything after a position from memory, and durably from the files.

        If cutting the files fails, it is tried again before the next write, and in `close`.
        """
        self._begin_at(position)
        self._pending_cut = position
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
            self._open_blocks.close_block(newest)
            if newest in self._writers:
                self._files.close_quietly(self._writers.pop(newest))
        fd = self._writers[number]
        self._files.truncate(fd, offset)
        # The cut is synced before other records get the same ids. Otherwise a power cut could leave
        # a mixture of old and new records.
        self._files.fdatasync(fd)
        if self._folder_changed:
            self._files.sync_folder(self.root)
        self._pending_cut = None
        self._cut_log.reset("cut")

    def sync_work(self) -> Callable[[], None]:
        """Return a function that makes everything written so far durable.

        The function blocks, and raises OSError if a sync fails. Its descriptors stay open until
        `synced`, since blocks that are still to be cut off are not among them.
        """
        last = self._number if self._pending_cut is None else self._pending_cut[0]
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
        """Sync the blocks from this one on: a killed daemon may have left them unsynced."""
        for number in self.numbers[bisect_left(self.numbers, first) :]:
            fd = self._files.open(self.path(number), os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._files.fdatasync(fd)
            finally:
                self._files.close_quietly(fd)
        self._files.sync_folder(self.root)

    def synced(self, position: Position) -> None:
        """Close the blocks before a position for writing, since they are full and durable."""
        for number in [n for n in self._writers if n < position[0]]:
            self._files.close_quietly(self._writers.pop(number))

    # --- reading

    def read(self, id_: int, count: int) -> bytes:
        """Return bytes from an id on: fewer at the end of the block, none if the block is missing.

        Raises StorageError if the disk fails.
        """
        number, offset = divmod(id_, self.size)
        return self.read_block(number, count, offset)

    def length(self, number: int) -> int:
        """Return the length of a block's file in bytes."""
        return os.stat(self.path(number)).st_size

"""Copies of a directory: equal byte for byte, and durable when they are complete.

A message's id is its place in the files, and clients keep ids. So a copy always has the same bytes
at the same places, and an older copy only lacks the end.
"""

import os

from gobelieve.errors import StorageError
from gobelieve.storage.files.blocks import Position
from gobelieve.storage.files.files import Files, refusal
from gobelieve.storage.files.read_only import Progress, ReadOnlyFolder
from gobelieve.storage.format.layout import LOCK, TORN, block_number
from gobelieve.storage.format.records import BLOCK_SIZE, FILE_HEADER, FIRST_OFFSET
from gobelieve.storage.tools.walk import whole_end

CHUNK_BYTES = 1 << 20


class LockedFolder:
    """A directory to write to, locked until `close` as a daemon locks its own.

    It is made if it is missing. StorageError if another process has locked it.
    """

    def __init__(self, root: str, size: int = BLOCK_SIZE, files: Files | None = None) -> None:
        self.root = root
        self.size = size
        self.files = files or Files()
        self.files.make_folder(root)
        try:
            self._lock = self.files.lock(os.path.join(root, LOCK))
        except BlockingIOError:
            raise refusal(f"{root} is in use") from None

    def close(self) -> None:
        self.files.close(self._lock)

    def path(self, number: int) -> str:
        """Return the path of a block's file."""
        return os.path.join(self.root, f"message_{number}")

    def lengths(self) -> dict[int, int]:
        """Return the blocks, ascending, each with the length of its file in bytes."""
        found = map(block_number, os.listdir(self.root))
        numbers = sorted(number for number in found if number is not None)
        return {number: os.stat(self.path(number)).st_size for number in numbers}

    def copy(
        self, source: ReadOnlyFolder, number: int, start: int, end: int, progress: Progress
    ) -> None:
        """Copy a part of a block. All but its file name is durable when this returns."""
        path, read = self.path(number), source.reader(number)
        fd = self.files.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            for at in range(start, end, CHUNK_BYTES):
                count = min(CHUNK_BYTES, end - at)
                data = read(count, at)
                if len(data) < count:
                    raise refusal(f"{source.path(number)} became shorter while it was copied")
                self.files.write_all(fd, data, at)
                progress(at + count - start)
            self.files.fsync(fd)
        except OSError as why:
            raise OSError(why.errno, why.strerror, why.filename or path) from why
        finally:
            self.files.close(fd)

    def cut(self, number: int, offset: int) -> None:
        """Cut a block off at an offset, durably. At least a header is left."""
        fd = self.files.open(self.path(number), os.O_RDWR | os.O_CLOEXEC)
        try:
            self.files.truncate(fd, offset if offset >= FIRST_OFFSET else 0)
            if offset < FIRST_OFFSET:
                self.files.write_all(fd, FILE_HEADER, 0)
            self.files.fsync(fd)
        finally:
            self.files.close(fd)

    def set_aside(self, number: int, offset: int) -> str:
        """Cut a block off at an offset. Return the path of the file that keeps the bytes."""
        fd = self.files.open(self.path(number), os.O_RDONLY | os.O_CLOEXEC)
        try:
            torn = self.files.pread(fd, self.files.size(fd) - offset, offset)
        finally:
            self.files.close_quietly(fd)
        path = self.files.write_new_file(os.path.join(self.root, f"{TORN}{number}_{offset}"), torn)
        self.cut(number, offset)
        return path

    def sync(self) -> None:
        """Sync the directory, so that its list of files is durable."""
        self.files.sync_folder(self.root)

    def rename(self, root: str) -> None:
        """Give the directory its final name, durably. An existing directory must be empty."""
        os.unlink(os.path.join(self.root, LOCK))
        os.rename(self.root, root)
        self.root = root
        self.files.sync_folder(os.path.dirname(os.path.abspath(root)))


def copy_all(source: ReadOnlyFolder, target: LockedFolder, progress: Progress) -> None:
    """Copy all blocks, each up to the largest length of a block."""
    done = 0
    for number in source.numbers:
        end = source.end(number)
        target.copy(source, number, 0, end, _beyond(done, progress))
        done += end
    target.sync()


def bring_up_to_date(
    source: ReadOnlyFolder, target: LockedFolder, progress: Progress
) -> tuple[Position, Position]:
    """Append what `target` lacks at its end. Return where the appended part begins and ends.

    `source` may be in use. Records that are written meanwhile, or are incomplete, are left for the
    next time. StorageError if `target` differs from the beginning of `source`; then nothing is
    written.
    """
    newest = source.numbers[-1]
    reach = source.end(newest)
    end = whole_end(source.reader(newest), FIRST_OFFSET, reach) if reach >= FIRST_OFFSET else 0
    begin = _beginning(source, target, end)
    done = 0
    for number in source.numbers:
        if number < begin[0]:
            continue
        start = begin[1] if number == begin[0] else 0
        stop = end if number == newest else source.end(number)
        target.copy(source, number, start, stop, _beyond(done, progress))
        done += stop - start
    target.sync()
    return begin, (newest, end)


def _beyond(before: int, progress: Progress) -> Progress:
    """Return the progress for a part, with `before` bytes already done."""
    return lambda count: progress(before + count)


def _beginning(source: ReadOnlyFolder, target: LockedFolder, end: int) -> Position:
    """Return where `target` ends in `source`, whose newest block is good up to `end`."""
    lengths = target.lengths()
    if not lengths:
        if set(os.listdir(target.root)) - {LOCK}:
            raise refusal(f"{target.root} is not empty, and not a backup")
        return source.numbers[0], 0
    newest = max(lengths)
    if newest < source.numbers[0]:
        raise _differs(target, newest, f"{source.path(newest)} is not there any more")
    for number in (n for n in {*source.numbers, *lengths} if n <= newest):
        there, here = number in source.lengths, number in lengths
        # The oldest blocks may have been removed from the source. A backup keeps them.
        if not there and number < source.numbers[0]:
            continue
        if not there or not here:
            raise _differs(target, number, "only one of the two directories has this block")
        length = end if number == source.numbers[-1] else source.end(number)
        if lengths[number] > length or (number < newest and lengths[number] != length):
            what = f"it has {lengths[number]} bytes, {source.path(number)} has {length}"
            raise _differs(target, number, what)
    _compare(source, target, newest, lengths[newest])
    return newest, lengths[newest]


def _compare(source: ReadOnlyFolder, target: LockedFolder, number: int, length: int) -> None:
    """Raise StorageError unless a whole block is the same in both directories."""
    read = source.reader(number)
    fd = target.files.open(target.path(number), os.O_RDONLY | os.O_CLOEXEC)
    try:
        for at in range(0, length, CHUNK_BYTES):
            count = min(CHUNK_BYTES, length - at)
            mine, theirs = target.files.pread(fd, count, at), read(count, at)
            if mine != theirs:
                same = (i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b)
                first = at + next(same, min(len(mine), len(theirs)))
                raise _differs(target, number, f"other bytes from {first} on")
    finally:
        target.files.close(fd)


def _differs(target: LockedFolder, number: int, what: str) -> StorageError:
    return refusal(f"{target.path(number)} is not from the same directory: {what}")

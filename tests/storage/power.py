"""A disk that keeps synced bytes, and an arbitrary part of the unsynced ones.

The files are real ones. In addition the disk notes what is durable: the bytes of each file when it
was last synced, and the names when the directory was last synced.

`cut_power` leaves what a machine may leave behind: the names up to some change of the directory,
and the synced bytes of each file. Some unsynced bytes are there too: up to some length, sector by
sector, or with flipped bits.
"""

import errno
import os
import stat
from contextlib import suppress
from random import Random

from gobelieve.storage.files.files import Files

SECTORS = (16, 64, 512, 4096)


class PowerCut(BaseException):
    """Raised when the process is gone. `except Exception` does not catch it."""


class _Inode:
    """One file, independent of its names."""

    __slots__ = ("gone", "longer", "synced")

    def __init__(self, synced: bytes | None) -> None:
        self.synced = synced
        """The durable bytes; None if all written bytes are durable."""
        self.gone = b""
        """The bytes when the last name was removed."""
        self.longer: list[bytes] = []
        """The bytes before each cut since the last sync."""


class PowerDisk(Files):
    """The system calls of one storage directory, over all its lives."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.left: int | None = None
        """The changes until the process is killed in the middle of one; None for no limit."""
        self.room: int | None = None
        """The bytes until the disk is full; None for no limit."""
        self.broken = 0
        """The number of syncs that will fail."""
        self.tidy = False
        """Whether a power cut leaves no holes and flips no bits."""
        self.torn = False
        """Whether the last power cut may have left holes or flipped bits."""
        self._names: dict[str, _Inode] = {}
        self._platter: dict[str, _Inode] = {}
        self._changes: list[tuple[str, str, _Inode | None]] = []
        self._opened: dict[int, _Inode | None] = {}
        self.open = self._open
        self.close = self._close
        self.pwrite = self._pwrite
        self.truncate = self._truncate
        self.fdatasync = self._sync
        self.fsync = self._sync
        self.unlink = self._unlink
        self.rename = self._rename

    def lock(self, path: str) -> int:
        fd = super().lock(path)
        self._opened[fd] = None
        return fd

    # --- the calls

    def _dies(self) -> bool:
        """Return whether the process is killed in this change. No change comes after it."""
        if self.left is None:
            return False
        self.left -= 1
        if self.left < -1:
            raise PowerCut
        return self.left == -1

    def _open(self, path: str, flags: int, mode: int = 0o777) -> int:
        fresh = not os.path.exists(path)
        if flags & (os.O_CREAT | os.O_TRUNC) and self._dies():
            raise PowerCut
        fd = os.open(path, flags, mode)
        inode = self._names.get(path)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            inode = None
        elif fresh or inode is None:
            # A file that was there before this disk is durable as it is.
            inode = self._names[path] = _Inode(b"" if fresh else None)
            if fresh:
                self._changes.append((path, "", inode))
            else:
                self._platter[path] = inode
        self._opened[fd] = inode
        return fd

    def _close(self, fd: int) -> None:
        del self._opened[fd]
        os.close(fd)

    def _soil(self, fd: int) -> None:
        inode = self._opened[fd]
        assert inode is not None
        if inode.synced is None:
            inode.synced = os.pread(fd, self.size(fd), 0)

    def _pwrite(self, fd: int, data: bytes, offset: int) -> int:
        dies = self._dies()
        self._soil(fd)
        taken = len(data)
        if dies:
            os.pwrite(fd, data[: self.random.randrange(taken + 1)], offset)
            raise PowerCut
        if self.room is not None:
            taken = min(taken, self.room)
            self.room -= taken
            if not taken:
                raise OSError(errno.ENOSPC, "No space left on device")
        return os.pwrite(fd, data[:taken], offset)

    def _truncate(self, fd: int, length: int) -> None:
        if self._dies():
            raise PowerCut
        self._soil(fd)
        inode = self._opened[fd]
        assert inode is not None
        inode.longer.append(os.pread(fd, self.size(fd), 0))
        os.ftruncate(fd, length)

    def _sync(self, fd: int) -> None:
        if self._dies():
            raise PowerCut
        if self.broken:
            self.broken -= 1
            raise OSError(errno.EIO, "Input/output error")
        inode = self._opened[fd]
        if inode is not None:
            inode.synced = None
            inode.longer.clear()
        else:
            self._platter = dict(self._names)
            self._changes.clear()

    def _unlink(self, path: str) -> None:
        if self._dies():
            raise PowerCut
        self._take_name(path)
        os.unlink(path)
        self._changes.append((path, "", None))

    def _rename(self, source: str, target: str) -> None:
        if self._dies():
            raise PowerCut
        if target in self._names:
            self._take_name(target)
        os.rename(source, target)
        inode = self._names[target] = self._names.pop(source)
        self._changes.append((target, source, inode))

    def _take_name(self, path: str) -> None:
        inode = self._names.pop(path, None)
        if inode is not None:
            inode.gone = _content(path)

    # --- changes by somebody else, durable at once

    def replace(self, path: str, data: bytes) -> None:
        """Give a file other content."""
        with open(path, "wb") as file:
            file.write(data)
        inode = self._names.setdefault(path, _Inode(None))
        inode.synced = None
        inode.longer.clear()
        self._platter[path] = inode

    def settle(self) -> None:
        """Make all names durable, as time does."""
        self._platter = dict(self._names)
        self._changes.clear()

    def remove(self, path: str) -> None:
        """Remove a file, durably."""
        os.unlink(path)
        self._names.pop(path, None)
        self._platter.pop(path, None)
        self._changes = [change for change in self._changes if path not in change[:2]]

    # --- the end of the process, and of the machine

    def abandon(self) -> None:
        """Kill the process: its descriptors are closed."""
        for fd in self._opened:
            with suppress(OSError):
                os.close(fd)
        self._opened.clear()
        self.left = self.room = None
        self.broken = 0

    def cut_power(self) -> None:
        """Cut the power: unsynced bytes stay, or stay in part, or are lost."""
        names = dict(self._platter)
        for path, source, inode in self._changes[: self.random.randint(0, len(self._changes))]:
            names.pop(source, None)
            names.pop(path, None)
            if inode is not None:
                names[path] = inode
        self.torn = False
        now = {inode: _content(path) for path, inode in self._names.items()}
        for path in self._names.keys() - names.keys():
            with suppress(FileNotFoundError):
                os.unlink(path)
        for path, inode in names.items():
            written = now.get(inode, inode.gone)
            if inode.synced is not None:
                written = self._remains([inode.synced, *inode.longer], written)
            inode.synced = None
            inode.longer.clear()
            if not os.path.exists(path) or _content(path) != written:
                with open(path, "wb") as file:
                    file.write(written)
        self._names, self._platter = names, dict(names)
        self._changes.clear()

    def _remains(self, before: list[bytes], new: bytes) -> bytes:
        """Return the remains of a file that had the first of these contents when it was synced."""
        random, kept = self.random, _same(before[0], new)
        how, old = random.randrange(3 if self.tidy else 5), random.choice(before)
        if how == 0:
            return new
        if how == 1:
            return old
        if how == 2 and kept == len(before[0]):
            # Cut at some byte, half of the time near the end.
            return new[: max(kept, len(new) - random.choice((random.randrange(300), len(new))))]
        data = bytearray(new)
        if how == 3:
            size = random.choice(SECTORS)
            for start in range(kept // size * size, len(new), size):
                if random.random() < 0.3:
                    data[start : start + size] = old[start : start + size].ljust(
                        min(size, len(new) - start), b"\0"
                    )
        elif kept < len(new):
            for _ in range(random.randrange(1, 4)):
                data[random.randrange(kept, len(new))] ^= 1 << random.randrange(8)
        self.torn = True
        return bytes(data)


def _same(one: bytes, other: bytes) -> int:
    """Return the length of the common beginning."""
    if other.startswith(one):
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""

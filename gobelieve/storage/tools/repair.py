"""Repairing a directory: each torn end is moved into a file of its own.

Nothing else can be repaired:

- A record in the middle cannot move, since its place is its id, and clients keep ids.
- Damage cannot be overwritten. A slave compares its bytes with the master's, and the readers of all
  versions skip no filler.
- No entry is appended to mend a chain. The start bridges the chain, and to clients an entry that is
  appended now would be a new message.
"""

from types import TracebackType
from typing import Self

from gobelieve.storage.files.files import Files, refusal
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.records import BLOCK_SIZE
from gobelieve.storage.tools.copies import LockedFolder
from gobelieve.storage.tools.verify import Torn


class Repair:
    """One directory, locked if `change` is true. StorageError if a daemon uses it."""

    def __init__(
        self, root: str, change: bool, size: int = BLOCK_SIZE, files: Files | None = None
    ) -> None:
        self.folder = ReadOnlyFolder(root, size, files)
        self._locked: LockedFolder | None = None
        if self.folder.in_use:
            raise refusal(f"{root} is in use: stop its daemon first")
        if change:
            self.folder.close()
            self._locked = LockedFolder(root, size, files)
            self.folder = ReadOnlyFolder(root, size, files, mine=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.folder.close()
        if self._locked is not None:
            self._locked.close()

    def cut(self, torn: Torn) -> str:
        """Cut off a torn end. Return the path of the file that keeps it."""
        assert self._locked is not None
        return self._locked.set_aside(torn.number, torn.offset)

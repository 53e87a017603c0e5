"""Repairing a directory: its torn ends are moved aside, each into a file of its own.

That is all that can be done. Damage in the middle stays where it is: no record may move, since its
place is its id and clients hold ids; it may not be overwritten either, since a slave compares its
bytes with the master's, and there is no filler that the readers of all years step over. Nor is
anything appended to mend a chain: our readers bridge it at the start, and what an entry appended
now would say of an old message is a new message to every client.
"""

from types import TracebackType
from typing import Self

from gobelieve.storage.files.files import Files, refusal
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.records import BLOCK_SIZE
from gobelieve.storage.tools.copies import LockedFolder
from gobelieve.storage.tools.verify import Torn


class Repair:
    """One directory, held if it is to be changed. StorageError if a daemon has it."""

    def __init__(
        self, root: str, change: bool, size: int = BLOCK_SIZE, files: Files | None = None
    ) -> None:
        self.folder = ReadOnlyFolder(root, size, files)
        self._held: LockedFolder | None = None
        if self.folder.in_use:
            raise refusal(f"{root} is in use: stop its daemon first")
        if change:
            self.folder.close()
            self._held = LockedFolder(root, size, files)
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
        if self._held is not None:
            self._held.close()

    def cut(self, torn: Torn) -> str:
        """Move the end of a block aside; where to."""
        assert self._held is not None
        return self._held.set_aside(torn.number, torn.offset)

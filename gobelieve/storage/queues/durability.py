"""Comparing a directory at its start with what it had on disk, and noting how far it is on disk."""

from gobelieve.interfaces import World
from gobelieve.storage.files.blocks import Position
from gobelieve.storage.files.durable_mark import DurableMark, Mark, read_mark
from gobelieve.storage.files.files import Files
from gobelieve.storage.format.layout import place_name
from gobelieve.storage.index.recovery import Durable

LOST_BLOCKS = 16
"""The blocks that are skipped if records may be lost that were told less than a minute before."""


class Durability:
    """The mark of one directory, from its start to its end."""

    def __init__(
        self, root: str, files: Files, world: World, *, is_slave: bool, is_written_only: bool
    ) -> None:
        self._root = root
        self._log = world.log
        self._is_slave = is_slave
        self._is_written_only = is_written_only
        self._mark = DurableMark(root, files, world.time)
        self._found: Mark | None = None

    def read(self) -> Durable | None:
        """Return what recovery may cut off; None if the directory has no mark. Raises OSError.

        Saves that were answered early are not cut off.
        """
        self._found = read_mark(self._root)
        if self._found is None:
            return None
        return Durable(
            self._found.position, is_cut=self._is_slave or not self._found.is_written_only
        )

    def begin(self, end: Position, is_damaged: bool) -> int:
        """Log what the directory has lost, and begin to write its mark.

        `is_damaged` means that recovery found damage before the mark. Return the number of the
        block in which new records must be at the earliest; 0 for any block.
        """
        found, newest, first = self._found, end, 0
        if found is not None:
            is_damaged = is_damaged or found.is_damaged
            newest = max(end, found.position)
            if newest != end or found.is_written_only:
                # Ids of records that are lost may have been told.
                first = newest[0] + LOST_BLOCKS
            if newest != end:
                what = "{root} ends at {end}, but had records up to {mark}: messages are lost"
                names = {"end": place_name(end), "mark": place_name(newest)}
                self._log.error(what, root=self._root, **names)
        if is_damaged:
            advice = "`gobelieve storage resync`" if self._is_slave else "a slave or a backup"
            what = "{root} has damage in what was on disk: get the records again from {advice}"
            self._log.error(what, root=self._root, advice=advice)
        self._mark.open(Mark(newest, self._is_written_only, is_damaged))
        return first

    def note(self, end: Position) -> None:
        """Write that everything before this end is on disk. May block; called in a thread."""
        self._mark.note(end)

    def close(self, end: Position | None = None) -> None:
        """Stop. With `end`, the daemon stops in good order and everything before it is on disk."""
        self._mark.close(end)

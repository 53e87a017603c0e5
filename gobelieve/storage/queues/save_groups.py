"""The saves that can still be taken back: appended, written, and covered by the running sync."""

from gobelieve.storage.files.blocks import Position
from gobelieve.storage.index.heads import Head
from gobelieve.storage.index.snapshot_file import Heads


class SaveGroup:
    """Saves that are kept or taken back together.

    `start` is the position of the first one, and `heads` are the heads of their queues before.
    """

    __slots__ = ("heads", "queues", "start")

    def __init__(self, start: Position, queues: int) -> None:
        self.start = start
        self.queues = queues
        """The number of queues before these saves."""
        self.heads: Heads = {}


class SaveGroups:
    """The three groups of a directory. The older group of two has the older heads."""

    __slots__ = ("appended", "syncing", "written")

    def __init__(self) -> None:
        self.appended = SaveGroup((0, 0), 0)
        self.written: SaveGroup | None = None
        self.syncing: SaveGroup | None = None

    @property
    def all(self) -> list[SaveGroup]:
        """Return the groups, the oldest first."""
        groups = (self.syncing, self.written, self.appended)
        return [group for group in groups if group is not None]

    def flushed(self, end: Position, queues: int) -> None:
        """Note that the appended saves are written, up to `end`."""
        if self.written is None:
            self.written = self.appended
        else:
            for place, head in self.appended.heads.items():
                self.written.heads.setdefault(place, head)
        self.appended = SaveGroup(end, queues)

    def begin_sync(self) -> None:
        """Note that a sync of the written saves begins."""
        self.syncing, self.written = self.written, None

    def head_before(self, place: int) -> Head | None:
        """Return the head that a queue had before these saves; None if none of them changed it."""
        for group in (self.syncing, self.written, self.appended):
            if group is not None and place in group.heads:
                return group.heads[place]
        return None

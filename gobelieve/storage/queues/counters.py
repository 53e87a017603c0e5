"""The figures of storage, as plain values for the status pages."""

from collections import defaultdict

from gobelieve.metrics import Histogram

SYNC_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
GROUP_SIZES = tuple(1 << n for n in range(15))


class StorageCounters:
    """Saves, syncs and reads of one storage since its start."""

    __slots__ = (
        "appends",
        "group_appends",
        "group_sizes",
        "messages_read",
        "not_stored",
        "pieces",
        "reads",
        "stored",
        "sync_seconds",
        "syncs_failed",
        "writes_failed",
    )

    def __init__(self) -> None:
        self.appends = 0
        """Messages that got an id. Some of them may not have become durable."""
        self.group_appends = 0
        """Messages for super groups that got an id."""
        self.stored = 0
        """Messages that were answered as stored."""
        self.not_stored: defaultdict[int, int] = defaultdict(int)
        """Messages that were answered as not stored, by `AckStatus`."""
        self.pieces = 0
        """Pieces of a master's files that this slave appended."""
        self.writes_failed = 0
        self.syncs_failed = 0
        self.sync_seconds = Histogram(SYNC_SECONDS)
        """The durations of successful syncs, until the event loop got the result."""
        self.group_sizes = Histogram(GROUP_SIZES)
        """The numbers of messages that the successful syncs covered, without 0."""
        self.reads = 0
        """Reads that were answered."""
        self.messages_read = 0

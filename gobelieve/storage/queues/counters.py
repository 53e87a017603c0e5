"""What storage counts of its own work, as plain values for whoever wants to show them."""

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
        """Messages that were given an id; not all of them became durable."""
        self.group_appends = 0
        """Those among them for super groups."""
        self.stored = 0
        """Messages that were answered as stored."""
        self.not_stored: defaultdict[int, int] = defaultdict(int)
        """By `AckStatus`: messages that were answered as not stored."""
        self.pieces = 0
        """Pieces of a master's files that came to be stored."""
        self.writes_failed = 0
        self.syncs_failed = 0
        self.sync_seconds = Histogram(SYNC_SECONDS)
        """Of each sync that went well, until the event loop knew of it."""
        self.group_sizes = Histogram(GROUP_SIZES)
        """How many messages such a sync covered, if it was any."""
        self.reads = 0
        """Questions that were answered."""
        self.messages_read = 0

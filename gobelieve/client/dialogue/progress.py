"""The position of a client in one queue, and the rules by which it asks for more.

No message is lost and none is delivered twice:

- A pushed message is accepted only if it directly follows the last one and no sync is running. A
  running sync may contain the same message.
- The server sends a notify after each push. So the client fetches a push that it did not accept.
- A notify during a sync is kept, and compared with the key at the sync's end.
"""


class Progress:
    """The state of one queue on one client."""

    __slots__ = ("asked", "key", "newest")

    def __init__(self, key: int) -> None:
        self.key = key
        """The client has all messages up to this id."""
        self.asked: int | None = None
        """The key in the request of the running sync; None if no sync is running."""
        self.newest = 0
        """The largest id of a notify since the last sync was asked for."""

    @property
    def is_behind(self) -> bool:
        """Whether a sync is due."""
        return self.asked is None and self.newest > self.key

    def begin_sync(self) -> int:
        """Note that a sync begins. Return the key for its request."""
        self.asked = self.key
        self.newest = 0
        return self.key

    def notify(self, msgid: int) -> None:
        """Note that the server has a message with this id."""
        self.newest = max(self.newest, msgid)

    def accept(self, msgid: int, prev: int) -> bool:
        """Move to a pushed message. Return False if it does not directly follow the last one."""
        if self.asked is not None or prev != self.key or not prev or not msgid:
            return False
        self.key = msgid
        return True

    def end_sync(self, key: int) -> int:
        """End the sync with the server's key, which may be lower than ours. Return the key before
        it."""
        before = self.key if self.asked is None else self.asked
        self.key = key
        self.asked = None
        return before

    def disconnect(self) -> None:
        """Forget the sync that was running: its connection is lost."""
        self.asked = None
        self.newest = 0

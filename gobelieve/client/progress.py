"""How far a client has one queue, and when it asks for more.

The rules that lose nothing and double nothing. Pushes are taken only when they follow directly
on what the client has and no sync is under way: a sync under way may bring the same message. Each
push is followed by a notify, so what was not taken is fetched. Notifies during a sync are kept,
and compared with the key that the sync ended with.
"""


class Progress:
    """The state of one queue on one client."""

    __slots__ = ("asked", "key", "newest")

    def __init__(self, key: int) -> None:
        self.key = key
        """The id up to which the client has everything."""
        self.asked: int | None = None
        """The key with which a sync was asked for that has not ended yet."""
        self.newest = 0
        """The largest id that a notify named."""

    @property
    def behind(self) -> bool:
        """Whether a sync is due."""
        return self.asked is None and self.newest > self.key

    def ask(self) -> int:
        """Begin a sync; the key to ask with."""
        self.asked = self.key
        self.newest = 0
        return self.key

    def notify(self, msgid: int) -> None:
        """There is a message with this id."""
        self.newest = max(self.newest, msgid)

    def follow(self, msgid: int, prev: int) -> bool:
        """Step to a message that came by itself; False if it does not follow on what is there."""
        if self.asked is not None or prev != self.key or not prev or not msgid:
            return False
        self.key = msgid
        return True

    def end(self, key: int) -> int:
        """The sync ended with this key, which may be lower than ours. Gives the key before."""
        before = self.key if self.asked is None else self.asked
        self.key = key
        self.asked = None
        return before

    def disconnect(self) -> None:
        """What was asked for will not come."""
        self.asked = None
        self.newest = 0

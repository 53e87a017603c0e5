"""Notifies that a router could not take, or that may have found nobody there.

When a router comes back, its gateways find it again one after another. What is published before
the last of them is there does not reach its users, so for a while notifies are told again. That
costs little: one a user, and who knows of it already does nothing.
"""

from gobelieve.metrics import Tally
from gobelieve.names import User
from gobelieve.wire import client

NOTIFIES_KEPT = 100_000
"""Users of whom a notify is kept at the most, for each router."""
AGAIN = (1.0, 2.0, 4.0)
"""Seconds after a connection, and then each after the one before, at which notifies are told
again. Gateways try at least every 3 s, so that in 7 s the last one is there."""


class KeptNotifies:
    """The newest id of each user."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._untold: dict[User, int] = {}
        self._told: dict[User, int] = {}

    def keep(self, user: User, cmd: int, body: bytes, msgid: int) -> None:
        """Keep what cannot be published now: its id at least. What has none is dropped."""
        msgid = _id_of(cmd, body, msgid)
        if not msgid:
            self._tally.add("live_dropped")
        elif not _enter(self._untold, user, msgid):
            self._tally.add("notifies_dropped")

    def told(self, user: User, cmd: int, body: bytes, msgid: int) -> None:
        """This is published now, and is to be told again."""
        msgid = _id_of(cmd, body, msgid)
        if msgid:
            _enter(self._told, user, msgid)

    def take(self) -> dict[User, int]:
        """What was kept; it is yours now."""
        untold, self._untold = self._untold, {}
        return untold

    def take_told(self) -> dict[User, int]:
        """What is to be told again; it is yours now."""
        told, self._told = self._told, {}
        return told

    def lost(self) -> None:
        """The router is gone: nobody knows whom it told."""
        for user, msgid in self.take_told().items():
            _enter(self._untold, user, msgid)


def _id_of(cmd: int, body: bytes, msgid: int) -> int:
    return client.key_of(body) if cmd == client.SyncNotify.number else msgid


def _enter(notifies: dict[User, int], user: User, msgid: int) -> bool:
    known = notifies.get(user)
    if known is None and len(notifies) >= NOTIFIES_KEPT:
        return False
    notifies[user] = msgid if known is None else max(msgid, known)
    return True

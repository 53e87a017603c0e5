"""Checks whether a user may write to another: only to friends, and not from a blacklist.

The verdicts are the statuses 1, 2 and 3 of `AckStatus`, checked in this order. The caller lets
users write to themselves, and asks nothing on a site without these checks.
"""

from gobelieve.errors import BackendError
from gobelieve.interfaces import (
    IN_YOUR_BLACKLIST,
    MY_FRIEND,
    YOUR_FRIEND,
    Relations,
)
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, User


def _verdict(relation: int, friendship: bool, blacklist: bool) -> int:
    if friendship and not relation & MY_FRIEND:
        return AckStatus.NOT_MY_FRIEND
    if friendship and not relation & YOUR_FRIEND:
        return AckStatus.NOT_YOUR_FRIEND
    if blacklist and relation & IN_YOUR_BLACKLIST:
        return AckStatus.IN_YOUR_BLACKLIST
    return AckStatus.SUCCESS


class Permission:
    """Permits messages by the relations of users; `friendship` and `blacklist` are the checks."""

    def __init__(
        self, relations: Relations, *, friendship: bool, blacklist: bool, counters: Counters
    ) -> None:
        self._relations = relations
        self._verdicts = [int(_verdict(bits, friendship, blacklist)) for bits in range(16)]
        self._counters = counters

    async def status(self, user: User, receiver: int) -> int:
        """Return 0 if the user may write to the receiver, else the `AckStatus` that says why not.

        Waits only if the relation is not in memory.
        """
        relation = self._relations.loaded(user, receiver)
        if relation is None:
            try:
                relation = await self._relations.find(user, receiver)
            except BackendError:
                # The client is to send the message again: nobody knows whether it is permitted.
                self._counters.add("relations_not_found_out")
                return AckStatus.RELATIONS_AWAY
        return self._verdicts[relation]

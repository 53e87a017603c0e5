"""Whether a user may write to another: friends only, and nobody whom the receiver does not want.

The answers are 1, 2 and 3 of `AckStatus`, asked for in this order. To oneself one may always write;
that is for the caller to know, as it is that nothing is asked where the site wants neither.
"""

from collections.abc import Callable

from gobelieve.errors import BackendError
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import (
    IN_YOUR_BLACKLIST,
    MY_FRIEND,
    YOUR_FRIEND,
    Relations,
    Tasks,
)
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus

Decided = Callable[[int], None]
"""Called with 0, or with the `AckStatus` that says why not."""


def _verdict(relation: int, friendship: bool, blacklist: bool) -> int:
    if friendship and not relation & MY_FRIEND:
        return AckStatus.NOT_MY_FRIEND
    if friendship and not relation & YOUR_FRIEND:
        return AckStatus.NOT_YOUR_FRIEND
    if blacklist and relation & IN_YOUR_BLACKLIST:
        return AckStatus.IN_YOUR_BLACKLIST
    return AckStatus.SUCCESS


class Permission:
    """What the relations of users permit. `friendship`, `blacklist`: what the site asks for."""

    def __init__(
        self,
        relations: Relations,
        friendship: bool,
        blacklist: bool,
        tasks: Tasks,
        counters: Counters,
    ) -> None:
        self._relations = relations
        self._verdicts = [int(_verdict(bits, friendship, blacklist)) for bits in range(16)]
        self._tasks = tasks
        self._counters = counters

    def ask(self, session: Session, receiver: int, decided: Decided) -> None:
        """May the session's user write to the receiver? Answered at once if that is at hand.

        Else what the client sends meanwhile waits, so that all is handled in order.
        """
        relation = self._relations.loaded(session.user, receiver)
        if relation is not None:
            decided(self._verdicts[relation])
        else:
            session.hold()
            self._tasks.start(self._find(session, receiver, decided))

    async def _find(self, session: Session, receiver: int, decided: Decided) -> None:
        try:
            relation = await self._relations.find(session.user, receiver)
        except BackendError:
            # Nobody knows, which is neither yes nor no: the client is to send again.
            self._counters.add("relations_not_found_out")
            decided(AckStatus.RELATIONS_AWAY)
        else:
            decided(self._verdicts[relation])
        finally:
            session.release()

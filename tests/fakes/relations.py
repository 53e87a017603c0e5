"""Relations in memory."""

from twisted.internet.defer import Deferred

from gobelieve.errors import BackendError
from gobelieve.interfaces import mirrored
from gobelieve.names import User


class MemoryRelations:
    """`gobelieve.interfaces.Relations`: those `at_hand`, and for `find` those in `stored` too."""

    def __init__(self) -> None:
        self.at_hand: dict[tuple[User, int], int] = {}
        self.stored: dict[tuple[User, int], int] = {}
        self.away = False
        self.waiting: Deferred[None] | None = None
        """Set, it is what `find` waits for."""
        self.asked: list[tuple[User, int]] = []

    def loaded(self, user: User, peer: int) -> int | None:
        return self.at_hand.get((user, peer))

    async def find(self, user: User, peer: int) -> int:
        self.asked.append((user, peer))
        if self.waiting is not None:
            await self.waiting
        if self.away:
            raise BackendError("relations are away")
        return self.at_hand.get((user, peer)) or self.stored.get((user, peer), 0)


class MemoryRelationStore:
    """`gobelieve.interfaces.RelationStore`. With `held` a load is answered by `answer` only."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int, int], int] = {}
        """Relations as the first user sees them, by app and users."""
        self.away = False
        self.held = False
        self.loads: list[tuple[User, int]] = []
        self._waiting: list[Deferred[None]] = []

    def put(self, user: User, peer: int, bit: int) -> None:
        """As the app's server writes a row."""
        appid, uid = user
        there, here = (appid, uid, peer), (appid, peer, uid)
        self.rows[there] = self.rows.get(there, 0) | bit
        self.rows[here] = self.rows.get(here, 0) | mirrored(bit)

    async def load(self, user: User, peer: int) -> int:
        self.loads.append((user, peer))
        found = self.rows.get((*user, peer), 0)
        if self.held:
            waited: Deferred[None] = Deferred()
            self._waiting.append(waited)
            await waited
        if self.away:
            raise BackendError("the store is away")
        return found

    def answer(self) -> None:
        """Let all loads under way end."""
        waiting, self._waiting = self._waiting, []
        for waited in waiting:
            waited.callback(None)

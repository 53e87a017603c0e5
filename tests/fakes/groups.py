"""Groups in memory."""

from twisted.internet.defer import Deferred

from gobelieve.errors import BackendError
from gobelieve.interfaces import Group, membership


def group(id: int, *uids: int, appid: int = 7, super: bool = False) -> Group:
    """A group with these members, who joined at second 1."""
    return Group(id, appid, super, {uid: membership(1, False) for uid in uids})


class MemoryGroups:
    """`gobelieve.interfaces.Groups`: those in `at_hand`, and for `find` those in `stored` too."""

    def __init__(self) -> None:
        self.at_hand: dict[int, Group] = {}
        self.stored: dict[int, Group] = {}
        self.away = False
        self.asked: list[int] = []

    def loaded(self, group_id: int) -> Group | None:
        return self.at_hand.get(group_id)

    def super_groups(self) -> list[int]:
        return [id_ for id_, group in self.at_hand.items() if group.super]

    async def find(self, group_id: int) -> Group | None:
        self.asked.append(group_id)
        if self.away:
            raise BackendError("groups are away")
        return self.at_hand.get(group_id) or self.stored.get(group_id)


class MemoryGroupStore:
    """`gobelieve.interfaces.GroupStore`. With `held` a load is answered by `answer` only."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[int, bool, dict[int, int]]] = {}
        """(appid, super, members) of each group."""
        self.away = False
        self.held = False
        self.loads: list[int] = []
        self._waiting: list[Deferred[None]] = []

    def put(self, id: int, *uids: int, appid: int = 7, super: bool = False) -> None:
        """As the app's server makes or changes a group."""
        self.rows[id] = (appid, super, {uid: membership(1, False) for uid in uids})

    async def load(self, group_id: int) -> Group | None:
        self.loads.append(group_id)
        row = self.rows.get(group_id)
        found = row and Group(group_id, row[0], row[1], dict(row[2]))
        if self.held:
            # What was read is what there was when the load began.
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

"""Checks who may write to a group and read it: its members."""

from gobelieve.errors import BackendError
from gobelieve.interfaces import Group, Groups
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, User


class Membership:
    """Finds the groups of users. `groups` is None where the site has none."""

    def __init__(self, groups: Groups | None, counters: Counters) -> None:
        self._groups = groups
        self._counters = counters

    async def find(self, user: User, group_id: int) -> Group | AckStatus:
        """Return a group of which the user is a member, or the status that says why not.

        Waits only if the group is not in memory.
        """
        if self._groups is None:
            return AckStatus.GROUP_NONEXIST
        group = self._groups.loaded(group_id)
        if group is None:
            try:
                group = await self._groups.find(group_id)
            except BackendError:
                self._counters.add("groups_not_found_out")
                return AckStatus.GROUPS_AWAY
        if group is None:
            return AckStatus.GROUP_NONEXIST
        if group.appid != user.appid or user.uid not in group:
            return AckStatus.NOT_GROUP_MEMBER
        return group

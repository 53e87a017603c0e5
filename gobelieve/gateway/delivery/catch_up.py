"""Catching up: after an interruption users are notified of messages that they may have missed.

While a router is away, publications of other gateways are lost. The gateway then reads from storage
the newest id of each connected user, and notifies the user's sessions of it. It also notifies the
members of each super group that it has in memory, because it was used here within the last hour. A
client that has the message already does nothing.
"""

from collections.abc import Callable, Iterable

from gobelieve.errors import StorageError
from gobelieve.gateway.delivery.group_members_here import GroupMembersHere
from gobelieve.gateway.delivery.in_batches import InBatches
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.interfaces import Groups, MessageReader, SuperGroupQueues, World
from gobelieve.names import User

BEYOND_ALL = (1 << 63) - 1


class CatchUp:
    """Catches up users, in batches that take a tenth of a storage's time."""

    def __init__(self, sessions: Sessions, reader: MessageReader, world: World) -> None:
        self._sessions = sessions
        self._reader = reader
        self._counters = world.counters
        self._in_batches = InBatches(sessions.__contains__, self._notify, world)

    def begin(self, users: Iterable[User]) -> None:
        """Notify users who may have missed a message."""
        self._in_batches.begin(users)

    async def _notify(self, user: User) -> bool:
        try:
            page = await self._reader.fetch(user, BEYOND_ALL, 1)
        except StorageError:
            return False
        self._counters.add("caught_up")
        if page.newest:
            for session in self._sessions.of(user):
                session.notify(page.newest)
        return True


class GroupCatchUp:
    """Catches up super groups, in batches. `groups` is None where the site has none."""

    def __init__(
        self,
        *,
        world: World,
        groups: Groups | None,
        queues: SuperGroupQueues,
        members_here: GroupMembersHere,
    ) -> None:
        self._groups = groups
        self._queues = queues
        self._members_here = members_here
        self._counters = world.counters
        self._in_batches = InBatches(self._is_loaded, self._notify, world)

    def begin(self, missed: Callable[[int], bool]) -> None:
        """Notify the members of the groups for whose id `missed` is true."""
        if self._groups is not None:
            self._in_batches.begin([id_ for id_ in self._groups.super_groups() if missed(id_)])

    def begin_with(self, group_ids: Iterable[int]) -> None:
        """Notify the members of groups that may have missed a message."""
        self._in_batches.begin(group_ids)

    def _is_loaded(self, group_id: int) -> bool:
        return self._groups is not None and self._groups.loaded(group_id) is not None

    async def _notify(self, group_id: int) -> bool:
        group = None if self._groups is None else self._groups.loaded(group_id)
        if group is None:
            return True
        try:
            page = await self._queues.fetch_group(group.appid, group_id, BEYOND_ALL, 0, 1)
        except StorageError:
            return False
        self._counters.add("groups_caught_up")
        key = page.newest
        if key:
            self._members_here.deliver(
                group.appid, group_id, lambda session: session.notify_group(group_id, key), key
            )
        return True

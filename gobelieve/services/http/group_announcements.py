"""How a change of a group is told: to gateways, and to members by messages."""

from collections.abc import Sequence
from typing import Protocol

from gobelieve.errors import StorageError
from gobelieve.event_loop.waiting import called_back, called_within
from gobelieve.gateway.rules.group_posts import GroupPosts
from gobelieve.groups.events import Event
from gobelieve.groups.manager import GroupManager
from gobelieve.interfaces import Change, Group, Time

HEARD_SECONDS = 1.0
"""How long a change waits until this gateway hears of it as all others do."""


class DirectAnnouncer:
    """`gobelieve.interfaces.Announcer` where there is no other gateway."""

    def __init__(self, manager: GroupManager) -> None:
        self._manager = manager

    async def announce(self, changes: Sequence[Change]) -> None:
        for name, group_id, _, _, uid, muted in changes:
            self._manager.happened(Event(0, 0, name, group_id, uid, muted))


class Numbered(Protocol):
    """Announces, and says which number the last change got."""

    async def announce(self, changes: Sequence[Change]) -> int:
        """See `gobelieve.interfaces.Announcer`."""


class FollowedAnnouncer:
    """`gobelieve.interfaces.Announcer` on one that all gateways follow, this one too.

    Applied twice, at once and when it is heard, a change could undo the next one for a moment. So
    it is waited for; if it does not come, the groups are read again.
    """

    def __init__(self, announcer: Numbered, manager: GroupManager, time: Time) -> None:
        self._announcer = announcer
        self._manager = manager
        self._time = time

    async def announce(self, changes: Sequence[Change]) -> None:
        action = await self._announcer.announce(changes)
        # While nothing is heard nothing is waited for: a thousand changes may come one by one.
        if not self._manager.followed or not await self._heard(action):
            for change in changes:
                self._manager.forget(change.group_id)

    async def _heard(self, action: int) -> bool:
        return await called_within(HEARD_SECONDS, self._time, self._manager.when_seen, action)


class NotificationPoster:
    """`gobelieve.groups.changes.Notifier`."""

    def __init__(self, group_posts: GroupPosts) -> None:
        self._group_posts = group_posts

    async def notify(
        self, appid: int, group_id: int, is_super: bool, others: Sequence[int], content: bytes
    ) -> None:
        group = await self._group_posts.find(appid, group_id)
        if others or (group and len(group)):
            await self._post(appid, group_id, group, is_super, others, content)

    async def notify_each(
        self, appid: int, group_id: int, uids: Sequence[int] | None, content: bytes
    ) -> None:
        if uids is None:
            group = await self._group_posts.find(appid, group_id)
            uids = list(group.members) if group is not None else ()
        if uids:
            await self._post(appid, group_id, None, False, uids, content)

    async def _post(
        self,
        appid: int,
        group_id: int,
        group: Group | None,
        is_super: bool,
        others: Sequence[int],
        content: bytes,
    ) -> None:
        (status,) = await called_back(
            self._group_posts.notification,
            appid,
            group_id,
            group,
            is_super,
            others,
            content,
        )
        if status:
            raise StorageError(status, f"status {status}")

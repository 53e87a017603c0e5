"""Announces changes of groups: to the gateways, and by messages to the members."""

from collections.abc import Sequence
from typing import Protocol

from gobelieve.errors import StorageError
from gobelieve.event_loop.waiting import called_back, called_within
from gobelieve.gateway.rules.group_posts import GroupPosts
from gobelieve.groups.events import Event
from gobelieve.groups.manager import GroupManager
from gobelieve.interfaces import Change, Group, Time

ANNOUNCED_SECONDS = 1.0
"""Seconds that a change waits until this gateway receives its own announcement."""


class DirectAnnouncer:
    """An `interfaces.Announcer` for a gateway that is the only one."""

    def __init__(self, manager: GroupManager) -> None:
        self._manager = manager

    async def announce(self, changes: Sequence[Change]) -> None:
        for name, group_id, _, _, uid, muted in changes:
            self._manager.happened(Event(0, 0, name, group_id, uid, muted))


class Numbered(Protocol):
    """Announces changes with numbers."""

    async def announce(self, changes: Sequence[Change]) -> int:
        """Announce the changes, and return the number of the last one."""


class FollowedAnnouncer:
    """An `interfaces.Announcer` whose announcements all gateways receive, also this one.

    This gateway applies a change only when it receives the announcement. If it also applied it at
    once, the second time could undo a later change for a moment. If the announcement does not
    arrive within `ANNOUNCED_SECONDS`, the groups are read again from the database.
    """

    def __init__(self, announcer: Numbered, manager: GroupManager, time: Time) -> None:
        self._announcer = announcer
        self._manager = manager
        self._time = time

    async def announce(self, changes: Sequence[Change]) -> None:
        action = await self._announcer.announce(changes)
        # While announcements do not arrive, waiting for each of many changes would take too long.
        if not self._manager.followed or not await self._was_received(action):
            for change in changes:
                self._manager.forget(change.group_id)

    async def _was_received(self, action: int) -> bool:
        return await called_within(ANNOUNCED_SECONDS, self._time, self._manager.when_seen, action)


class NotificationPoster:
    """A `groups.changes.Notifier` that posts the messages as notifications of the group."""

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

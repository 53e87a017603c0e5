"""Changes of groups, as the app's server orders them: written, told to members, announced.

============= ====================================================================
create        written; announced with its members; they are notified
disband       written; who were members are notified; announced
upgrade       written; announced; members are notified
rename, notice, nickname       written; members are notified
add, remove   written; then for each member: all and the member are notified; announced
mute          written; announced
============= ====================================================================

This order is upstream's; apps and gateways rely on it. Notifications of a super group are in its
own queue, which only members can read and only who knows of it does. So disband and upgrade are put
into the members' own queues; and of a super group's member who is removed it is announced first,
then the others are notified by the group's queue, and the one by the own.

The database, the announcements and the notifications are no one transaction. So whatever fails
after the writing is answered with a `HalfDoneError`; and whoever was not told that all is done
orders the same again, which does no harm: what is written stays, and is told and announced once
more. (A new group is ordered again with the id that it got.)
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from gobelieve.errors import BackendError, GobelieveError, StorageError
from gobelieve.groups import events
from gobelieve.interfaces import (
    Announcer,
    Change,
    GroupAdmin,
    GroupCard,
    Log,
    MemberCard,
    NewGroup,
    Time,
    UserAdmin,
)
from gobelieve.metrics import Counters
from gobelieve.wire.go_json import encode

MAX_SHOWN_BYTES = 30_000
"""Bytes of a new group's name and members in a notification."""

Facts = Mapping[str, Any]
"""What apps are told besides, as the app's server said it."""


class NoGroupError(GobelieveError):
    """The app has no such group."""


class NoMemberError(GobelieveError):
    """The group has no such member."""


class TakenError(GobelieveError):
    """The id is another group's."""


class HalfDoneError(GobelieveError):
    """It is written, but not all have been told. To be ordered again."""

    def __init__(self, group_id: int, why: str) -> None:
        super().__init__(f"group {group_id}: {why}")
        self.group_id = group_id


class Person(NamedTuple):
    """Somebody who becomes a member, or is one no longer."""

    uid: int
    facts: Facts = {}
    """Of ``name`` and ``avatar`` what is known."""


class Notifier(Protocol):
    """Writes to members."""

    async def notify(
        self, appid: int, group_id: int, is_super: bool, others: Sequence[int], content: bytes
    ) -> None:
        """A notification for the members, as far as this gateway knows them, and others. Raises
        `StorageError`. `is_super` counts if the group is not known any more."""

    async def notify_each(
        self, appid: int, group_id: int, uids: Sequence[int] | None, content: bytes
    ) -> None:
        """The same in the own queues of these users; None: of the members."""


class GroupChanges:
    """Carries them out. Changes of one group are ordered one after another, by whoever calls."""

    def __init__(
        self,
        admin: GroupAdmin,
        announcer: Announcer,
        notifier: Notifier,
        users: UserAdmin,
        *,
        time: Time,
        counters: Counters,
        log: Log,
    ) -> None:
        self._admin = admin
        self._announcer = announcer
        self._notifier = notifier
        self._users = users
        self._time = time
        self._counters = counters
        self._log = log

    async def create(self, group: NewGroup, shown: Sequence[object]) -> int:
        """The id of the new group. `shown`: the members as apps are shown them."""
        card = await self._admin.create(group, self._now())
        if card is None:
            raise TakenError(f"the id {group.id} is another group's")
        added = [Change(events.MEMBER_ADD, card.id, uid=uid) for uid in group.members]
        created = Change(events.CREATE, card.id, card.appid, card.super)
        told = _Told(self, card)
        await told.announce(created, *added)
        about = {"master": card.master, "name": card.name, "members": list(shown)}
        if len(encode(about)) > MAX_SHOWN_BYTES:
            # No message has room for them all; apps ask the app's server for its groups anyway.
            about["members"] = []
        await told.notify("create", about, group.members, named=False)
        told.check()
        return card.id

    async def disband(self, appid: int, group_id: int) -> None:
        """Nothing is left of it; what was said stays in the members' queues."""
        found = await self._admin.disband(appid, group_id)
        if found is None:
            raise NoGroupError(f"there is no group {group_id}")
        card, uids = found
        told = _Told(self, card)
        if uids:
            await told.notify_each("disband", {}, uids)
        await told.announce(Change(events.DISBAND, group_id))
        told.check()

    async def upgrade(self, appid: int, group_id: int) -> None:
        """From now on it has a queue of its own."""
        told = self._told(await self._admin.upgrade(appid, group_id), group_id)
        await told.announce(Change(events.UPGRADE, group_id, appid, True))
        await told.notify_each("upgrade", {"super": 1}, None)
        told.check()

    async def rename(self, appid: int, group_id: int, name: str) -> None:
        """Its name."""
        told = self._told(await self._admin.rename(appid, group_id, name), group_id)
        await told.notify("update_name", {"name": name}, named=False)
        told.check()

    async def set_notice(self, appid: int, group_id: int, notice: str) -> None:
        """Its announcement."""
        told = self._told(await self._admin.set_notice(appid, group_id, notice), group_id)
        await told.notify("update_notice", {"notice": notice}, named=False)
        told.check()

    async def add(
        self, appid: int, group_id: int, people: Sequence[Person], inviter: object = None
    ) -> None:
        """They are members from now on, and read a super group from now on."""
        uids = [person.uid for person in people]
        told = self._told(await self._admin.add(appid, group_id, uids, self._now()), group_id)
        try:
            await self._users.forget_group_keys(appid, group_id, uids)
        except BackendError as why:
            told.failed(f"sync keys were not forgotten: {why}")
        invited = {} if inviter is None else {"inviter": inviter}
        for person in people:
            about = {"member_id": person.uid, **person.facts, **invited}
            await told.notify("add_member", about, [person.uid])
            await told.announce(Change(events.MEMBER_ADD, group_id, uid=person.uid))
        told.check()

    async def remove(self, appid: int, group_id: int, people: Sequence[Person]) -> None:
        """They are members no longer."""
        uids = [person.uid for person in people]
        card = await self._admin.remove(appid, group_id, uids)
        told = self._told(card, group_id)
        for person in people:
            removed = Change(events.MEMBER_REMOVE, group_id, uid=person.uid)
            about = {"member_id": person.uid, **person.facts}
            if card is not None and card.super:
                await told.announce(removed)
                await told.notify("quit_group", about)
                await told.notify_each("quit_group", about, [person.uid])
            else:
                await told.notify("quit_group", about, [person.uid])
                await told.announce(removed)
        told.check()

    async def nickname(self, appid: int, group_id: int, uid: int, nickname: str) -> None:
        """The name of a member within the group."""
        found = await self._admin.nickname(appid, group_id, uid, nickname)
        told = self._told_of_member(found, group_id, uid)
        about = {"nickname": nickname, "member_id": uid}
        await told.notify("update_member_nickname", about)
        told.check()

    async def mute(self, appid: int, group_id: int, uid: int, muted: bool) -> None:
        """Whether a member may not speak."""
        found = await self._admin.mute(appid, group_id, uid, muted)
        told = self._told_of_member(found, group_id, uid)
        await told.announce(Change(events.MEMBER_MUTE, group_id, uid=uid, muted=muted))
        told.check()

    async def show(self, appid: int, group_id: int) -> tuple[GroupCard, Sequence[MemberCard]]:
        """The group and its members, as they are written."""
        found = await self._admin.show(appid, group_id)
        if found is None:
            raise NoGroupError(f"there is no group {group_id}")
        return found

    def _told_of_member(
        self, found: tuple[GroupCard, bool] | None, group_id: int, uid: int
    ) -> "_Told":
        told = self._told(None if found is None else found[0], group_id)
        if found is not None and not found[1]:
            raise NoMemberError(f"{uid} is no member of the group {group_id}")
        return told

    def _told(self, card: GroupCard | None, group_id: int) -> "_Told":
        if card is None:
            raise NoGroupError(f"there is no group {group_id}")
        return _Told(self, card)

    def _now(self) -> int:
        return int(self._time.seconds())


class _Told:
    """Tells of one change that is written, and remembers what failed.

    Where an announcement failed no other one is tried, and likewise with notifications: each might
    take its seconds to fail, and all of them come when the change is ordered again.
    """

    def __init__(self, changes: GroupChanges, card: GroupCard) -> None:
        self._changes = changes
        self._card = card
        self._why = ""
        self._announces = self._notifies = True
        self._timestamp = changes._now()

    def failed(self, why: str) -> None:
        """Go on all the same. The first reason is kept."""
        self._why = self._why or why

    async def announce(self, *changes: Change) -> None:
        """To gateways."""
        try:
            if self._announces:
                await self._changes._announcer.announce(changes)
        except BackendError as why:
            self._announces = False
            self.failed(f"the change is written, but was not announced: {why}")

    async def notify(
        self, what: str, about: Facts, others: Sequence[int] = (), named: bool = True
    ) -> None:
        """To members and others. `named`: with the group's name."""
        card, content = self._card, self._content(what, about, named)
        if self._notifies:
            notifier = self._changes._notifier
            await self._try(notifier.notify(card.appid, card.id, card.super, others, content))

    async def notify_each(self, what: str, about: Facts, uids: Sequence[int] | None) -> None:
        """To users, in their own queues; None: to the members."""
        card, content = self._card, self._content(what, about, True)
        if self._notifies:
            notifier = self._changes._notifier
            await self._try(notifier.notify_each(card.appid, card.id, uids, content))

    def _content(self, what: str, about: Facts, named: bool) -> bytes:
        card = self._card
        content: dict[str, Any] = {"group_id": card.id, "timestamp": self._timestamp, **about}
        if named:
            content["group_name"] = card.name
        return encode({what: content})

    async def _try(self, notifying: Awaitable[None]) -> None:
        try:
            await notifying
        except StorageError as why:
            self._notifies = False
            self.failed(f"the change is written, but not all members were notified: {why}")

    def check(self) -> None:
        """`HalfDoneError` if anything failed."""
        self._changes._counters.add("group_changes")
        if self._why:
            self._changes._counters.add("group_changes_half_done")
            why = HalfDoneError(self._card.id, self._why)
            self._changes._log.warn("half done: {why}", why=why)
            raise why

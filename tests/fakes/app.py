"""What the app's server writes, in memory. It passes the same contract suites."""

from collections.abc import Sequence
from typing import Any

from gobelieve.errors import BackendError, StorageError
from gobelieve.interfaces import (
    Change,
    Conversation,
    GroupCard,
    MemberCard,
    NewGroup,
)
from gobelieve.names import GroupReader, User
from tests.fakes.backends import Memory


class MemoryGroupAdmin:
    """`gobelieve.interfaces.GroupAdmin`."""

    def __init__(self) -> None:
        self.cards: dict[int, GroupCard] = {}
        self.members: dict[int, dict[int, MemberCard]] = {}
        self.away = False

    async def create(self, group: NewGroup, now: int) -> GroupCard | None:
        self._use()
        id_ = group.id or max(self.cards, default=0) + 1
        new = GroupCard(id_, group.appid, group.master, group.super, group.name, "")
        card = self.cards.setdefault(id_, new)
        if card._replace(notice="") != new:
            return None
        await self.add(card.appid, id_, group.members, now)
        return card

    async def disband(self, appid: int, group_id: int) -> tuple[GroupCard, list[int]] | None:
        self._use()
        card = self._card(appid, group_id)
        if card is None:
            gone = GroupCard(group_id, appid, 0, False, "", ""), list[int]()
            return None if group_id in self.cards else gone
        del self.cards[group_id]
        return card, sorted(self.members.pop(group_id, {}))

    async def rename(self, appid: int, group_id: int, name: str) -> GroupCard | None:
        return self._change(appid, group_id, name=name)

    async def set_notice(self, appid: int, group_id: int, notice: str) -> GroupCard | None:
        return self._change(appid, group_id, notice=notice)

    async def upgrade(self, appid: int, group_id: int) -> GroupCard | None:
        return self._change(appid, group_id, super=True)

    async def add(
        self, appid: int, group_id: int, uids: Sequence[int], now: int
    ) -> GroupCard | None:
        card = self._change(appid, group_id)
        if card is not None:
            members = self.members.setdefault(group_id, {})
            for uid in uids:
                members.setdefault(uid, MemberCard(uid, "", now, False))
        return card

    async def remove(self, appid: int, group_id: int, uids: Sequence[int]) -> GroupCard | None:
        card = self._change(appid, group_id)
        if card is not None:
            for uid in uids:
                self.members[group_id].pop(uid, None)
        return card

    async def nickname(
        self, appid: int, group_id: int, uid: int, nickname: str
    ) -> tuple[GroupCard, bool] | None:
        return self._change_member(appid, group_id, uid, nickname=nickname)

    async def mute(
        self, appid: int, group_id: int, uid: int, muted: bool
    ) -> tuple[GroupCard, bool] | None:
        return self._change_member(appid, group_id, uid, muted=muted)

    async def show(
        self, appid: int, group_id: int
    ) -> tuple[GroupCard, Sequence[MemberCard]] | None:
        self._use()
        card = self._card(appid, group_id)
        members = self.members.get(group_id, {})
        return card and (card, [members[uid] for uid in sorted(members)])

    def _use(self) -> None:
        if self.away:
            raise BackendError("the groups are away")

    def _card(self, appid: int, group_id: int) -> GroupCard | None:
        card = self.cards.get(group_id)
        return card if card is not None and card.appid == appid else None

    def _change(self, appid: int, group_id: int, **values: Any) -> GroupCard | None:
        self._use()
        card = self._card(appid, group_id)
        if card is not None:
            card = self.cards[group_id] = card._replace(**values)
        return card

    def _change_member(
        self, appid: int, group_id: int, uid: int, **values: Any
    ) -> tuple[GroupCard, bool] | None:
        card = self._change(appid, group_id)
        if card is None:
            return None
        members = self.members[group_id]
        if uid not in members:
            return card, False
        members[uid] = members[uid]._replace(**values)
        return card, True


class MemoryUserAdmin:
    """`gobelieve.interfaces.UserAdmin`. `told` are those whose sessions were said to end."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.granted: dict[User, str] = {}
        self.told: list[User] = []
        self.silent: set[tuple[User, Conversation]] = set()

    async def grant(self, user: User, new: str, name: str | None) -> str:
        self._memory.use()
        token = self.granted.get(user, "")
        if self._memory.tokens.get(token) != user:
            token = self.granted[user] = new
            self._memory.tokens[token] = user
        if name is not None:
            self._memory.names[user] = name
        return token

    async def revoke_all(self, user: User) -> bool:
        self._memory.use()
        return self._memory.tokens.pop(self.granted.pop(user, ""), None) is not None

    async def sessions_ended(self, user: User) -> None:
        self._memory.use()
        self.told.append(user)

    async def rename(self, user: User, name: str) -> None:
        self._memory.use()
        self._memory.names[user] = name

    async def forbid(self, user: User, forbidden: bool) -> None:
        self._memory.use()
        (self._memory.forbidden.add if forbidden else self._memory.forbidden.discard)(user)

    async def mute(self, user: User, muted: bool) -> None:
        self._memory.use()
        wanted = self._memory.notification_on
        (wanted.discard if muted else wanted.add)(user)

    async def disturb(self, user: User, conversation: Conversation, wanted: bool) -> None:
        self._memory.use()
        (self.silent.discard if wanted else self.silent.add)((user, conversation))

    async def forget_group_keys(self, appid: int, group_id: int, uids: Sequence[int]) -> None:
        self._memory.use()
        for uid in uids:
            self._memory.sync_keys.pop(GroupReader(appid, uid, group_id), None)


class MemoryTelling:
    """`gobelieve.interfaces.Announcer` and `gobelieve.groups.changes.Notifier`.

    What is told is in `told`, in order; what is in `failing` is not.
    """

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.failing: set[str] = set()
        self.failed = 0

    async def announce(self, changes: Sequence[Change]) -> None:
        if "announcer" in self.failing:
            self.failed += 1
            raise BackendError("Redis is away")
        self.told += changes

    async def notify(
        self, appid: int, group_id: int, is_super: bool, others: Sequence[int], content: bytes
    ) -> None:
        if "notifier" in self.failing:
            self.failed += 1
            raise StorageError(100, "storage is away")
        self.told.append((appid, group_id, is_super, list(others), content.decode()))

    async def notify_each(
        self, appid: int, group_id: int, uids: Sequence[int] | None, content: bytes
    ) -> None:
        if "notifier" in self.failing:
            self.failed += 1
            raise StorageError(100, "storage is away")
        who = "each member" if uids is None else ("each", *uids)
        self.told.append((appid, group_id, False, who, content.decode()))


class MemorySecrets:
    """`gobelieve.interfaces.AppSecrets`."""

    def __init__(self, secrets: dict[int, list[str]]) -> None:
        self.secrets = secrets
        self.away = False

    async def of(self, appid: int) -> Sequence[str]:
        if self.away:
            raise BackendError("the secrets are away")
        return self.secrets.get(appid, ())

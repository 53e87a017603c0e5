"""What every place must do where the app's server writes, whatever it is made of."""

from typing import Any

from twisted.trial.unittest import TestCase

from gobelieve.interfaces import (
    Conversation,
    GroupAdmin,
    GroupCard,
    Identity,
    MemberCard,
    NewGroup,
    SyncKeys,
    TokenAdmin,
    Tokens,
    UserAdmin,
)
from gobelieve.names import GroupReader, User

ANN, BOB = User(7, 1001), User(7, 1002)
ANN_ELSEWHERE = User(8, 1001)
NOW = 1_700_000_000
LARGEST = (1 << 63) - 1


class GroupAdminContract(TestCase):
    """`GroupAdmin`. A subclass sets `admin` in setUp."""

    admin: GroupAdmin
    joined = NOW
    """When members have joined, where that can be written down."""
    timeout = 60

    async def make(self, *uids: int, appid: int = 7, **values: Any) -> int:
        group = NewGroup(appid, 1, "安 😀", False, uids)._replace(**values)
        card = await self.admin.create(group, NOW)
        assert card is not None
        return card.id

    async def members(self, group: int, appid: int = 7) -> list[MemberCard]:
        found = await self.admin.show(appid, group)
        assert found is not None
        return list(found[1])

    async def test_a_new_group_is_there_with_its_members(self) -> None:
        group = NewGroup(7, 1, "安 😀", False, (3, 1, 2))
        card = await self.admin.create(group, NOW)
        assert card is not None
        self.assertEqual(card, GroupCard(card.id, 7, 1, False, "安 😀", ""))
        wanted = [MemberCard(uid, "", self.joined, False) for uid in (1, 2, 3)]
        self.assertEqual(await self.admin.show(7, card.id), (card, wanted))

    async def test_each_group_has_a_number_of_its_own(self) -> None:
        self.assertLess(await self.make(1), await self.make(1))

    async def test_the_app_may_choose_the_number(self) -> None:
        for id_ in (5000, LARGEST - 1):
            self.assertEqual(await self.make(1, 2, id=id_), id_)

    async def test_the_same_group_may_be_ordered_again(self) -> None:
        """It gets whom it lacks."""
        await self.make(1, id=5000)
        await self.make(1, 2, id=5000)
        self.assertEqual([member.uid for member in await self.members(5000)], [1, 2])

    async def test_a_number_is_not_taken_from_another_group(self) -> None:
        await self.make(1, id=5000)
        others: list[dict[str, Any]] = [{"appid": 8}, {"master": 2}, {"name": "h"}, {"super": True}]
        for other in others:
            group = NewGroup(7, 1, "安 😀", False, (9,), 5000)._replace(**other)
            self.assertIsNone(await self.admin.create(group, NOW), other)
        self.assertEqual([member.uid for member in await self.members(5000)], [1])

    async def test_name_notice_and_kind(self) -> None:
        group = await self.make(1)
        await self.admin.rename(7, group, "new 名")
        await self.admin.set_notice(7, group, "read this")
        card = await self.admin.upgrade(7, group)
        self.assertEqual(card, GroupCard(group, 7, 1, True, "new 名", "read this"))
        self.assertEqual(await self.admin.show(7, group), (card, await self.members(group)))

    async def test_who_joins_later_is_a_member_once(self) -> None:
        group = await self.make(1, 2)
        await self.admin.mute(7, group, 2, True)
        card = await self.admin.add(7, group, [2, 3], NOW + 50)
        self.assertEqual(card and card.id, group)
        first, second, third = await self.members(group)
        self.assertEqual((first.muted, second.muted, third.uid), (False, True, 3))
        later = self.joined and NOW + 50
        self.assertEqual((second.joined, third.joined), (self.joined, later))

    async def test_who_is_removed_is_none(self) -> None:
        group = await self.make(1, 2, 3)
        await self.admin.remove(7, group, [2, 3, 99])
        self.assertEqual([member.uid for member in await self.members(group)], [1])

    async def test_settings_of_a_member(self) -> None:
        group = await self.make(1, 2)
        for _ in range(2):
            found = await self.admin.nickname(7, group, 2, "Bobby 😀")
            self.assertEqual(found and found[1], True)
        found = await self.admin.mute(7, group, 2, True)
        self.assertEqual(found and found[1], True)
        self.assertEqual(
            (await self.members(group))[1], MemberCard(2, "Bobby 😀", self.joined, True)
        )
        await self.admin.mute(7, group, 2, False)
        self.assertFalse((await self.members(group))[1].muted)
        for change in (self.admin.nickname(7, group, 9, "x"), self.admin.mute(7, group, 9, True)):
            found = await change
            self.assertEqual(found and found[1], False)

    async def test_a_disbanded_group_is_gone_with_its_members(self) -> None:
        group = await self.make(2, 1)
        found = await self.admin.disband(7, group)
        assert found is not None
        self.assertEqual((found[0].name, found[1]), ("安 😀", [1, 2]))
        self.assertIsNone(await self.admin.show(7, group))
        again = await self.admin.disband(7, group)
        self.assertEqual(again and again[1], [], "it was done already")

    async def test_another_app_s_group_is_none(self) -> None:
        group = await self.make(1, appid=8)
        for change in (
            self.admin.disband(7, group),
            self.admin.rename(7, group, "x"),
            self.admin.set_notice(7, group, "x"),
            self.admin.upgrade(7, group),
            self.admin.add(7, group, [2], NOW),
            self.admin.remove(7, group, [1]),
            self.admin.nickname(7, group, 1, "x"),
            self.admin.mute(7, group, 1, True),
            self.admin.show(7, group),
            self.admin.show(8, group + 1),
        ):
            self.assertIsNone(await change)
        card, members = await self.admin.show(8, group) or self.fail("it is gone")
        self.assertEqual((card.name, card.super, len(members)), ("安 😀", False, 1))

    async def test_many_members(self) -> None:
        """More than a page, and more than a statement."""
        uids = range(1, 5002)
        group = await self.make(*uids)
        self.assertEqual([member.uid for member in await self.members(group)], list(uids))
        await self.admin.remove(7, group, range(2, 1002))
        found = await self.admin.disband(7, group)
        self.assertEqual(found and len(found[1]), 4001)


class UserAdminContract(TestCase):
    """`UserAdmin`. A subclass sets all of these in setUp."""

    users: UserAdmin
    tokens: Tokens
    token_admin: TokenAdmin
    group_sync_keys: SyncKeys[GroupReader]
    timeout = 30

    async def identity(self, token: str) -> Identity | None:
        return await self.tokens.find(token)

    async def test_a_granted_token_logs_in_and_is_granted_again(self) -> None:
        self.assertEqual(await self.users.grant(ANN, "t-1", "Ann"), "t-1")
        self.assertEqual(await self.users.grant(ANN, "t-2", None), "t-1")
        self.assertEqual(await self.identity("t-1"), Identity(ANN, False, False))
        self.assertIsNone(await self.identity("t-2"))

    async def test_each_user_of_each_app_has_an_own_one(self) -> None:
        for place, user in enumerate((ANN, BOB, ANN_ELSEWHERE)):
            self.assertEqual(await self.users.grant(user, f"t-{place}", None), f"t-{place}")
            found = await self.identity(f"t-{place}")
            self.assertEqual(found and found.user, user)

    async def test_the_name_changes_only_if_there_is_one(self) -> None:
        for name, shown in (("Ann", "Ann"), (None, "Ann"), ("安 😀", "安 😀")):
            await self.users.grant(ANN, "t-1", name)
            details = await self.token_admin.describe("t-1")
            self.assertEqual(details and details.name, shown)
        await self.users.rename(ANN, "Anna")
        details = await self.token_admin.describe("t-1")
        self.assertEqual(details and details.name, "Anna")

    async def test_a_token_that_was_revoked_is_not_granted_again(self) -> None:
        await self.users.grant(ANN, "t-1", "Ann")
        await self.token_admin.revoke("t-1")
        self.assertEqual(await self.users.grant(ANN, "t-2", None), "t-2")
        self.assertIsNone(await self.identity("t-1"))

    async def test_all_that_is_known_of_a_user_is_revoked(self) -> None:
        await self.users.grant(ANN, "t-1", "Ann")
        await self.users.grant(BOB, "t-2", "Bob")
        self.assertIs(await self.users.revoke_all(ANN), True)
        self.assertIs(await self.users.revoke_all(ANN), False)
        self.assertIsNone(await self.identity("t-1"))
        self.assertIsNotNone(await self.identity("t-2"))
        await self.users.sessions_ended(ANN)

    async def test_settings_come_with_the_token(self) -> None:
        await self.users.grant(ANN, "t-1", "Ann")
        await self.users.forbid(ANN, True)
        await self.users.mute(ANN, False)
        self.assertEqual(await self.identity("t-1"), Identity(ANN, True, True))
        await self.users.forbid(ANN, False)
        await self.users.mute(ANN, True)
        self.assertEqual(await self.identity("t-1"), Identity(ANN, False, False))

    async def test_settings_may_come_before_the_token(self) -> None:
        await self.users.forbid(ANN, True)
        await self.users.rename(ANN, "Ann")
        await self.users.grant(ANN, "t-1", None)
        details = await self.token_admin.describe("t-1")
        self.assertEqual(details and (details.name, details.identity.forbidden), ("Ann", True))

    async def silent(self, user: User) -> set[str]:
        """``p:<uid>`` and ``g:<group>`` for which the phone is silent."""
        raise NotImplementedError

    async def test_conversations_for_which_the_phone_is_silent(self) -> None:
        disturb = self.users.disturb
        for _ in range(2):
            await disturb(ANN, Conversation(1002, 0), False)
            await disturb(ANN, Conversation(0, 1002), False)
        await disturb(ANN, Conversation(1003, 0), True)
        self.assertEqual(await self.silent(ANN), {"p:1002", "g:1002"})
        await disturb(ANN, Conversation(1002, 0), True)
        self.assertEqual(await self.silent(ANN), {"g:1002"})
        self.assertEqual(await self.silent(BOB), set())

    async def test_who_joins_reads_a_super_group_from_the_beginning(self) -> None:
        keys = self.group_sync_keys
        await keys.advance(
            {GroupReader(7, uid, group): 50 for uid in (1, 2, 3) for group in (5, 6)}
        )
        await self.users.forget_group_keys(7, 5, [1, 2, 99])
        self.assertEqual([await keys.load(GroupReader(7, uid, 5)) for uid in (1, 2, 3)], [0, 0, 50])
        self.assertEqual(await keys.load(GroupReader(7, 1, 6)), 50)
        await self.users.forget_group_keys(7, 6, range(1, 2500))
        self.assertEqual(await keys.load(GroupReader(7, 3, 6)), 0)

"""What every store of groups must do, whatever it is made of."""

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from gobelieve.interfaces import Group, GroupStore

LARGEST = (1 << 63) - 1


class Fixture(TestCase):
    """A subclass sets `store` in setUp and writes as the app's server does."""

    store: GroupStore
    timeout = 60

    def put_group(self, id: int, appid: int | None = 7, super: int = 0, deleted: int = 0) -> None:
        """A row of ``group``."""
        raise NotImplementedError

    def put_members(self, rows: list[tuple[int, int, int | None, int | None, int]]) -> None:
        """Rows of ``group_member``: group, uid, timestamp, mute, deleted."""
        raise NotImplementedError

    def put_member(
        self,
        group: int,
        uid: int,
        timestamp: int | None = 1_700_000_000,
        mute: int | None = 0,
        deleted: int = 0,
    ) -> None:
        self.put_members([(group, uid, timestamp, mute, deleted)])

    async def load(self, id: int) -> Group:
        group = await self.store.load(id)
        assert group is not None
        return group


class GroupStoreContract(Fixture):
    """`gobelieve.interfaces.GroupStore`."""

    async def test_a_group_with_its_members(self) -> None:
        self.put_group(5, 7, 1)
        self.put_member(5, 1001)
        self.put_member(5, 1002, 1_600_000_000)
        self.put_member(6, 1003)
        group = await self.load(5)
        self.assertEqual((group.id, group.appid, group.super), (5, 7, True))
        self.assertEqual(sorted(group.members), [1001, 1002])
        self.assertEqual(group.joined(1002), 1_600_000_000)
        self.assertFalse(group.muted(1001))

    async def test_a_group_that_does_not_exist(self) -> None:
        self.put_member(5, 1001)
        for id in (5, 0, -1, LARGEST):
            self.assertIsNone(await self.store.load(id))

    async def test_a_group_without_members(self) -> None:
        self.put_group(5)
        group = await self.load(5)
        self.assertEqual((len(group), group.super), (0, False))

    async def test_the_largest_ids_are_exact(self) -> None:
        self.put_group(LARGEST, LARGEST)
        self.put_member(LARGEST, LARGEST)
        self.put_member(LARGEST, -LARGEST)
        group = await self.load(LARGEST)
        self.assertEqual(group.appid, LARGEST)
        self.assertEqual(sorted(group.members), [-LARGEST, LARGEST])

    async def test_a_group_of_no_app_is_of_app_0(self) -> None:
        self.put_group(5, None)
        self.assertEqual((await self.load(5)).appid, 0)

    async def test_each_load_is_a_group_of_its_own(self) -> None:
        self.put_group(5)
        self.put_member(5, 1)
        first, second = await self.load(5), await self.load(5)
        del first.members[1]
        self.assertIn(1, second)

    async def test_many_members_are_all_there(self) -> None:
        """Also where they are read in pages: around the page's size."""
        self.put_group(5)
        self.put_group(6)
        self.put_members([(5, uid, 1_700_000_000 + uid, uid % 2, 0) for uid in range(1, 2001)])
        self.put_members([(6, -uid, 1_700_000_000, 0, 0) for uid in range(1, 1000)])
        group, other = await self.load(5), await self.load(6)
        self.assertEqual(sorted(group.members), list(range(1, 2001)))
        self.assertEqual(len(other), 999)
        self.put_member(6, 5)
        self.assertEqual(len(await self.load(6)), 1000)
        self.put_member(6, 6)
        self.assertEqual(len(await self.load(6)), 1001)

    async def test_many_loads_at_once(self) -> None:
        for id in range(1, 31):
            self.put_group(id)
            self.put_member(id, 1000 + id)
        asked = [Deferred.fromCoroutine(self.load(id)) for id in range(1, 31)]
        groups: Any = await gatherResults(asked)
        self.assertEqual([list(g.members) for g in groups], [[1000 + id] for id in range(1, 31)])


class DetailsContract(GroupStoreContract):
    """What tables since July 2018 know besides."""

    async def test_who_is_muted_stays_so_without_a_time_of_joining(self) -> None:
        self.put_group(5)
        self.put_member(5, 1, 1_600_000_000, 1)
        self.put_member(5, 2, None, 1)
        self.put_member(5, 3, None, None)
        self.put_member(5, 4, -1, 0)
        group = await self.load(5)
        self.assertEqual([group.muted(uid) for uid in (1, 2, 3, 4)], [True, True, False, False])
        self.assertEqual([group.joined(uid) for uid in (1, 2, 3, 4)], [1_600_000_000, 0, 0, 0])

    async def test_what_is_marked_as_deleted_is_not_there(self) -> None:
        self.put_group(5, deleted=1)
        self.put_group(6)
        self.put_member(6, 1)
        self.put_member(6, 2, deleted=1)
        self.assertIsNone(await self.store.load(5))
        self.assertEqual(list((await self.load(6)).members), [1])

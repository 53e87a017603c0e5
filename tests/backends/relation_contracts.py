"""What every store of relations must do, whatever it is made of."""

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from gobelieve.interfaces import (
    IN_MY_BLACKLIST,
    IN_YOUR_BLACKLIST,
    MY_FRIEND,
    YOUR_FRIEND,
    RelationStore,
)
from gobelieve.names import User

ANN, BOB = User(7, 1001), User(7, 1002)
LARGEST = (1 << 63) - 1


class RelationStoreContract(TestCase):
    """`gobelieve.interfaces.RelationStore`. A subclass sets `store` in setUp."""

    store: RelationStore
    timeout = 60

    def put(self, table: str, appid: int, uid: int, friend_uid: int) -> None:
        """A row, as the app's server writes it."""
        raise NotImplementedError

    async def both(self, user: User, peer: User) -> tuple[int, int]:
        """The relation as each of the two sees it."""
        return await self.store.load(user, peer.uid), await self.store.load(peer, user.uid)

    async def test_strangers(self) -> None:
        self.put("friend", 7, 1001, 1003)
        self.put("blacklist", 7, 1003, 1002)
        self.assertEqual(await self.both(ANN, BOB), (0, 0))

    async def test_a_friend(self) -> None:
        self.put("friend", *ANN, BOB.uid)
        self.assertEqual(await self.both(ANN, BOB), (MY_FRIEND, YOUR_FRIEND))

    async def test_friends(self) -> None:
        self.put("friend", *ANN, BOB.uid)
        self.put("friend", *BOB, ANN.uid)
        both = MY_FRIEND | YOUR_FRIEND
        self.assertEqual(await self.both(ANN, BOB), (both, both))

    async def test_a_blacklist(self) -> None:
        self.put("blacklist", *ANN, BOB.uid)
        self.assertEqual(await self.both(ANN, BOB), (IN_MY_BLACKLIST, IN_YOUR_BLACKLIST))

    async def test_all_at_once(self) -> None:
        for table in ("friend", "blacklist"):
            self.put(table, *ANN, BOB.uid)
            self.put(table, *BOB, ANN.uid)
        self.assertEqual(await self.both(ANN, BOB), (15, 15))

    async def test_the_same_numbers_in_another_app(self) -> None:
        self.put("friend", 8, ANN.uid, BOB.uid)
        self.assertEqual(await self.both(ANN, BOB), (0, 0))
        self.assertEqual(await self.store.load(User(8, ANN.uid), BOB.uid), MY_FRIEND)

    async def test_the_largest_ids_are_exact(self) -> None:
        self.put("friend", LARGEST, LARGEST, -LARGEST)
        self.assertEqual(await self.store.load(User(LARGEST, LARGEST), -LARGEST), MY_FRIEND)
        self.assertEqual(await self.store.load(User(LARGEST, LARGEST - 1), -LARGEST), 0)

    async def test_many_at_once(self) -> None:
        for uid in range(1, 31):
            self.put("friend", 7, 1000, uid)
        asked = [Deferred.fromCoroutine(self.store.load(User(7, u), 1000)) for u in range(1, 41)]
        relations: Any = await gatherResults(asked)
        self.assertEqual(relations, [YOUR_FRIEND] * 30 + [0] * 10)

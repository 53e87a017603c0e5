"""Catching up after a router was away."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.gateway.delivery.catch_up import BEYOND_ALL, CatchUp
from gobelieve.gateway.delivery.in_batches import BATCH_SECONDS, KEYS_PER_BATCH, RETRY_SECONDS
from gobelieve.interfaces import Page
from gobelieve.names import AckStatus, User
from gobelieve.wire import client
from tests.fakes.groups import group
from tests.gateway.support import APP, TestGateway


class CatchUpTests(SynchronousTestCase):
    """Users who may have missed a publication."""

    def setUp(self) -> None:
        self.gateway = gateway = TestGateway()
        self.catch_up = CatchUp(gateway.sessions, gateway.storage, gateway.world())

    def put(self, uid: int, newest: int) -> User:
        """The newest id of a user in storage."""
        user = User(APP, uid)
        self.gateway.storage.pages[user] = Page(newest, newest, False, ())
        return user

    def test_each_session_is_notified_of_the_newest_id(self) -> None:
        """Of users with messages; whoever left meanwhile is not asked for."""
        alice, phone, bob = (self.gateway.client(uid) for uid in (1, 1, 2))
        users = [self.put(1, 500), self.put(2, 0), self.put(3, 700)]
        self.catch_up.begin(users)
        self.catch_up.begin(users)
        self.assertEqual(alice.messages(), [])
        self.gateway.clock.advance(BATCH_SECONDS)
        self.assertEqual(alice.messages(), [client.SyncNotify(sync_key=500)])
        self.assertEqual(phone.messages(), [client.SyncNotify(sync_key=500)])
        self.assertEqual(bob.messages(), [])
        asked = [(User(APP, 1), BEYOND_ALL), (User(APP, 2), BEYOND_ALL)]
        self.assertEqual(self.gateway.storage.fetched, asked)

    def test_many_users_are_asked_for_some_at_a_time(self) -> None:
        """The users are read in batches, so that storage has time for others."""
        users = [self.put(uid, 500) for uid in range(1, 2 * KEYS_PER_BATCH + 2)]
        for user in users:
            self.gateway.client(user.uid)
        self.catch_up.begin(users)
        asked = []
        for _ in range(4):
            self.gateway.clock.advance(BATCH_SECONDS)
            asked.append(len(self.gateway.storage.fetched))
        self.assertEqual(
            asked,
            [KEYS_PER_BATCH, 2 * KEYS_PER_BATCH, 2 * KEYS_PER_BATCH + 1, 2 * KEYS_PER_BATCH + 1],
        )

    def test_a_storage_that_is_away_is_asked_again(self) -> None:
        """A second later, until it answers."""
        alice = self.gateway.client(1)
        user = self.put(1, 500)
        page = self.gateway.storage.pages[user]
        self.gateway.storage.pages[user] = StorageError(AckStatus.STORAGE_AWAY, "away")
        self.catch_up.begin([user])
        self.gateway.clock.advance(BATCH_SECONDS)
        self.gateway.clock.advance(RETRY_SECONDS)
        self.assertEqual(len(self.gateway.storage.fetched), 2)
        self.gateway.storage.pages[user] = page
        self.gateway.clock.advance(RETRY_SECONDS)
        self.assertEqual(alice.messages(), [client.SyncNotify(sync_key=500)])


class GroupCatchUpTests(SynchronousTestCase):
    """Super groups whose publications may have been missed."""

    def setUp(self) -> None:
        self.gateway = gateway = TestGateway()
        gateway.groups.at_hand = {
            200: group(200, 1, 2, super=True),
            201: group(201, 2, super=True),
            100: group(100, 1, 2),
        }
        self.alice, self.bob = gateway.client(1), gateway.client(2)
        gateway.storage.group_pages[APP, 200] = Page(500, 500, False, ())
        gateway.storage.group_pages[APP, 201] = Page(0, 0, False, ())

    def catch_up(self, *missed: int) -> None:
        """A router for these is back."""
        self.gateway.group_catch_up.begin(missed.__contains__)
        self.gateway.clock.advance(BATCH_SECONDS)

    def asked(self) -> list[tuple[int, int]]:
        """The groups that storage was asked for, and from where on."""
        return [(one[1], one[2]) for one in self.gateway.storage.group_fetched]

    def test_members_here_are_notified_of_the_newest_id(self) -> None:
        """Of groups in memory that this router carries; ordinary groups have no queue."""
        self.catch_up(100, 200, 201, 999)
        self.assertEqual(self.asked(), [(200, BEYOND_ALL), (201, BEYOND_ALL)])
        notify = client.SyncGroupNotify(group_id=200, sync_key=500)
        self.assertEqual((self.alice.messages(), self.bob.messages()), ([notify], [notify]))

    def test_groups_of_another_router_missed_nothing(self) -> None:
        """They are not asked for."""
        self.catch_up(201)
        self.assertEqual(self.asked(), [(201, BEYOND_ALL)])

    def test_a_storage_that_is_away_is_asked_again(self) -> None:
        """Until it answers, or the group is gone."""
        page = self.gateway.storage.group_pages[APP, 200]
        away = StorageError(AckStatus.STORAGE_AWAY, "away")
        self.gateway.storage.group_pages[APP, 200] = away
        self.catch_up(200)
        self.gateway.storage.group_pages[APP, 200] = page
        self.gateway.clock.advance(RETRY_SECONDS)
        self.assertEqual(len(self.alice.messages()), 1)

    def test_a_site_without_groups_has_nothing_to_catch_up_with(self) -> None:
        """The catch-up ends without an error and asks storage nothing."""
        gateway = TestGateway(with_groups=False)
        gateway.group_catch_up.begin(lambda group_id: True)
        self.assertEqual(gateway.storage.group_fetched, [])

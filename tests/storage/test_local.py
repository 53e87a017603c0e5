"""`LocalStorage`: storage in the same process, for the rules of the gateway."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.interfaces import Page
from gobelieve.names import AckStatus, User
from gobelieve.storage.local import LocalStorage
from gobelieve.storage.storage import Storage
from gobelieve.wire.storage import USERS, SaveItem, StoredMessage
from tests.fakes.storage import Waiting


class FakeStorage:
    """A storage that answers saves when the test says so."""

    def __init__(self) -> None:
        self.saves: list[tuple[Sequence[SaveItem], Callable[[Any, Any], None], Any]] = []

    def save(
        self, items: Sequence[SaveItem], done: Callable[[Any, Any], None], argument: Any
    ) -> None:
        self.saves.append((items, done, argument))

    def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        return Page(1, 2, True, [StoredMessage(1, 5, 4, b"x")])

    def fetch_latest(self, user: User, limit: int) -> Page:
        return Page(limit, limit, False, [])

    def fetch_before(self, user: User, before: int, limit: int) -> Page:
        return Page(before - limit, before, True, [])

    def count_new(self, user: User, after: int) -> int:
        return after + 1


class LocalStorageTests(SynchronousTestCase):
    """`LocalStorage` passes the requests of the gateway's rules to a storage."""

    def setUp(self) -> None:
        self.fake = FakeStorage()
        storage: Any = self.fake
        self.local = LocalStorage(storage)
        self.assertTrue(all(hasattr(Storage, name) for name in ("save", "fetch", "count_new")))

    def test_a_save_names_its_queues_and_gets_their_ids(self) -> None:
        """A save names its queues, and gets their ids or the status of its failure."""
        ended: list[Any] = []

        def waiting(name: str) -> Waiting:
            return Waiting(lambda status, entries: ended.append((name, status, list(entries))))

        self.local.save(4, b"x", 5, (User(7, 2), User(7, 1)), waiting("mine"))
        self.local.save(4, b"y", 5, (User(7, 2),), waiting("other"))
        (items, first, argument), (_, second, other) = self.fake.saves
        self.assertEqual(items, [SaveItem(5, 4, USERS, (7, 2, 7, 1), b"x")])
        first(argument, [(0, 100, (50, 60))])
        second(other, [(AckStatus.STORAGE_FULL, 0, ())])
        self.assertEqual(
            ended,
            [("mine", 0, [(100, 50), (100, 60)]), ("other", AckStatus.STORAGE_FULL, [(0, 0)])],
        )

    def test_reads_are_passed_on(self) -> None:
        """Reads are passed on and answered at once."""
        user = User(7, 1)
        page = self.successResultOf(Deferred.fromCoroutine(self.local.fetch(user, 0)))
        self.assertEqual(page.newest, 2)
        latest = self.successResultOf(Deferred.fromCoroutine(self.local.fetch_latest(user, 3)))
        self.assertEqual(latest.last, 3)
        before = self.successResultOf(Deferred.fromCoroutine(self.local.fetch_before(user, 9, 2)))
        self.assertEqual((before.last, before.newest), (7, 9))
        count = self.successResultOf(Deferred.fromCoroutine(self.local.count_new(user, 3)))
        self.assertEqual(count, 4)

"""Changes that come while logins are in flight."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.checks.recent_changes import LoginsInFlight, RecentChanges
from gobelieve.names import User

ALICE, BOB = User(7, 1), User(7, 2)


class RecentChangesTests(SynchronousTestCase):
    """A login learns what changed after it began, and nothing older."""

    def setUp(self) -> None:
        self.logins = LoginsInFlight()
        self.changes = RecentChanges[str](self.logins)

    def test_only_what_came_later(self) -> None:
        """Of two logins in flight only the one that began before the change has to know."""
        self.changes.add(ALICE, "too early")
        first = self.logins.begin()
        self.changes.add(ALICE, "between")
        second = self.logins.begin()
        found = [self.changes.since(login, ALICE) for login in (first, second)]
        self.assertEqual(found, ["between", None])
        self.assertIsNone(self.changes.since(first, BOB))

    def test_the_newest_counts(self) -> None:
        """Of several changes of a user the last one is the truth."""
        login = self.logins.begin()
        for value in ("a", "b"):
            self.changes.add(ALICE, value)
        self.assertEqual(self.changes.since(login, ALICE), "b")
        self.assertEqual(len(self.changes), 1)

    def test_what_no_login_needs_is_forgotten(self) -> None:
        """The oldest login in flight decides, in whatever order they end."""
        first, second = self.logins.begin(), self.logins.begin()
        self.changes.add(ALICE, "a")
        third = self.logins.begin()
        self.logins.end(second)
        self.changes.add(BOB, "b")
        self.assertEqual(len(self.changes), 2)
        self.logins.end(first)
        self.changes.add(User(7, 3), "c")
        self.assertEqual(self.changes.since(third, BOB), "b")
        self.assertIsNone(self.changes.since(third, ALICE))
        self.assertEqual(len(self.changes), 2)
        self.logins.end(third)
        self.changes.add(ALICE, "d")
        self.assertEqual(len(self.changes), 0)

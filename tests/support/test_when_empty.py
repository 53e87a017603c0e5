"""Calls that wait until something is empty."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.support.when_empty import WhenEmpty


class WhenEmptyTests(SynchronousTestCase):
    """A call is made once, when nothing is left."""

    def setUp(self) -> None:
        self.collection: set[int] = set()
        self.when_empty = WhenEmpty(self.collection)
        self.calls: list[str] = []

    def test_already_empty(self) -> None:
        """The call is made at once, and only then."""
        self.when_empty(lambda: self.calls.append("a"))
        self.when_empty.check()
        self.assertEqual(self.calls, ["a"])

    def test_later(self) -> None:
        """All calls are made by the first check that finds nothing, in order."""
        self.collection.update((1, 2))
        for name in "ab":
            self.when_empty(lambda name=name: self.calls.append(name))  # type: ignore[misc]
        self.collection.remove(1)
        self.when_empty.check()
        self.assertEqual(self.calls, [])
        self.collection.remove(2)
        for _ in range(2):
            self.when_empty.check()
        self.assertEqual(self.calls, ["a", "b"])

    def test_a_call_that_waits_again(self) -> None:
        """A call may add things and wait for them."""

        def again() -> None:
            self.calls.append("again")
            self.collection.add(1)
            self.when_empty(lambda: self.calls.append("last"))

        self.when_empty(again)
        self.assertEqual(self.calls, ["again"])
        self.collection.clear()
        self.when_empty.check()
        self.assertEqual(self.calls, ["again", "last"])

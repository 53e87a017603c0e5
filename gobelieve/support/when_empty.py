"""Calls that wait until something is empty."""

from collections.abc import Callable, Sized


class WhenEmpty:
    """Makes calls once a collection is empty. The owner of the collection calls `check`."""

    def __init__(self, collection: Sized) -> None:
        self._collection = collection
        self._waiting: list[Callable[[], None]] = []

    def __call__(self, call: Callable[[], None]) -> None:
        """Make this call once the collection is empty: now, or in a later `check`."""
        self._waiting.append(call)
        self.check()

    def check(self) -> None:
        """Make the waiting calls if the collection is empty; to be called after each removal."""
        if self._waiting and not len(self._collection):
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                call()

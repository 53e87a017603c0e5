"""Changes of users that come while a login is in flight.

A login may have read the stores before the change was in them. So each change is remembered as
long as a login is in flight that began before it, however long the stores take to answer.
"""

from itertools import takewhile
from typing import Generic, TypeVar

from gobelieve.names import User

V = TypeVar("V")


class LoginsInFlight:
    """The logins that wait for the stores, numbered in the order in which they began."""

    def __init__(self) -> None:
        self.newest = 0
        """The number of the login that began last."""
        self._in_flight: dict[int, None] = {}

    @property
    def oldest(self) -> int:
        """The lowest number in flight; without one, the number of the next login."""
        return next(iter(self._in_flight), self.newest + 1)

    def begin(self) -> int:
        """Return the number of a login that begins now."""
        self.newest += 1
        self._in_flight[self.newest] = None
        return self.newest

    def end(self, login: int) -> None:
        """Remove a login that is decided or given up."""
        del self._in_flight[login]


class RecentChanges(Generic[V]):
    """The newest change per user, as long as a login is in flight that began before it."""

    def __init__(self, logins: LoginsInFlight) -> None:
        self._logins = logins
        self._changes: dict[User, tuple[int, V]] = {}
        """With the login that began last before the change; the oldest change first."""

    def __len__(self) -> int:
        """Return the number of changes that are remembered."""
        return len(self._changes)

    def add(self, user: User, value: V) -> None:
        """Remember a change; forget those that came before all logins in flight."""
        changes, oldest = self._changes, self._logins.oldest
        changes.pop(user, None)
        changes[user] = (self._logins.newest, value)
        for outdated in list(takewhile(lambda one: changes[one][0] < oldest, changes)):
            del changes[outdated]

    def since(self, login: int, user: User) -> V | None:
        """Return the newest change of the user after this login began; None if there is none."""
        began_before, value = self._changes.get(user, (0, None))
        return value if began_before >= login else None

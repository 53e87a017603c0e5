"""Which sessions each user has at this gateway, and what the routers are told of it.

The routers know a user as soon as the first session is here, and as *online* while one of them is:
a session from a desktop or a browser of a user who wants phone pushes all the same is connected
but not online.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Routing
from gobelieve.names import User


class Sessions:
    """The sessions that are logged in."""

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        self._of: dict[User, tuple[Session, ...]] = {}
        self.count = 0
        """How many sessions there are."""

    def __len__(self) -> int:
        """How many users have a session."""
        return len(self._of)

    def of(self, user: tuple[int, int]) -> Sequence[Session]:
        """The user's sessions; the sequence does not change when sessions come and go.

        (A `User` equals the plain tuple, which is made in a fifth of the time.)
        """
        return self._of.get(user, ())  # type: ignore[call-overload, no-any-return]

    def __contains__(self, user: User) -> bool:
        """Whether the user has a session here."""
        return user in self._of

    def add(self, session: Session) -> None:
        """The session is logged in."""
        before = self._of.get(session.user, ())
        self._of[session.user] = (*before, session)
        self.count += 1
        if not before or (session.online and not _any_online(before)):
            self._routing.subscribe(session.user, session.online)

    def remove(self, session: Session) -> None:
        """The session is gone. Without effect if it is not here."""
        before = self._of.get(session.user, ())
        left = tuple(other for other in before if other is not session)
        if len(left) == len(before):
            return
        self.count -= 1
        if not left:
            del self._of[session.user]
            self._routing.unsubscribe(session.user)
            return
        self._of[session.user] = left
        if session.online and not _any_online(left):
            self._routing.subscribe(session.user, False)

    def users(self) -> Collection[User]:
        """Every user here; a view, which changes when users come and go."""
        return self._of

    def online(self, user: User) -> bool | None:
        """Whether one of the user's sessions is online; None if there are none."""
        sessions = self._of.get(user)
        return _any_online(sessions) if sessions else None

    def all(self) -> Iterator[Session]:
        """Every session."""
        for sessions in self._of.values():
            yield from sessions


def _any_online(sessions: Iterable[Session]) -> bool:
    # Not any(): said again of all users when a router is back, this is three times as fast.
    for session in sessions:  # noqa: SIM110
        if session.online:
            return True
    return False

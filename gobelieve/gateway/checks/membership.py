"""Who may speak in a group, and read it."""

from collections.abc import Callable

from gobelieve.errors import BackendError
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Group, Groups, Tasks
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, User

Found = Callable[[Group | None, int], None]
"""Called with the group and 0, or with None and the `AckStatus` that says why not."""


class Membership:
    """The groups of which users are members. `groups` is None where the site has none."""

    def __init__(self, groups: Groups | None, tasks: Tasks, counters: Counters) -> None:
        self._groups = groups
        self._tasks = tasks
        self._counters = counters

    def at_hand(self, user: User, group_id: int) -> bool:
        """Whether it is known already that the user is a member: the short way to a yes."""
        group = None if self._groups is None else self._groups.loaded(group_id)
        return group is not None and user.uid in group and group.appid == user.appid

    def find(self, session: Session, group_id: int, found: Found) -> None:
        """Find a group of the session's user: at once if it is at hand.

        Else what the client sends meanwhile waits, so that all is handled in order.
        """
        group = None if self._groups is None else self._groups.loaded(group_id)
        if group is not None:
            self._check(session.user, group, found)
        elif self._groups is None:
            found(None, AckStatus.GROUP_NONEXIST)
        else:
            session.hold()
            self._tasks.start(self._load(self._groups, session, group_id, found))

    async def _load(self, groups: Groups, session: Session, group_id: int, found: Found) -> None:
        try:
            group = await groups.find(group_id)
        except BackendError:
            self._counters.add("groups_not_found_out")
            found(None, AckStatus.GROUPS_AWAY)
        else:
            self._check(session.user, group, found)
        finally:
            session.release()

    def _check(self, user: User, group: Group | None, found: Found) -> None:
        if group is None:
            found(None, AckStatus.GROUP_NONEXIST)
        elif group.appid != user.appid or user.uid not in group:
            found(None, AckStatus.NOT_GROUP_MEMBER)
        else:
            found(group, 0)

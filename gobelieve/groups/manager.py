"""The group manager: loads groups when they are needed, and keeps them up to date.

Known here: what each event does to a group. How values are kept is `gobelieve.groups.cache`'s, how
missed events are noticed `gobelieve.groups.action_ids`'s, how events are written
`gobelieve.groups.events`'s; where they come from, and where groups are stored, is given.
"""

from collections.abc import Callable, Mapping
from functools import partial

from gobelieve.errors import BodyError
from gobelieve.groups import events
from gobelieve.groups.cache import Done
from gobelieve.groups.events import Event
from gobelieve.groups.followed_cache import FollowedCache
from gobelieve.interfaces import Group, GroupStore, Log, Tasks, Time, membership
from gobelieve.metrics import Counters


def add_member(group: Group, uid: int, now: int) -> Group:
    """Who is a member already keeps the time of joining, and stays muted."""
    group.members.setdefault(uid, membership(now, False))
    return group


def remove_member(group: Group, uid: int) -> Group:
    """Without effect on who is none."""
    group.members.pop(uid, None)
    return group


def mute_member(group: Group, uid: int, muted: bool) -> Group:
    """Without effect on who is no member."""
    if uid in group.members:
        group.members[uid] = membership(group.joined(uid), muted)
    return group


def upgrade(group: Group) -> Group:
    """There is no way back."""
    group.super = True
    return group


def disband(group: Group) -> None:
    """It is no more."""


class GroupManager(FollowedCache[int, Group]):
    """`gobelieve.interfaces.EventSink`, and what `gobelieve.interfaces.Groups` is made of."""

    def __init__(
        self, store: GroupStore, *, time: Time, tasks: Tasks, counters: Counters, log: Log
    ) -> None:
        super().__init__(store.load, "group", time=time, tasks=tasks, counters=counters, log=log)
        self.loaded: Callable[[int], Group | None] = self._cache.get
        """See `gobelieve.interfaces.Groups`. Bound like this, since it is asked for a message."""

    def super_groups(self) -> list[int]:
        """See `gobelieve.interfaces.Groups`."""
        return [id_ for id_, group in self._cache.items() if group.super]

    def ask(self, group_id: int, done: Done[Group]) -> None:
        """Call `done(group, error)`, now or when the group is loaded; see `Cache.ask`."""
        self._cache.ask(group_id, done)

    # --- what the app's server announces

    def published(self, channel: str, content: bytes) -> None:
        """A change in the form of 2018."""
        try:
            event = events.parse_published(channel, content)
        except BodyError as why:
            self._malformed(why)
        else:
            self._took(event)

    def entered(self, fields: Mapping[bytes, bytes]) -> None:
        """A change in the form of 2019."""
        try:
            event = events.parse_entered(fields)
        except BodyError as why:
            self._malformed(why)
        else:
            self._took(event)

    def when_seen(self, action: int, call: Callable[[], None]) -> None:
        """Call once the change of this number, or a later one, is applied."""
        self._actions.when_seen(action, call)

    def forget(self, group_id: int) -> None:
        """It changed, and nobody says how: it is read again when it is needed."""
        self._cache.forget(group_id)

    def happened(self, event: Event) -> None:
        """A change, whatever its action ids."""
        name, group_id, uid = event.name, event.group_id, event.uid
        cache = self._cache
        if name == events.MEMBER_ADD:
            cache.change(group_id, partial(add_member, uid=uid, now=int(self._time.seconds())))
        elif name == events.MEMBER_REMOVE:
            cache.change(group_id, partial(remove_member, uid=uid))
        elif name == events.MEMBER_MUTE:
            cache.change(group_id, partial(mute_member, uid=uid, muted=event.muted))
        elif name == events.UPGRADE:
            cache.change(group_id, upgrade)
        elif name == events.DISBAND:
            cache.change(group_id, disband)
        else:
            # Created (its members are in the store), changed, or what a later server does.
            cache.forget(group_id)

    def _took(self, event: Event) -> None:
        self._counters.add("group_events")
        self._actions.took(event.previous, event.action)
        self.happened(event)
        self._actions.applied()

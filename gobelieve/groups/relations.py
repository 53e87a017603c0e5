"""The relations of users: who is whose friend, and who is in whose blacklist.

Kept by pairs, in memory and up to date, as groups are: see `cache` and `actions`. A pair is kept
once, as the one with the smaller uid sees it.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from gobelieve.errors import BodyError
from gobelieve.groups import relation_events as events
from gobelieve.groups.cache import Done
from gobelieve.groups.followed_cache import FollowedCache
from gobelieve.groups.relation_events import RelationEvent
from gobelieve.interfaces import (
    IN_MY_BLACKLIST,
    IN_YOUR_BLACKLIST,
    MY_FRIEND,
    YOUR_FRIEND,
    Log,
    RelationStore,
    Tasks,
    Time,
    mirrored,
)
from gobelieve.metrics import Counters
from gobelieve.names import User

MAX_PAIRS = 300_000
"""Kept at once, in some 100 MB; beyond that those that were loaded first are dropped."""


class Pair(NamedTuple):
    """Two users of an app."""

    appid: int
    smaller: int
    larger: int


def set_bit(relation: int, bit: int, there: bool) -> int:
    """The relation with this bit so."""
    return relation | bit if there else relation & ~bit


class RelationManager(FollowedCache[Pair, int]):
    """`gobelieve.interfaces.EventSink`, and what `gobelieve.interfaces.Relations` is made of."""

    def __init__(
        self, store: RelationStore, *, time: Time, tasks: Tasks, counters: Counters, log: Log
    ) -> None:
        self._store = store
        super().__init__(
            self._load,
            "relation",
            time=time,
            tasks=tasks,
            counters=counters,
            log=log,
            max_entries=MAX_PAIRS,
        )

    def loaded(self, user: User, peer: int) -> int | None:
        """See `gobelieve.interfaces.Relations`."""
        appid, uid = user
        if uid <= peer:
            return self._cache.get(Pair(appid, uid, peer))
        relation = self._cache.get(Pair(appid, peer, uid))
        return None if relation is None else mirrored(relation)

    def ask(self, user: User, peer: int, done: Done[int]) -> None:
        """Call `done(relation, error)`, now or when it is loaded; see `Cache.ask`."""
        appid, uid = user
        if uid <= peer:
            self._cache.ask(Pair(appid, uid, peer), done)
        else:
            self._cache.ask(
                Pair(appid, peer, uid),
                lambda found, error: done(None if found is None else mirrored(found), error),
            )

    async def _load(self, pair: Pair) -> int:
        return await self._store.load(User(pair.appid, pair.smaller), pair.larger)

    # --- what the app's server announces

    def published(self, channel: str, content: bytes) -> None:
        """Nothing is published about relations."""

    def entered(self, fields: Mapping[bytes, bytes]) -> None:
        """A change."""
        try:
            event = events.parse_entered(fields)
        except BodyError as why:
            self._malformed(why)
            return
        self._counters.add("relation_events")
        self._actions.took(event.previous, event.action)
        self.happened(event)

    def happened(self, event: RelationEvent) -> None:
        """A change, whatever its action ids."""
        first = event.uid <= event.friend_uid
        uids = (event.uid, event.friend_uid) if first else (event.friend_uid, event.uid)
        pair = Pair(event.appid, *uids)
        if event.name == events.FRIEND:
            bit = MY_FRIEND if first else YOUR_FRIEND
        elif event.name == events.BLACKLIST:
            bit = IN_MY_BLACKLIST if first else IN_YOUR_BLACKLIST
        else:
            # What a later server does.
            self._cache.forget(pair)
            return
        self._cache.change(pair, partial(set_bit, bit=bit, there=event.there))

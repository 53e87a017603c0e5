"""The links to all storage daemons: they find the daemon that has a queue.

A queue belongs to daemon ``|id| mod n``, in the order of the configuration. A message for several
queues is stored once in each daemon that has one of them. Super groups may have daemons of their
own.
"""

from collections.abc import Sequence

from gobelieve.errors import StorageError
from gobelieve.interfaces import Entries, MessageInFlight, Page
from gobelieve.names import AckStatus, User, shard
from gobelieve.protocols.storage.link import StorageLink, page_of
from gobelieve.wire import storage

LATEST = (1 << 31) - 1
"""The highest time that a message can have, in seconds since 1970."""


class StoragePool:
    """Implements `MessageSaver`, `MessageReader` and `SuperGroupQueues` on a list of links.

    `group_links` are the daemons of super groups; with None they share the daemons of users.
    """

    def __init__(
        self, links: Sequence[StorageLink], group_links: Sequence[StorageLink] | None = None
    ) -> None:
        self._links = links
        self._group_links = links if group_links is None else group_links

    def save(
        self,
        cmd: int,
        body: bytes,
        device: int,
        queues: Sequence[User],
        waiting: MessageInFlight,
    ) -> None:
        count = len(self._links)
        home = shard(queues[0][1], count)
        if count == 1 or all(shard(uid, count) == home for _, uid in queues):
            ids = [number for queue in queues for number in queue]
            item = storage.pack_save(device, cmd, storage.USERS, ids, body)
            self._links[home].save(item, waiting, len(queues))
            return
        places: dict[int, list[int]] = {}
        for place, (_, uid) in enumerate(queues):
            places.setdefault(shard(uid, count), []).append(place)
        together = _Together(waiting, len(queues), len(places))
        for index, mine in places.items():
            ids = [number for place in mine for number in queues[place]]
            item = storage.pack_save(device, cmd, storage.USERS, ids, body)
            self._links[index].save(item, _Share(together, mine), len(mine))

    def save_to_group(
        self,
        cmd: int,
        body: bytes,
        device: int,
        appid: int,
        group_id: int,
        waiting: MessageInFlight,
    ) -> None:
        item = storage.pack_save(device, cmd, storage.SUPER_GROUPS, (appid, group_id), body)
        self._group_link(group_id).save(item, waiting, 1)

    def newest(self) -> tuple[int, ...]:
        return tuple(link.newest for link in self._links)

    async def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        question = storage.Fetch(appid=user.appid, uid=user.uid, after=after, limit=limit)
        return page_of(await self._link(user).ask(question))

    async def fetch_group(
        self, appid: int, group_id: int, after: int, joined: int, limit: int = 0
    ) -> Page:
        question = storage.FetchGroup(
            appid=appid, group_id=group_id, after=after, joined=min(joined, LATEST), limit=limit
        )
        return page_of(await self._group_link(group_id).ask(question))

    async def fetch_latest(self, user: User, limit: int) -> Page:
        question = storage.FetchLatest(appid=user.appid, uid=user.uid, limit=limit)
        return page_of(await self._link(user).ask(question))

    async def fetch_before(self, user: User, before: int, limit: int) -> Page:
        question = storage.FetchBefore(appid=user.appid, uid=user.uid, before=before, limit=limit)
        return page_of(await self._link(user).ask(question))

    async def count_new(self, user: User, after: int) -> int:
        question = storage.CountNew(appid=user.appid, uid=user.uid, after=after)
        answer = await self._link(user).ask(question)
        if not isinstance(answer, storage.Counted):
            raise StorageError(AckStatus.STORAGE_FAILED, f"{answer.label} where COUNTED belongs")
        return answer.count

    async def decided(self, user: User) -> None:
        await self._link(user).decided()

    def _link(self, user: User) -> StorageLink:
        return self._links[shard(user.uid, len(self._links))]

    def _group_link(self, group_id: int) -> StorageLink:
        return self._group_links[shard(group_id, len(self._group_links))]


class _Together:
    """A message whose queues are at several instances: it waits until all have answered."""

    __slots__ = ("_entries", "_open", "_status", "_waiting")

    def __init__(self, waiting: MessageInFlight, queues: int, instances: int) -> None:
        self._waiting = waiting
        self._entries = [(0, 0)] * queues
        self._open = instances
        self._status = 0

    def share_stored(self, places: list[int], status: int, entries: Entries) -> None:
        """Take the answer of one instance, for the queues at these places."""
        for place, entry in zip(places, entries, strict=True):
            self._entries[place] = entry
        self._status = self._status or status
        self._open -= 1
        if not self._open:
            self._waiting.stored(self._status, self._entries)


class _Share:
    """The queues of a message that one of several instances has; a `MessageInFlight`."""

    __slots__ = ("_places", "_together")

    def __init__(self, together: _Together, places: list[int]) -> None:
        self._together = together
        self._places = places

    def stored(self, status: int, entries: Entries) -> None:
        self._together.share_stored(self._places, status, entries)

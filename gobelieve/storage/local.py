"""Storage in the same process, for the rules of the gateway of the all-in-one daemon."""

from collections.abc import Sequence

from gobelieve.interfaces import MessageInFlight, Page
from gobelieve.names import User
from gobelieve.storage.queues.commit import Result
from gobelieve.storage.storage import Storage
from gobelieve.wire.storage import SUPER_GROUPS, USERS, SaveItem


class LocalStorage:
    """`MessageSaver`, `MessageReader` and `SuperGroupQueues` of `gobelieve.interfaces`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._newest = 0

    def save(
        self,
        cmd: int,
        body: bytes,
        device: int,
        queues: Sequence[User],
        waiting: MessageInFlight,
    ) -> None:
        ids = tuple([number for queue in queues for number in queue])
        item = SaveItem(device, cmd, USERS, ids, body)
        self._storage.save([item], self._saved, (waiting, len(queues)))

    def save_to_group(
        self,
        cmd: int,
        body: bytes,
        device: int,
        appid: int,
        group_id: int,
        waiting: MessageInFlight,
    ) -> None:
        item = SaveItem(device, cmd, SUPER_GROUPS, (appid, group_id), body)
        self._storage.save([item], self._saved, (waiting, 1))

    def _saved(self, save: tuple[MessageInFlight, int], results: list[Result]) -> None:
        waiting, queues = save
        ((status, msgid, prevs),) = results
        if status:
            waiting.stored(status, ((0, 0),) * queues)
        else:
            self._newest = msgid
            waiting.stored(status, [(msgid, prev) for prev in prevs])

    def newest(self) -> tuple[int, ...]:
        return (self._newest,)

    async def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        return self._storage.fetch(user, after, limit)

    async def fetch_group(
        self, appid: int, group_id: int, after: int, joined: int, limit: int = 0
    ) -> Page:
        return self._storage.fetch_group(User(appid, group_id), after, joined, limit)

    async def fetch_latest(self, user: User, limit: int) -> Page:
        return self._storage.fetch_latest(user, limit)

    async def fetch_before(self, user: User, before: int, limit: int) -> Page:
        return self._storage.fetch_before(user, before, limit)

    async def count_new(self, user: User, after: int) -> int:
        return self._storage.count_new(user, after)

    async def decided(self, user: User) -> None:
        """Return at once: every save here is answered, or ends with this process."""

"""A queue as one session reads it: the user's own, or that of a super group.

Both are synced in the same way. They differ in the frames that name them, in the storage that has
them, and in the store of their readers' keys.
"""

from typing import Protocol

from gobelieve.gateway.delivery.catch_up import CatchUp, GroupCatchUp
from gobelieve.gateway.reports.sync_keys import KeptKeys
from gobelieve.gateway.sessions.session import OWN, Session
from gobelieve.interfaces import MessageReader, Page, SuperGroupQueues
from gobelieve.names import GroupReader, User
from gobelieve.wire import client


class Queue(Protocol):
    """A queue that a session can sync."""

    number: int
    """`OWN`, or the id of the group."""

    async def fetch(self, after: int) -> Page:
        """Return the page of messages after an id. Raises `StorageError`."""

    async def kept_key(self) -> int:
        """Return the key that the user reported last; 0 if none is known."""

    async def lower_key(self, key: int) -> None:
        """Set the reported key back to the end of the queue. Raises `BackendError`."""

    def begin(self, key: int) -> None:
        """Send the client the beginning of the sync."""

    def end(self, key: int) -> None:
        """Send the client the end of the sync, with its new key."""

    def notify(self, key: int) -> None:
        """Notify the client of a message with this id."""

    def catch_up(self) -> None:
        """Notify the client of the newest id once storage can be read again."""


class OwnQueue:
    """The queue of the session's user."""

    number = OWN

    def __init__(
        self, session: Session, reader: MessageReader, keys: KeptKeys[User], catch_up: CatchUp
    ) -> None:
        self._session = session
        self._reader = reader
        self._keys = keys
        self._catch_up = catch_up

    async def fetch(self, after: int) -> Page:
        return await self._reader.fetch(self._session.user, after)

    async def kept_key(self) -> int:
        return await self._keys.load(self._session.user)

    async def lower_key(self, key: int) -> None:
        await self._keys.lower(self._session.user, key)

    def begin(self, key: int) -> None:
        self._session.send_key(client.SyncBegin.number, key)

    def end(self, key: int) -> None:
        self._session.send_key(client.SyncEnd.number, key)

    def notify(self, key: int) -> None:
        self._session.notify(key)

    def catch_up(self) -> None:
        self._catch_up.begin((self._session.user,))


class GroupQueue:
    """The queue of a super group that the user joined at `joined` (seconds since 1970)."""

    def __init__(
        self,
        session: Session,
        group_id: int,
        joined: int,
        queues: SuperGroupQueues,
        keys: KeptKeys[GroupReader],
        catch_up: GroupCatchUp,
    ) -> None:
        self.number = group_id
        self._session = session
        self._joined = joined
        self._queues = queues
        self._keys = keys
        self._catch_up = catch_up
        self._reader = GroupReader(*session.user, group_id)

    async def fetch(self, after: int) -> Page:
        appid = self._session.user.appid
        return await self._queues.fetch_group(appid, self.number, after, self._joined)

    async def kept_key(self) -> int:
        return await self._keys.load(self._reader)

    async def lower_key(self, key: int) -> None:
        await self._keys.lower(self._reader, key)

    def begin(self, key: int) -> None:
        self._session.send_group_key(client.SyncGroupBegin.number, self.number, key)

    def end(self, key: int) -> None:
        self._session.send_group_key(client.SyncGroupEnd.number, self.number, key)

    def notify(self, key: int) -> None:
        self._session.notify_group(self.number, key)

    def catch_up(self) -> None:
        self._catch_up.begin_with((self.number,))

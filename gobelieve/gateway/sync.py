"""Sync: a client fetches what it does not have yet, and reports how far it is.

Every SYNC gets its SYNC_END, also when storage is away: then with the client's own key, which says
that there is nothing new, and the next notify makes it ask again. A client that says it is further
than its queue is set back, for what comes next would else be hidden from it.
"""

from gobelieve.errors import BackendError, StorageError
from gobelieve.gateway.rules import receives
from gobelieve.gateway.session import Session
from gobelieve.gateway.sync_keys import KeptKeys
from gobelieve.interfaces import MessageReader, Page, Tasks
from gobelieve.metrics import Tally
from gobelieve.names import User
from gobelieve.wire import client
from gobelieve.wire.frames import SELF, Frame
from gobelieve.wire.storage import StoredMessage

SYNCS_WAITING = 16
"""So many SYNCs may wait behind one that is under way; the rest is answered as empty at once."""

LARGEST_KEY = (1 << 63) - 1


class Sync:
    """The rules for SYNC and SYNC_KEY.

    With `sync_self` a client also gets what it sent itself, marked SELF; without, it is left out.
    """

    def __init__(
        self,
        reader: MessageReader,
        keys: KeptKeys[User],
        tasks: Tasks,
        tally: Tally,
        sync_self: bool = True,
    ) -> None:
        self._reader = reader
        self._keys = keys
        self._tasks = tasks
        self._tally = tally
        self._sync_self = sync_self

    @receives(client.Sync)
    def sync(self, session: Session, frame: Frame) -> None:
        """Begin, or wait behind the sync that is under way."""
        key = client.key_of(frame.body)
        if session.syncs is None:
            session.syncs = []
            self._tasks.start(self._sync(session, key))
        elif len(session.syncs) < SYNCS_WAITING:
            session.syncs.append(key)
        else:
            self._answer_nothing(session, key)

    @receives(client.SyncKey)
    def sync_key(self, session: Session, frame: Frame) -> None:
        """Keep the key for clients of this user that come with none."""
        self._keys.advance(session.user, client.key_of(frame.body))

    async def _sync(self, session: Session, key: int) -> None:
        waiting = session.syncs
        assert waiting is not None
        try:
            while not session.closed:
                await self._answer(session, key)
                if not waiting:
                    break
                key = waiting.pop(0)
        finally:
            session.syncs = None

    async def _answer(self, session: Session, key: int) -> None:
        if session.connection.congested:
            # It has not read the page before. Once it has, the notify makes it ask again.
            self._answer_nothing(session, key)
            session.notify(min(key, LARGEST_KEY - 1) + 1)
            return
        after = key or await self._keys.load(session.user)
        try:
            page = await self._reader.fetch(session.user, after)
        except StorageError:
            self._tally.add("syncs_failed")
            self._answer_nothing(session, key)
            return
        session.send_key(client.SyncBegin.number, after)
        for message in page.messages:
            own = _is_own(session.user, session.device, message)
            if not own or self._sync_self:
                session.send_message(message.cmd, message.body, SELF if own else 0)
            elif session.device == 0:
                # All browsers are device 0: another tab of the user must not miss it.
                session.send_message(message.cmd, message.body)
        end = await self._end(session.user, after, page)
        session.send_key(client.SyncEnd.number, end)
        if page.more:
            session.send_key(client.SyncNotify.number, page.last + 1)

    def _answer_nothing(self, session: Session, key: int) -> None:
        session.send_key(client.SyncBegin.number, key)
        session.send_key(client.SyncEnd.number, key)

    async def _end(self, user: User, after: int, page: Page) -> int:
        if after <= page.newest:
            return max(after, page.last)
        self._tally.add("sync_keys_corrected")
        try:
            await self._keys.lower(user, page.newest)
        except BackendError:
            self._tally.add("sync_keys_dropped")
        return page.newest


def _is_own(user: User, device: int, message: StoredMessage) -> bool:
    """Whether this user wrote the message on this device."""
    if message.device != device:
        return False
    body = message.body
    if message.cmd in client.TIMED:
        return body[:8] == _i64(user.uid)
    if message.cmd in (client.CustomerV2.number, client.Customer.number):
        return body[:16] == _i64(user.appid) + _i64(user.uid)
    if message.cmd == client.CustomerSupport.number:
        return body[24:32] == _i64(user.uid)
    return False


def _i64(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)

"""Sync: a client fetches the messages that it does not have yet, and reports how far it is.

Every SYNC gets its SYNC_END. While storage is away, SYNC_END has the client's own key, which means
that there is nothing new; a notify makes the client ask again once storage is back. A client whose
key is beyond the end of its queue is set back, since it would miss the next messages. A client
without a key gets all messages if the key that was reported before is beyond the end. Only members
can read the queue of a super group; for others it is empty.
"""

from gobelieve.errors import BackendError, StorageError
from gobelieve.gateway.checks.membership import Membership
from gobelieve.gateway.delivery.catch_up import CatchUp, GroupCatchUp
from gobelieve.gateway.reports.reports import Reports
from gobelieve.gateway.rules.sync_queues import GroupQueue, OwnQueue, Queue
from gobelieve.gateway.rules.table import receives
from gobelieve.gateway.rules.waiting import run_in_order
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Group, MessageReader, Page, SuperGroupQueues, World
from gobelieve.names import AckStatus, GroupReader, User
from gobelieve.wire import bodies, client
from gobelieve.wire.frames import SELF, Frame
from gobelieve.wire.message import STORED
from gobelieve.wire.storage import StoredMessage

SYNCS_WAITING = 16
"""SYNCs that may wait per queue behind the one under way; further ones are answered as empty."""
QUEUES_AT_ONCE = 256
"""Queues that a session may sync at a time; for others the client must ask again."""

LARGEST_KEY = (1 << 63) - 1


class Sync:
    """The rules for SYNC and SYNC_KEY, SYNC_GROUP and GROUP_SYNC_KEY.

    With `sync_self` a client also gets what it sent itself, marked SELF; without, it is left out.
    """

    def __init__(
        self,
        *,
        world: World,
        reader: MessageReader,
        queues: SuperGroupQueues,
        membership: Membership,
        reports: Reports,
        catch_up: CatchUp,
        group_catch_up: GroupCatchUp,
        sync_self: bool = True,
    ) -> None:
        self._reader = reader
        self._queues = queues
        self._membership = membership
        self._keys = reports.keys
        self._group_keys = reports.group_keys
        self._catch_up = catch_up
        self._group_catch_up = group_catch_up
        self._tasks = world.tasks
        self._counters = world.counters
        self._sync_self = sync_self

    @receives(client.Sync)
    def sync(self, session: Session, frame: Frame) -> None:
        """Begin a sync of the user's own queue, or let it wait behind the one under way."""
        queue = OwnQueue(session, self._reader, self._keys, self._catch_up)
        self._begin(session, queue, bodies.key_of(frame.body))

    @receives(client.SyncKey)
    def sync_key(self, session: Session, frame: Frame) -> None:
        """Keep the key for clients of this user that come with none."""
        self._keys.advance(session.user, bodies.key_of(frame.body))

    @receives(client.SyncGroup)
    def sync_group(self, session: Session, frame: Frame) -> None:
        """Begin a sync of a super group's queue, or let it wait behind the one under way."""
        request = client.SyncGroup.decode(frame.body, frame.version)
        run_in_order(session, self._sync_group(session, request), self._tasks)

    async def _sync_group(self, session: Session, request: client.SyncGroup) -> None:
        group = await self._membership.find(session.user, request.group_id)
        queue = GroupQueue(
            session,
            request.group_id,
            group.joined(session.user.uid) if isinstance(group, Group) else 0,
            self._queues,
            self._group_keys,
            self._group_catch_up,
        )
        if isinstance(group, Group):
            self._begin(session, queue, request.sync_key)
        else:
            self._counters.add("group_syncs_refused")
            _answer_nothing(queue, request.sync_key)

    @receives(client.GroupSyncKey)
    def group_sync_key(self, session: Session, frame: Frame) -> None:
        """Keep the key, if it is of a group that the user is in."""
        group_id, key = bodies.group_key_of(frame.body)
        run_in_order(session, self._keep_group_key(session.user, group_id, key), self._tasks)

    async def _keep_group_key(self, user: User, group_id: int, key: int) -> None:
        if isinstance(await self._membership.find(user, group_id), Group):
            self._group_keys.advance(GroupReader(*user, group_id), key)

    # --- one sync after another

    def _begin(self, session: Session, queue: Queue, key: int) -> None:
        syncs = session.syncs
        if syncs is None:
            syncs = session.syncs = {}
        waiting = syncs.get(queue.number)
        if waiting is not None and len(waiting) < SYNCS_WAITING:
            waiting.append(key)
        elif waiting is not None:
            _answer_nothing(queue, key)
        elif len(syncs) >= QUEUES_AT_ONCE:
            _answer_later(queue, key)
        else:
            syncs[queue.number] = []
            self._tasks.start(self._sync(session, syncs, queue, key))

    async def _sync(
        self, session: Session, syncs: dict[int, list[int]], queue: Queue, key: int
    ) -> None:
        waiting = syncs[queue.number]
        try:
            while not session.closed:
                await self._answer(session, queue, key)
                if not waiting:
                    break
                key = waiting.pop(0)
        finally:
            del syncs[queue.number]
            if not syncs:
                session.syncs = None

    async def _answer(self, session: Session, queue: Queue, key: int) -> None:
        if session.connection.congested:
            # The client has not read the last page. Once it has, it gets the notify.
            _answer_later(queue, key)
            return
        after = key or await queue.kept_key()
        try:
            page = await queue.fetch(after)
            if not key and after > page.newest:
                # No client can have read so far: the reported key is wrong.
                await self._lower(queue, 0)
                after = 0
                page = await queue.fetch(after)
        except StorageError as why:
            self._counters.add("syncs_failed")
            _answer_nothing(queue, key)
            if why.status == AckStatus.STORAGE_AWAY:
                # (With a damaged queue the client would ask for ever.)
                queue.catch_up()
            return
        queue.begin(after)
        for message in page.messages:
            own = _is_own(session, message)
            if not own or self._sync_self:
                session.send_message(message.cmd, message.body, SELF if own else 0)
        queue.end(await self._end(queue, after, page))
        if page.more:
            queue.notify(page.last + 1)

    async def _end(self, queue: Queue, after: int, page: Page) -> int:
        if after <= page.newest:
            return max(after, page.last)
        await self._lower(queue, page.newest)
        return page.newest

    async def _lower(self, queue: Queue, key: int) -> None:
        self._counters.add("sync_keys_corrected")
        try:
            await queue.lower_key(key)
        except BackendError:
            self._counters.add("sync_keys_dropped")


def _answer_nothing(queue: Queue, key: int) -> None:
    queue.begin(key)
    queue.end(key)


def _answer_later(queue: Queue, key: int) -> None:
    """Answer as empty, and notify the client so that it asks again."""
    _answer_nothing(queue, key)
    queue.notify(min(key, LARGEST_KEY - 1) + 1)


def _is_own(session: Session, message: StoredMessage) -> bool:
    """Return whether the session's user wrote the message on the session's device.

    Device number 0 is no device: all browsers of a user have it, and so have the posts of the app's
    server in the user's name. None of these sessions may take such a message for its own.
    """
    device, kind = session.device, STORED.get(message.cmd)
    if not device or message.device != device or kind is None:
        return False
    return kind.is_author(session.user, message.body)

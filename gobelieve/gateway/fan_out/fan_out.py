"""Ordinary groups: a message goes into the queue of each member, and is delivered to each member.

The gateway first writes the message and its receivers to its own disk (`PendingMessages`). From
then on each member gets the message once, whatever fails or crashes. All members get the messages
of a group in the same order. See `member_queues`.
"""

from collections import deque
from collections.abc import Callable, Sequence

from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.fan_out.batch import Batch
from gobelieve.gateway.fan_out.member_queues import QUEUES_PER_ASK, MemberQueues
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import (
    Entries,
    MessageInFlight,
    MessageReader,
    MessageSaver,
    PendingMessage,
    PendingMessages,
    Routing,
    World,
)
from gobelieve.names import AckStatus, User, shard
from gobelieve.wire.frames import CLIENT_BODY_LIMIT
from gobelieve.wire.message import pushed_as

OWN_IDS_TIMEOUT = 2.0
"""Seconds that a sender waits for the ids in its own queue; the message is safe already."""
MAX_PENDING_BYTES = 256 << 20
"""The size of all messages that some queues do not have yet; beyond that new ones are refused."""


class _Sent:
    """A message that some members' queues do not have yet."""

    __slots__ = ("fan_out", "message", "open", "session", "size", "waiting")

    def __init__(
        self,
        fan_out: "FanOut",
        message: PendingMessage,
        session: Session | None,
        waiting: MessageInFlight | None,
    ) -> None:
        self.fan_out = fan_out
        self.message = message
        self.session = session
        self.waiting = waiting
        """Waits for the entry of the sender's own queue; None once it has its answer."""
        self.open = 0
        """The number of batches that are not done."""
        # Twice the members: in the message, and in its batches.
        self.size = len(message.body) + 16 * len(message.members)

    def kept(self, number: int) -> None:
        """Take the number under which the message is on our disk; 0 if it could not be written."""
        self.fan_out.kept(self, number)

    def answer(self, status: int, key: int = 0, prev: int = 0) -> None:
        """Answer the sender, unless the sender was answered before."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.stored(status, ((key, prev),))


class FanOut:
    """Stores messages in the queues of members of ordinary groups, and delivers them."""

    def __init__(
        self,
        *,
        world: World,
        pending: PendingMessages,
        saver: MessageSaver,
        reader: MessageReader,
        delivery: Delivery,
        routing: Routing,
    ) -> None:
        self._pending = pending
        self._saver = saver
        self._delivery = delivery
        self._routing = routing
        self._time = world.time
        self._counters = world.counters
        self._member_queues = [
            MemberQueues(
                world=world,
                saver=saver,
                reader=reader,
                done=self._batch_stored,
                ended=self._batch_ended,
            )
            for _ in saver.newest()
        ]
        self._sent: dict[int, _Sent] = {}
        self._bytes = 0
        self._unanswered: deque[tuple[float, _Sent]] = deque()
        self._scheduled = False
        """True if a call of `_overdue` is scheduled."""
        self._stopping = False

    def __len__(self) -> int:
        """Return the number of messages that some queues do not have yet."""
        return len(self._sent)

    @property
    def storages(self) -> int:
        """The number of storages that share the queues."""
        return len(self._member_queues)

    def resume(self, number: int, message: PendingMessage, done: frozenset[int]) -> None:
        """Go on with a message of an earlier run; the batches in `done` are finished."""
        resharded = False
        if len(message.after_ids) != len(self._member_queues):
            # The number of storages changed: the batches are different ones, and no id is known.
            done = frozenset()
            message = message._replace(after_ids=(0,) * len(self._member_queues))
            resharded = True
        sent = _Sent(self, message, None, None)
        self._bytes += sent.size
        self._enter(number, sent, done, maybe_stored=True, resharded=resharded)

    def send(
        self,
        sender: User,
        group_id: int,
        cmd: int,
        body: bytes,
        members: tuple[int, ...],
        waiting: MessageInFlight,
        *,
        device: int = 0,
        session: Session | None = None,
    ) -> None:
        """Enter a message in the queue of each member and deliver it, but not to `session`.

        `members` has each member once. `waiting` gets one entry, that of the sender's own queue.
        The entry is (0, 0) if the message is safe, but its ids are not known within
        `OWN_IDS_TIMEOUT`.
        """
        message = PendingMessage(
            sender.appid, group_id, sender.uid, device, cmd, body, members, self._saver.newest()
        )
        sent = _Sent(self, message, session, waiting)
        if len(body) > CLIENT_BODY_LIMIT:
            sent.answer(AckStatus.TOO_LARGE)
            return
        if self._stopping or self._bytes + sent.size > MAX_PENDING_BYTES:
            self._counters.add("pending_refused")
            sent.answer(AckStatus.STORAGE_AWAY)
            return
        self._bytes += sent.size
        self._pending.keep(message, sent.kept)

    def kept(self, sent: _Sent, number: int) -> None:
        """Go on with a message that is on our disk under this number; 0: it is not."""
        if not number:
            self._bytes -= sent.size
            sent.answer(AckStatus.STORAGE_FULL)
        elif self._stopping:
            # The gateway goes on with the message when it starts again.
            sent.answer(AckStatus.SUCCESS)
        else:
            self._wait(sent)
            self._enter(number, sent, frozenset(), maybe_stored=False)

    def stop(self, stopped: Callable[[], None]) -> None:
        """Send no more saves; call `stopped` when storage has answered those under way."""
        self._stopping = True
        while self._unanswered:
            self._unanswered.popleft()[1].answer(AckStatus.SUCCESS)
        open_ = len(self._member_queues)

        def one_stopped() -> None:
            nonlocal open_
            open_ -= 1
            if not open_:
                stopped()

        for member_queues in self._member_queues:
            member_queues.stop(one_stopped)

    def _enter(
        self,
        number: int,
        sent: _Sent,
        done: frozenset[int],
        maybe_stored: bool,
        resharded: bool = False,
    ) -> None:
        self._sent[number] = sent
        batches = [
            (storage, Batch(number, index, sent.message, uids, sent.message.after_ids[storage]))
            for index, (storage, uids) in enumerate(
                _cut(sent.message.members, len(self._member_queues))
            )
            if index not in done
        ]
        sent.open = len(batches)
        if not batches:
            self._stored_everywhere(number, sent)
        for storage, batch in batches:
            batch.maybe_stored, batch.resharded = maybe_stored, resharded
            self._member_queues[storage].add(batch)

    # --- reports of the member queues

    def _batch_stored(self, batch: Batch, queues: Sequence[User], entries: Entries) -> None:
        sent = self._sent[batch.number]
        appid, _, sender, _, cmd, body, *_ = sent.message
        if pushed_as(cmd) is not None:
            others = [uid for _, uid in queues if uid != sender]
            if others:
                self._routing.push(appid, others, cmd, body)
        stored, session = self._delivery.stored, sent.session
        for user, (key, prev) in zip(queues, entries, strict=True):
            stored(user, cmd, body, 0, key, prev, session)
            if user[1] == sender:
                sent.answer(AckStatus.SUCCESS, key, prev)
        self._counters.add("group_entries", len(queues))

    def _batch_ended(self, batch: Batch, status: int) -> None:
        sent = self._sent[batch.number]
        if status:
            sent.answer(status)
        sent.open -= 1
        if sent.open:
            self._pending.batch_done(batch.number, batch.index)
        else:
            self._stored_everywhere(batch.number, sent)

    def _stored_everywhere(self, number: int, sent: _Sent) -> None:
        del self._sent[number]
        self._bytes -= sent.size
        self._pending.finished(number)
        sent.answer(AckStatus.SUCCESS)

    # --- senders who wait

    def _wait(self, sent: _Sent) -> None:
        while self._unanswered and self._unanswered[0][1].waiting is None:
            self._unanswered.popleft()
        self._unanswered.append((self._time.seconds() + OWN_IDS_TIMEOUT, sent))
        if not self._scheduled:
            self._scheduled = True
            self._time.callLater(OWN_IDS_TIMEOUT, self._overdue)

    def _overdue(self) -> None:
        now = self._time.seconds()
        while self._unanswered:
            due, sent = self._unanswered[0]
            if due > now and sent.waiting is not None:
                self._time.callLater(due - now, self._overdue)
                return
            self._unanswered.popleft()
            sent.answer(AckStatus.SUCCESS)
        self._scheduled = False


def _cut(members: Sequence[int], storages: int) -> list[tuple[int, Sequence[int]]]:
    """Return the batches (storage, receivers); equal arguments give equal batches."""
    if storages == 1:
        by_storage = [list(members)]
    else:
        by_storage = [[] for _ in range(storages)]
        for uid in members:
            by_storage[shard(uid, storages)].append(uid)
    return [
        (storage, uids[start : start + QUEUES_PER_ASK])
        for storage, uids in enumerate(by_storage)
        for start in range(0, len(uids), QUEUES_PER_ASK)
    ]

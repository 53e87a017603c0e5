"""Messages that clients send to groups.

A message to a super group goes into the one queue of the group. A message to an ordinary group goes
into the queue of each member, see `fan_out`. Both are stored before they are delivered, and
delivered before the sender gets the ack.
"""

from struct import Struct

from gobelieve.gateway.checks.membership import Membership
from gobelieve.gateway.checks.word_filter import WordFilter
from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.delivery.group_members_here import GroupMembersHere
from gobelieve.gateway.fan_out.fan_out import FanOut
from gobelieve.gateway.rules.table import receives
from gobelieve.gateway.rules.waiting import run_in_order
from gobelieve.gateway.sessions.packing import GroupMessage
from gobelieve.gateway.sessions.saves_in_flight import SavesInFlight
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Entries, Group, Routing, SuperGroupQueues, World
from gobelieve.names import AckStatus
from gobelieve.wire import bodies, client
from gobelieve.wire.frames import PUSH, SUPER_GROUP, Frame

_SENDER_GROUP = Struct(">qq")
_NUMBER = slice(20, 24)
"""The place of the client's own number of the message in a stored body."""


class GroupMessages:
    """The rule for GROUP_IM."""

    def __init__(
        self,
        *,
        world: World,
        membership: Membership,
        queues: SuperGroupQueues,
        fan_out: FanOut,
        members_here: GroupMembersHere,
        delivery: Delivery,
        routing: Routing,
        saves_in_flight: SavesInFlight,
        words: WordFilter,
    ) -> None:
        self._membership = membership
        self._queues = queues
        self._fan_out = fan_out
        self._members_here = members_here
        self.delivery = delivery
        self._routing = routing
        self.saves_in_flight = saves_in_flight
        self._words = words
        self._time = world.time
        self._tasks = world.tasks
        self.counters = world.counters
        self._number = 0

    @receives(client.GroupIM)
    def group_im(self, session: Session, frame: Frame) -> None:
        """Store and deliver the message if its sender is a member and not muted; then ack it."""
        body = bodies.stamped(frame.body, frame.version, int(self._time.seconds()))
        sender, group_id = _SENDER_GROUP.unpack_from(body)
        if sender != session.user.uid:
            self.counters.add("forged_senders")
            session.ack(frame.seq, AckStatus.FORGED_SENDER)
        else:
            run_in_order(session, self._send(session, frame, group_id, body), self._tasks)

    async def _send(self, session: Session, frame: Frame, group_id: int, body: bytes) -> None:
        group = await self._membership.find(session.user, group_id)
        if isinstance(group, AckStatus):
            self._refuse(session, frame, group)
            return
        if group.muted(session.user.uid):
            self._refuse(session, frame, AckStatus.MUTED)
            return
        body = self._words.clean(body, frame.flag)
        cmd, device = client.GroupIM.number, session.device
        self.saves_in_flight.begun(session)
        if group.super:
            stored = _SuperGroupMessage(self, session, frame.seq, group, body)
            self._queues.save_to_group(cmd, body, device, group.appid, group.id, stored)
            return
        self._fan_out.send(
            session.user,
            group.id,
            cmd,
            self._distinct(body),
            tuple(group.members),
            _GroupMessage(self, session, frame.seq),
            device=device,
            session=session,
        )

    def _refuse(self, session: Session, frame: Frame, status: AckStatus) -> None:
        self.counters.add("group_messages_refused")
        session.ack(frame.seq, status)

    def _distinct(self, body: bytes) -> bytes:
        """Return the body, with a number of ours if the client gave it none.

        With numbers no two messages of a session are equal, not even the same words within one
        second. The fan-out needs this to tell whether a queue has a message.
        """
        if body[_NUMBER] != bytes(4):
            return body
        self._number = self._number % 0x7FFFFFFF + 1
        return body[: _NUMBER.start] + self._number.to_bytes(4, "big") + body[_NUMBER.stop :]

    # --- super groups

    def deliver(
        self, group: Group, sender: int, body: bytes, key: int, prev: int, session: Session | None
    ) -> None:
        """Deliver a message that is in the queue of a super group, but not to its own session."""
        cmd, appid, id_ = client.GroupIM.number, group.appid, group.id
        self._routing.push_group(appid, id_, lambda: list(group.members), sender, cmd, body)
        if self.delivery.direct_push:
            flag = PUSH | SUPER_GROUP
            self._routing.publish_group(appid, id_, cmd, body, flag, key, prev)
        else:
            prev = 0
            notify = client.SyncGroupNotify(group_id=id_, sync_key=key).encode()
            self._routing.publish_group(appid, id_, client.SyncGroupNotify.number, notify)
        message = GroupMessage(cmd, body, id_, key, prev)
        self._members_here.deliver(
            appid, id_, lambda other: other.deliver_group(message), key, session
        )


class _GroupMessage:
    """A message of a session to an ordinary group, which is being stored."""

    __slots__ = ("rules", "seq", "session")

    def __init__(self, rules: GroupMessages, session: Session, seq: int) -> None:
        self.rules = rules
        self.session = session
        self.seq = seq

    def stored(self, status: int, entries: Entries) -> None:
        """Take the entry of the sender's own queue; see `gobelieve.interfaces.MessageInFlight`."""
        rules, session = self.rules, self.session
        rules.saves_in_flight.ended(session)
        if status:
            rules.counters.add("messages_not_stored")
        else:
            rules.counters.add("messages")
            ((key, prev),) = entries
            if prev and rules.delivery.direct_push and not session.syncing():
                session.metadata(key, prev)
        session.ack(self.seq, status)
        rules.saves_in_flight.settled()


class _SuperGroupMessage:
    """A message of a session to a super group, which is being stored."""

    __slots__ = ("body", "group", "rules", "seq", "session")

    def __init__(
        self, rules: GroupMessages, session: Session, seq: int, group: Group, body: bytes
    ) -> None:
        self.rules = rules
        self.session = session
        self.seq = seq
        self.group = group
        self.body = body

    def stored(self, status: int, entries: Entries) -> None:
        """Deliver the message and ack it; see `gobelieve.interfaces.MessageInFlight`."""
        rules, session, group = self.rules, self.session, self.group
        rules.saves_in_flight.ended(session)
        if status:
            rules.counters.add("messages_not_stored")
            session.ack(self.seq, status)
        else:
            rules.counters.add("messages")
            ((key, prev),) = entries
            rules.deliver(group, session.user.uid, self.body, key, prev, session)
            if prev and rules.delivery.direct_push and not session.syncing(group.id):
                session.metadata(key, prev)
            session.ack(self.seq, flag=SUPER_GROUP)
        rules.saves_in_flight.settled()

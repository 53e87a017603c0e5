"""Messages to groups.

A message to a super group goes into the one queue of the group; a message to an ordinary group into
the queue of each member, see `fan_out`. Either way: kept before told, told before acked.
"""

from struct import Struct
from typing import NamedTuple

from gobelieve.gateway.checks.membership import Membership
from gobelieve.gateway.checks.word_filter import WordFilter
from gobelieve.gateway.delivery.delivery import Delivery, Inner
from gobelieve.gateway.delivery.group_members_here import GroupMembersHere
from gobelieve.gateway.fan_out.fan_out import FanOut
from gobelieve.gateway.rules.table import receives
from gobelieve.gateway.sessions.packing import GroupMessage
from gobelieve.gateway.sessions.saves_in_flight import SavesInFlight
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Entries, Group, Routing, SuperGroupQueues, Time
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus
from gobelieve.wire import bodies, client
from gobelieve.wire.frames import PUSH, SUPER_GROUP, Frame

_SENDER_GROUP = Struct(">qq")
_NUMBER = slice(20, 24)
"""The client's own number of the message, in a body as it is stored."""


class _Message(NamedTuple):
    """A message to a super group that storage has been asked to keep."""

    session: Session
    seq: int
    group: Group
    body: bytes


class GroupMessages:
    """The rule for GROUP_IM."""

    def __init__(
        self,
        membership: Membership,
        queues: SuperGroupQueues,
        fan_out: FanOut,
        members_here: GroupMembersHere,
        delivery: Delivery,
        routing: Routing,
        saves_in_flight: SavesInFlight,
        words: WordFilter,
        time: Time,
        counters: Counters,
    ) -> None:
        self._membership = membership
        self._queues = queues
        self._fan_out = fan_out
        self._members_here = members_here
        self._delivery = delivery
        self._routing = routing
        self._saves_in_flight = saves_in_flight
        self._words = words
        self._time = time
        self._counters = counters
        self._number = 0

    @receives(client.GroupIM)
    def group_im(self, session: Session, frame: Frame) -> None:
        """To the members, if the sender is one and may speak."""
        stamped = bodies.stamped(frame.body, frame.version, int(self._time.seconds()))
        sender, group_id = _SENDER_GROUP.unpack_from(stamped)
        if sender != session.user.uid:
            self._counters.add("forged_senders")
            session.ack(frame.seq, AckStatus.FORGED_SENDER)
            return

        def found(group: Group | None, status: int) -> None:
            if group is None or group.muted(sender):
                self._counters.add("group_messages_refused")
                session.ack(frame.seq, status or AckStatus.MUTED)
                return
            body = self._words.clean(stamped, frame.flag)
            if group.super:
                self._to_queue(_Message(session, frame.seq, group, body))
            else:
                self._to_members(session, frame.seq, group, body)

        self._membership.find(session, group_id, found)

    # --- super groups

    def _to_queue(self, message: _Message) -> None:
        session, group = message.session, message.group
        self._saves_in_flight.begun(session)
        self._queues.save_to_group(
            client.GroupIM.number,
            message.body,
            session.device,
            group.appid,
            group.id,
            self._stored,
            message,
        )

    def _stored(self, message: _Message, status: int, entries: Entries) -> None:
        self._saves_in_flight.ended(message.session)
        session, seq, group, _ = message
        if status:
            self._counters.add("messages_not_stored")
            session.ack(seq, status)
        else:
            self._counters.add("messages")
            ((key, prev),) = entries
            sender = session.user.uid
            self.stored(group, sender, message.body, key, prev, session)
            if prev and self._delivery.direct_push and not session.syncing(group.id):
                session.metadata(key, prev)
            session.ack(seq, flag=SUPER_GROUP)
        self._saves_in_flight.settled()

    def stored(
        self, group: Group, sender: int, body: bytes, key: int, prev: int, session: Session | None
    ) -> None:
        """A GROUP_IM is in the queue of a super group: tell all but the session that sent it."""
        cmd, appid, id_ = client.GroupIM.number, group.appid, group.id
        self._routing.push_group(appid, id_, lambda: list(group.members), sender, cmd, body)
        if self._delivery.direct_push:
            flag = PUSH | SUPER_GROUP
            self._routing.publish_group(appid, id_, cmd, body, flag, key, prev)
        else:
            prev = 0
            notify = client.SyncGroupNotify(group_id=id_, sync_key=key).encode()
            self._routing.publish_group(appid, id_, client.SyncGroupNotify.number, notify)
        told = GroupMessage(cmd, body, id_, key, prev)
        self._members_here.tell(appid, id_, lambda other: other.deliver_group(told), key, session)

    def published(self, appid: int, group_id: int, inner: Inner, key: int, prev: int) -> None:
        """Another gateway has something for the members of a super group."""
        cmd, flag, body = inner
        if flag & PUSH:
            if not key:
                # Nobody could place it; the notify that follows brings it by sync.
                return
            if not self._delivery.direct_push:
                prev = 0

            told = GroupMessage(cmd, body, group_id, key, prev)

            def tell(session: Session) -> None:
                session.deliver_group(told)
        elif cmd == client.SyncGroupNotify.number:
            key = client.SyncGroupNotify.decode(body).sync_key

            def tell(session: Session) -> None:
                session.notify_group(group_id, key)
        else:

            def tell(session: Session) -> None:
                session.live(cmd, body)

        self._members_here.tell(appid, group_id, tell, key)

    # --- ordinary groups

    def _to_members(self, session: Session, seq: int, group: Group, body: bytes) -> None:
        self._saves_in_flight.begun(session)

        def settled(status: int, key: int, prev: int) -> None:
            self._saves_in_flight.ended(session)
            if status:
                self._counters.add("messages_not_stored")
            else:
                self._counters.add("messages")
                if prev and self._delivery.direct_push and not session.syncing():
                    session.metadata(key, prev)
            session.ack(seq, status)
            self._saves_in_flight.settled()

        self._fan_out.send(
            session.user,
            session.device,
            group.id,
            client.GroupIM.number,
            self._distinct(body),
            tuple(group.members),
            session,
            settled,
        )

    def _distinct(self, body: bytes) -> bytes:
        """The body with a number of ours if the client gave it none.

        Then no two messages of a session are alike, not even the same words in one second, and
        the fan-out can tell whether a queue has a message.
        """
        if body[_NUMBER] != bytes(4):
            return body
        self._number = self._number % 0x7FFFFFFF + 1
        return body[: _NUMBER.start] + self._number.to_bytes(4, "big") + body[_NUMBER.stop :]

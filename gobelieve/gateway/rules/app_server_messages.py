"""What the app's own server writes: messages in the name of users, and messages of its own.

It goes the way of what clients send: stored before told, told before answered. But the server is
believed: nobody asks who the sender is, what relations permit or which words are used. It has no
device, so nothing that is posted is anybody's own, and all sessions are told.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from gobelieve.errors import BackendError, StorageError
from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.delivery.group_members_here import GroupMembersHere
from gobelieve.gateway.delivery.peer_delivery import PeerDelivery, PostDone
from gobelieve.gateway.fan_out.fan_out import FanOut
from gobelieve.gateway.fan_out.member_queues import QUEUES_PER_ASK
from gobelieve.gateway.rules.groups import GroupMessages
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.saves_in_flight import SavesInFlight
from gobelieve.interfaces import (
    Entries,
    Group,
    Groups,
    MessageSaver,
    Routing,
    SuperGroupQueues,
    Time,
)
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, Room, User
from gobelieve.wire import client, customers

USERS_PER_TURN = 5000
"""So many users who are no members are told in one turn."""

PostedToAll = Callable[[int, Sequence[int]], None]
"""Called once with a status as `PostDone`, and with the receivers that do not have it."""


class AppServerMessages:
    """Posts. Contents are bytes, by convention the UTF-8 of JSON."""

    def __init__(
        self,
        peer_delivery: PeerDelivery,
        group_messages: GroupMessages,
        fan_out: FanOut,
        members_here: GroupMembersHere,
        saver: MessageSaver,
        queues: SuperGroupQueues,
        delivery: Delivery,
        routing: Routing,
        sessions: Sessions,
        groups: Groups | None,
        saves_in_flight: SavesInFlight,
        time: Time,
        counters: Counters,
    ) -> None:
        self._peer_delivery = peer_delivery
        self._group_messages = group_messages
        self._fan_out = fan_out
        self._members_here = members_here
        self._saver = saver
        self._queues = queues
        self._delivery = delivery
        self._routing = routing
        self._sessions = sessions
        self._groups = groups
        self._saves_in_flight = saves_in_flight
        self._time = time
        self._counters = counters
        self._number = 0

    # --- from user to user

    def peer(
        self, appid: int, sender: int, receiver: int, content: bytes, posted: PostDone
    ) -> None:
        """An IM."""
        im = client.IM(
            sender=sender, receiver=receiver, timestamp=self._now(), msgid=0, content=content
        )
        users = User(appid, sender), User(appid, receiver)
        self._peer_delivery.post(*users, im.number, im.encode(), posted)

    def customer(
        self, customer: User, seller: User, store_id: int, content: bytes, posted: PostDone
    ) -> None:
        """A CUSTOMER, from a customer to a seller."""
        said = customers.Customer(
            customer_appid=customer.appid,
            customer_id=customer.uid,
            store_id=store_id,
            seller_id=seller.uid,
            timestamp=self._now(),
            content=content,
        )
        self._peer_delivery.post(customer, seller, said.number, said.encode(), posted)

    def customer_v2(self, sender: User, receiver: User, content: bytes, posted: PostDone) -> None:
        """A CUSTOMER_V2, either way."""
        said = customers.CustomerV2(
            sender_appid=sender.appid,
            sender=sender.uid,
            receiver_appid=receiver.appid,
            receiver=receiver.uid,
            timestamp=self._now(),
            content=content,
        )
        self._peer_delivery.post(sender, receiver, said.number, said.encode(), posted)

    # --- from the app

    def system(
        self, appid: int, receivers: Sequence[int], content: bytes, posted: PostedToAll
    ) -> None:
        """A SYSTEM message for each of the receivers, who are named once each."""
        parts = [
            tuple(receivers[first : first + QUEUES_PER_ASK])
            for first in range(0, len(receivers), QUEUES_PER_ASK)
        ]
        if not parts:
            posted(AckStatus.SUCCESS, ())
            return
        missing: list[int] = []
        first_status, open_ = 0, len(parts)

        def stored(uids: tuple[int, ...], status: int, entries: Entries) -> None:
            nonlocal first_status, open_
            self._saves_in_flight.ended(None)
            missing.extend(self._system_stored(appid, uids, content, entries))
            first_status = first_status or status
            open_ -= 1
            if not open_:
                posted(first_status, missing)
            self._saves_in_flight.settled()

        for uids in parts:
            users = [User(appid, uid) for uid in uids]
            self._saves_in_flight.begun(None)
            self._saver.save(client.System.number, content, 0, users, stored, uids)

    def _system_stored(
        self, appid: int, uids: Sequence[int], content: bytes, entries: Entries
    ) -> list[int]:
        """Tell those who have it; gives the others."""
        cmd = client.System.number
        have = [uid for uid, (key, _) in zip(uids, entries, strict=True) if key]
        if have:
            self._routing.push(appid, have, cmd, content)
        for uid, (key, prev) in zip(uids, entries, strict=True):
            if key:
                self._delivery.stored(User(appid, uid), cmd, content, 0, key, prev, None)
        self._counters.add("messages", len(have))
        if len(have) < len(uids):
            self._counters.add("messages_not_stored", len(uids) - len(have))
        return [uid for uid, (key, _) in zip(uids, entries, strict=True) if not key]

    # --- to groups

    async def find(self, appid: int, group_id: int) -> Group | None:
        """The group, if this app has it. `StorageError` if that cannot be known now."""
        if self._groups is None:
            return None
        group = self._groups.loaded(group_id)
        if group is None:
            try:
                group = await self._groups.find(group_id)
            except BackendError as why:
                self._counters.add("groups_not_found_out")
                raise StorageError(AckStatus.GROUPS_AWAY, str(why)) from None
        return group if group is not None and group.appid == appid else None

    def group(self, group: Group, sender: int, content: bytes, posted: PostDone) -> None:
        """A GROUP_IM to all members; the sender need not be one."""
        # Numbers below 0, as clients do not use them: so no two messages are alike, by which the
        # fan-out can tell whether a queue has one.
        self._number = self._number % 0x7FFFFFFF + 1
        body = client.GroupIM(
            sender=sender,
            receiver=group.id,
            timestamp=self._now(),
            msgid=-self._number,
            content=content,
        ).encode()
        if not group.super:
            self._to_members(
                User(group.appid, sender), group.id, client.GroupIM.number, body, group, posted
            )
            return

        def told(key: int, prev: int) -> None:
            self._group_messages.stored(group, sender, body, key, prev, None)

        self._to_queue(group.appid, group.id, client.GroupIM.number, body, told, posted)

    def group_notification(
        self,
        appid: int,
        group_id: int,
        group: Group | None,
        super_: bool,
        others: Sequence[int],
        content: bytes,
        posted: PostDone,
    ) -> None:
        """A GROUP_NOTIFICATION for the members and others; phones get no push.

        `group` is None if there is no such group, or not any more. Then `super_` says what it is.
        """
        cmd = client.GroupNotification.number
        if not (super_ if group is None else group.super):
            members = dict.fromkeys([*(group.members if group else ()), *others])
            self._to_members(User(appid, 0), group_id, cmd, content, members, posted)
            return
        outside = iter([uid for uid in dict.fromkeys(others) if group is None or uid not in group])

        def told(key: int, prev: int) -> None:
            notify = client.SyncGroupNotify(group_id=group_id, sync_key=key).encode()
            if group is not None:
                self._routing.publish_group(appid, group_id, client.SyncGroupNotify.number, notify)
                self._members_here.tell(
                    appid, group_id, lambda session: session.notify_group(group_id, key), key
                )
            self._notify_outside(appid, group_id, key, notify, outside)

        self._to_queue(appid, group_id, cmd, content, told, posted)

    def _notify_outside(
        self, appid: int, group_id: int, key: int, notify: bytes, uids: Iterator[int]
    ) -> None:
        some = list(islice(uids, USERS_PER_TURN))
        for uid in some:
            user = User(appid, uid)
            for session in self._sessions.of(user):
                session.notify_group(group_id, key)
            self._routing.publish(user, client.SyncGroupNotify.number, notify)
        if len(some) == USERS_PER_TURN:
            self._time.callLater(0, self._notify_outside, appid, group_id, key, notify, uids)

    def _to_members(
        self,
        sender: User,
        group_id: int,
        cmd: int,
        body: bytes,
        members: Group | dict[int, None],
        posted: PostDone,
    ) -> None:
        self._saves_in_flight.begun(None)

        def settled(status: int, key: int, prev: int) -> None:
            self._count(status)
            posted(status)
            self._saves_in_flight.settled()

        uids = tuple(members.members if isinstance(members, Group) else members)
        self._fan_out.send(sender, 0, group_id, cmd, body, uids, None, settled)

    def _to_queue(
        self,
        appid: int,
        group_id: int,
        cmd: int,
        body: bytes,
        told: Callable[[int, int], None],
        posted: PostDone,
    ) -> None:
        def stored(_: None, status: int, entries: Entries) -> None:
            self._count(status)
            if not status:
                told(*entries[0])
            posted(status)
            self._saves_in_flight.settled()

        self._saves_in_flight.begun(None)
        self._queues.save_to_group(cmd, body, 0, appid, group_id, stored, None)

    def _count(self, status: int) -> None:
        self._saves_in_flight.ended(None)
        self._counters.add("messages_not_stored" if status else "messages")

    # --- live

    def notification(self, user: User, content: bytes) -> None:
        """A NOTIFICATION for those of the user's sessions that are there."""
        self._live(user, client.Notification.number, content)

    def real_time(self, appid: int, sender: int, receiver: int, content: bytes) -> None:
        """An RT."""
        body = client.RT(sender=sender, receiver=receiver, content=content).encode()
        self._live(User(appid, receiver), client.RT.number, body)

    def room(self, room: Room, sender: int, content: bytes) -> None:
        """A ROOM_IM for everybody in the room."""
        body = client.RoomIM(sender=sender, receiver=room.room_id, content=content).encode()
        self._counters.add("live")
        self._delivery.room(room, client.RoomIM.number, body, None)

    def _live(self, user: User, cmd: int, body: bytes) -> None:
        self._counters.add("live")
        self._delivery.live(user, cmd, body, None)

    def _now(self) -> int:
        return int(self._time.seconds())

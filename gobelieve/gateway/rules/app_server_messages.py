"""Messages that the app's own server posts: in the name of users, and messages of its own.

Like a client's message, a post is stored first, then delivered, then answered. The gateway trusts
the app's server: it checks neither the sender nor relations nor words. A post comes from no device,
so no client takes it for its own, and all sessions get it.
"""

from collections.abc import Callable, Sequence

from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.delivery.peer_delivery import PeerDelivery, PostDone
from gobelieve.gateway.fan_out.member_queues import QUEUES_PER_ASK
from gobelieve.gateway.rules.group_posts import GroupPosts
from gobelieve.gateway.sessions.saves_in_flight import SavesInFlight
from gobelieve.interfaces import Entries, MessageSaver, Routing, World
from gobelieve.names import AckStatus, Room, User
from gobelieve.wire import client, customers

PostedToAll = Callable[[int, Sequence[int]], None]
"""Called once with a status as `PostDone`, and with the receivers that do not have it."""


class AppServerMessages:
    """Posts of the app's server; those to groups are in `groups`.

    Contents are bytes, by convention the UTF-8 of JSON.
    """

    def __init__(
        self,
        *,
        world: World,
        groups: GroupPosts,
        peer_delivery: PeerDelivery,
        saver: MessageSaver,
        delivery: Delivery,
        routing: Routing,
        saves_in_flight: SavesInFlight,
    ) -> None:
        self.groups = groups
        self._peer_delivery = peer_delivery
        self._saver = saver
        self._delivery = delivery
        self._routing = routing
        self.saves_in_flight = saves_in_flight
        self._time = world.time
        self._counters = world.counters

    # --- stored

    def peer(
        self, appid: int, sender: int, receiver: int, content: bytes, posted: PostDone
    ) -> None:
        """Send an IM from a user to a user."""
        im = client.IM(
            sender=sender, receiver=receiver, timestamp=self._now(), msgid=0, content=content
        )
        users = User(appid, sender), User(appid, receiver)
        self._peer_delivery.post(*users, im.number, im.encode(), posted)

    def customer(
        self, customer: User, seller: User, store_id: int, content: bytes, posted: PostDone
    ) -> None:
        """Send a CUSTOMER from a customer to a seller."""
        message = customers.Customer(
            customer_appid=customer.appid,
            customer_id=customer.uid,
            store_id=store_id,
            seller_id=seller.uid,
            timestamp=self._now(),
            content=content,
        )
        self._peer_delivery.post(customer, seller, message.number, message.encode(), posted)

    def customer_v2(self, sender: User, receiver: User, content: bytes, posted: PostDone) -> None:
        """Send a CUSTOMER_V2, from a customer to a seller or the other way."""
        message = customers.CustomerV2(
            sender_appid=sender.appid,
            sender=sender.uid,
            receiver_appid=receiver.appid,
            receiver=receiver.uid,
            timestamp=self._now(),
            content=content,
        )
        self._peer_delivery.post(sender, receiver, message.number, message.encode(), posted)

    def system(
        self, appid: int, receivers: Sequence[int], content: bytes, posted: PostedToAll
    ) -> None:
        """Send a SYSTEM message to each of the receivers; no receiver may be named twice."""
        batches = [
            receivers[first : first + QUEUES_PER_ASK]
            for first in range(0, len(receivers), QUEUES_PER_ASK)
        ]
        if not batches:
            posted(AckStatus.SUCCESS, ())
            return
        post = _SystemPost(self, content, posted, len(batches))
        for uids in batches:
            users = [User(appid, uid) for uid in uids]
            self.saves_in_flight.begun(None)
            self._saver.save(client.System.number, content, 0, users, _SystemBatch(post, users))

    def deliver_system(self, users: Sequence[User], content: bytes, entries: Entries) -> list[int]:
        """Deliver a SYSTEM message to the users whose queues have it; return the other users."""
        cmd = client.System.number
        have = [user.uid for user, (key, _) in zip(users, entries, strict=True) if key]
        if have:
            self._routing.push(users[0].appid, have, cmd, content)
        for user, (key, prev) in zip(users, entries, strict=True):
            if key:
                self._delivery.stored(user, cmd, content, 0, key, prev, None)
        self._counters.add("messages", len(have))
        if len(have) < len(users):
            self._counters.add("messages_not_stored", len(users) - len(have))
        return [user.uid for user, (key, _) in zip(users, entries, strict=True) if not key]

    # --- live

    def notification(self, user: User, content: bytes) -> None:
        """Send a NOTIFICATION to those sessions of the user that are connected now."""
        self._live(user, client.Notification.number, content)

    def real_time(self, appid: int, sender: int, receiver: int, content: bytes) -> None:
        """Send an RT from a user to a user."""
        body = client.RT(sender=sender, receiver=receiver, content=content).encode()
        self._live(User(appid, receiver), client.RT.number, body)

    def room(self, room: Room, sender: int, content: bytes) -> None:
        """Send a ROOM_IM to all sessions in the room."""
        body = client.RoomIM(sender=sender, receiver=room.room_id, content=content).encode()
        self._counters.add("live")
        self._delivery.room(room, client.RoomIM.number, body, None)

    def _live(self, user: User, cmd: int, body: bytes) -> None:
        self._counters.add("live")
        self._delivery.live(user, cmd, body, None)

    def _now(self) -> int:
        return int(self._time.seconds())


class _SystemPost:
    """A SYSTEM message that is being stored, in batches of receivers."""

    __slots__ = ("_app_server_messages", "_content", "_missing", "_open", "_posted", "_status")

    def __init__(
        self,
        app_server_messages: AppServerMessages,
        content: bytes,
        posted: PostedToAll,
        batches: int,
    ) -> None:
        self._app_server_messages = app_server_messages
        self._content = content
        self._posted = posted
        self._missing: list[int] = []
        self._status = 0
        self._open = batches

    def batch_stored(self, users: Sequence[User], status: int, entries: Entries) -> None:
        """Take storage's answer for some receivers; after the last, answer the app's server."""
        messages = self._app_server_messages
        messages.saves_in_flight.ended(None)
        self._missing += messages.deliver_system(users, self._content, entries)
        self._status = self._status or status
        self._open -= 1
        if not self._open:
            self._posted(self._status, self._missing)
        messages.saves_in_flight.settled()


class _SystemBatch:
    """Some receivers of a SYSTEM message; a `gobelieve.interfaces.MessageInFlight`."""

    __slots__ = ("_post", "_users")

    def __init__(self, post: _SystemPost, users: Sequence[User]) -> None:
        self._post = post
        self._users = users

    def stored(self, status: int, entries: Entries) -> None:
        self._post.batch_stored(self._users, status, entries)

"""Messages and notifications that the app's own server posts to groups.

Like a client's message, a post is stored first, then delivered, then answered. The sender of a post
need not be a member. All sessions get it, since no session sent it.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from gobelieve.errors import BackendError, StorageError
from gobelieve.gateway.delivery.group_members_here import GroupMembersHere
from gobelieve.gateway.delivery.peer_delivery import PostDone
from gobelieve.gateway.fan_out.fan_out import FanOut
from gobelieve.gateway.rules.groups import GroupMessages
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.saves_in_flight import SavesInFlight
from gobelieve.interfaces import (
    Entries,
    Group,
    Groups,
    Routing,
    SuperGroupQueues,
    World,
)
from gobelieve.names import AckStatus, User
from gobelieve.wire import client

USERS_PER_TURN = 5000
"""Users outside the group who are notified per turn of the event loop."""


class GroupPosts:
    """Posts to groups. `groups` is None where the site has none."""

    def __init__(
        self,
        *,
        world: World,
        groups: Groups | None,
        queues: SuperGroupQueues,
        fan_out: FanOut,
        group_messages: GroupMessages,
        members_here: GroupMembersHere,
        routing: Routing,
        sessions: Sessions,
        saves_in_flight: SavesInFlight,
    ) -> None:
        self._groups = groups
        self._queues = queues
        self._fan_out = fan_out
        self.group_messages = group_messages
        self._members_here = members_here
        self._routing = routing
        self._sessions = sessions
        self.saves_in_flight = saves_in_flight
        self._time = world.time
        self.counters = world.counters
        self._number = 0

    async def find(self, appid: int, group_id: int) -> Group | None:
        """Return the group, or None if this app has no such group.

        Raises `StorageError` if the group cannot be looked up now.
        """
        if self._groups is None:
            return None
        group = self._groups.loaded(group_id)
        if group is None:
            try:
                group = await self._groups.find(group_id)
            except BackendError as why:
                self.counters.add("groups_not_found_out")
                raise StorageError(AckStatus.GROUPS_AWAY, str(why)) from None
        return group if group is not None and group.appid == appid else None

    def message(self, group: Group, sender: int, content: bytes, posted: PostDone) -> None:
        """Send a GROUP_IM to all members, in the name of a user of the group's app."""
        # Clients use no numbers below 0. With a number of its own each message differs from all
        # others, and the fan-out can tell whether a queue has it.
        self._number = self._number % 0x7FFFFFFF + 1
        im = client.GroupIM(
            sender=sender,
            receiver=group.id,
            timestamp=int(self._time.seconds()),
            msgid=-self._number,
            content=content,
        )
        cmd, body = im.number, im.encode()
        self.saves_in_flight.begun(None)
        if group.super:
            post = _SuperGroupMessage(self, posted, group, sender, body)
            self._queues.save_to_group(cmd, body, 0, group.appid, group.id, post)
        else:
            user, members = User(group.appid, sender), tuple(group.members)
            self._fan_out.send(user, group.id, cmd, body, members, _Post(self, posted))

    def notification(
        self,
        appid: int,
        group_id: int,
        group: Group | None,
        is_super: bool,
        others: Sequence[int],
        content: bytes,
        posted: PostDone,
    ) -> None:
        """Send a GROUP_NOTIFICATION to the members and to others. Phones get no push.

        `group` is None if the group does not exist, or no longer. Then `is_super` tells its kind.
        """
        cmd = client.GroupNotification.number
        self.saves_in_flight.begun(None)
        if is_super if group is None else group.super:
            outside = [uid for uid in dict.fromkeys(others) if group is None or uid not in group]
            post = _SuperGroupNotification(self, posted, appid, group_id, group, outside)
            self._queues.save_to_group(cmd, content, 0, appid, group_id, post)
        else:
            uids = tuple(dict.fromkeys([*(group.members if group else ()), *others]))
            user = User(appid, 0)
            self._fan_out.send(user, group_id, cmd, content, uids, _Post(self, posted))

    def notify(
        self, appid: int, group_id: int, group: Group | None, outside: Sequence[int], key: int
    ) -> None:
        """Notify members of a super group, and users outside it, of a message in its queue."""
        cmd = client.SyncGroupNotify.number
        body = client.SyncGroupNotify(group_id=group_id, sync_key=key).encode()
        if group is not None:
            self._routing.publish_group(appid, group_id, cmd, body)
            self._members_here.deliver(
                appid, group_id, lambda session: session.notify_group(group_id, key), key
            )
        self._notify_outside(appid, group_id, key, body, iter(outside))

    def _notify_outside(
        self, appid: int, group_id: int, key: int, body: bytes, uids: Iterator[int]
    ) -> None:
        some = list(islice(uids, USERS_PER_TURN))
        for uid in some:
            user = User(appid, uid)
            for session in self._sessions.of(user):
                session.notify_group(group_id, key)
            self._routing.publish(user, client.SyncGroupNotify.number, body)
        if len(some) == USERS_PER_TURN:
            self._time.callLater(0, self._notify_outside, appid, group_id, key, body, uids)


class _Post:
    """A post that is being stored. In an ordinary group the fan-out delivers it."""

    __slots__ = ("_posted", "_posts")

    def __init__(self, posts: GroupPosts, posted: PostDone) -> None:
        self._posts = posts
        self._posted = posted

    def stored(self, status: int, entries: Entries) -> None:
        """Deliver the post and answer it; see `gobelieve.interfaces.MessageInFlight`."""
        posts = self._posts
        posts.saves_in_flight.ended(None)
        posts.counters.add("messages_not_stored" if status else "messages")
        if not status:
            ((key, prev),) = entries
            self._deliver(key, prev)
        self._posted(status)
        posts.saves_in_flight.settled()

    def _deliver(self, key: int, prev: int) -> None:
        """Deliver the post, which is in the queue of a super group under the id `key`."""


class _SuperGroupMessage(_Post):
    """A GROUP_IM to a super group."""

    __slots__ = ("_body", "_group", "_sender")

    def __init__(
        self, posts: GroupPosts, posted: PostDone, group: Group, sender: int, body: bytes
    ) -> None:
        super().__init__(posts, posted)
        self._group = group
        self._sender = sender
        self._body = body

    def _deliver(self, key: int, prev: int) -> None:
        group_messages = self._posts.group_messages
        group_messages.deliver(self._group, self._sender, self._body, key, prev, None)


class _SuperGroupNotification(_Post):
    """A GROUP_NOTIFICATION to a super group, and to users outside it."""

    __slots__ = ("_appid", "_group", "_group_id", "_outside")

    def __init__(
        self,
        posts: GroupPosts,
        posted: PostDone,
        appid: int,
        group_id: int,
        group: Group | None,
        outside: Sequence[int],
    ) -> None:
        super().__init__(posts, posted)
        self._appid = appid
        self._group_id = group_id
        self._group = group
        self._outside = outside

    def _deliver(self, key: int, prev: int) -> None:
        self._posts.notify(self._appid, self._group_id, self._group, self._outside, key)

"""The links to all routers: they find the router that a user, room or super group belongs to."""

from collections.abc import Callable, Collection, Iterable, Sequence

from gobelieve.interfaces import Members, Subscriber, World
from gobelieve.names import Room, User, shard
from gobelieve.protocols.router.link import Missed, RouteLink
from gobelieve.protocols.router.pending_subscriptions import (
    HeldRooms,
    HeldUsers,
    Owns,
    PendingSubscriptions,
    owns_all,
    owns_none,
)
from gobelieve.routing.pushes.batches import PushBatches

UsersMissed = Callable[[Iterable[User]], None]
"""Called with users whose publications may be lost, since a router was away."""
GroupsMissed = Callable[[Owns], None]
"""Called when the publications of super groups may be lost; the argument says of which ones."""


class RoutePool:
    """`gobelieve.interfaces.Routing` over all routers.

    A user or a room belongs to router ``|id| mod n``. A super group belongs to router ``|id| mod
    m`` of the routers for groups, or of all routers if there are none for groups. Publications go
    through that router.

    A router that is asked for the pushes of a group must know which users are online. So users are
    also reported to all routers that have groups.
    """

    def __init__(
        self, addresses: Sequence[str], group_addresses: Sequence[str], world: World
    ) -> None:
        self._users = [RouteLink(address, world) for address in addresses]
        self._groups = [RouteLink(address, world) for address in group_addresses]
        self.links = [*self._users, *self._groups]
        if not self._groups:
            self._groups = self._users
        self._reported_to = [
            (own, *(link for link in self._groups if link is not own)) for own in self._users
        ]
        """By the shard of a user: the links over which they are reported, their own one first."""
        self._count = len(self._users)
        self._push_batches = PushBatches(self.push, world)

    def attach(
        self,
        held: HeldUsers,
        in_rooms: HeldRooms,
        subscriber: Subscriber,
        *,
        users_missed: UsersMissed,
        groups_missed: GroupsMissed = lambda owns: None,
    ) -> None:
        """Take the parts that the links work for. This must happen before the first connection."""
        for index, link in enumerate(self.links):
            owns_user: Owns = owns_none
            owns_group: Owns = owns_none
            if link in self._users:
                owns_user = _owns_shard(index, self._count)
            if link in self._groups:
                owns_group = _owns_shard(self._groups.index(link), len(self._groups))
            pending = PendingSubscriptions(
                held,
                in_rooms,
                owns_user=owns_all if link in self._groups else owns_user,
                owns_room=owns_user,
            )
            missed = _missed(held, owns_user, owns_group, users_missed, groups_missed)
            link.attach(pending, subscriber, missed)

    # --- see `gobelieve.interfaces.Routing`

    def subscribe(self, user: User, online: bool) -> None:
        for link in self._reported_to[abs(user.uid) % self._count]:
            link.subscriptions.subscribe(user, online)

    def unsubscribe(self, user: User) -> None:
        for link in self._reported_to[abs(user.uid) % self._count]:
            link.subscriptions.unsubscribe(user)

    def subscribe_room(self, room: Room) -> None:
        self._users[shard(room.room_id, self._count)].subscriptions.subscribe_room(room)

    def unsubscribe_room(self, room: Room) -> None:
        self._users[shard(room.room_id, self._count)].subscriptions.unsubscribe_room(room)

    def when_known(self, user: User, known: Callable[[], None]) -> None:
        # Only the user's own router matters, since publications go through it.
        self._users[shard(user.uid, self._count)].subscriptions.when_known(known, user)

    def when_room_known(self, room: Room, known: Callable[[], None]) -> None:
        self._users[shard(room.room_id, self._count)].subscriptions.when_known(known)

    def publish(
        self, user: User, cmd: int, body: bytes, flag: int = 0, msgid: int = 0, prev: int = 0
    ) -> None:
        self._users[abs(user.uid) % self._count].publish(user, cmd, body, flag, msgid, prev)

    def publish_group(
        self,
        appid: int,
        group_id: int,
        cmd: int,
        body: bytes,
        flag: int = 0,
        msgid: int = 0,
        prev: int = 0,
    ) -> None:
        link = self._groups[shard(group_id, len(self._groups))]
        link.publish_group((appid, group_id), cmd, body, flag, msgid, prev)

    def publish_room(self, room: Room, cmd: int, body: bytes, flag: int = 0) -> None:
        self._users[shard(room.room_id, self._count)].publish_room(room, cmd, body, flag)

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        if len(receivers) == 1:
            self._users[abs(receivers[0]) % self._count].push(appid, receivers, cmd, body)
            return
        by_link: dict[int, list[int]] = {}
        for uid in receivers:
            by_link.setdefault(abs(uid) % self._count, []).append(uid)
        for index, some in by_link.items():
            self._users[index].push(appid, some, cmd, body)

    def push_group(
        self, appid: int, group_id: int, members: Members, sender: int, cmd: int, body: bytes
    ) -> None:
        link = self._groups[shard(group_id, len(self._groups))]
        if link.decides_group_pushes:
            link.ask_for_pushes((appid, group_id), cmd, body)
        else:
            self._push_batches.begin(appid, members, sender, cmd, body)


def _owns_shard(index: int, count: int) -> Owns:
    if count == 1:
        return owns_all

    def owns(id_: int) -> bool:
        return abs(id_) % count == index

    return owns


def _missed(
    held: HeldUsers,
    owns_user: Owns,
    owns_group: Owns,
    users_missed: UsersMissed,
    groups_missed: GroupsMissed,
) -> Missed:
    def missed(users: Collection[User] | None) -> None:
        if users is not None:
            users_missed(users)
            return
        if owns_user is not owns_none:
            users_missed([user for user in held.users() if owns_user(user.uid)])
        if owns_group is not owns_none:
            groups_missed(owns_group)

    return missed

"""All routers as one: which user, room and group belongs to which."""

from collections.abc import Callable, Collection, Iterable, Sequence

from gobelieve.interfaces import Members, Subscriber, Time, Turn
from gobelieve.metrics import Counters
from gobelieve.names import Room, User, shard
from gobelieve.protocols.router.link import RouteLink
from gobelieve.protocols.router.pending_subscriptions import (
    HeldRooms,
    HeldUsers,
    Mine,
    PendingSubscriptions,
    everybody,
    nobody,
)
from gobelieve.routing.push_batches import PushBatches
from gobelieve.wire import route

UsersMissed = Callable[[Iterable[User]], None]
"""Told of the users whose publications may have got lost while a router was away."""
GroupsMissed = Callable[[Mine], None]
"""The same for super groups: told which ids belong to the router."""


class RoutePool:
    """`Routing` over all routers.

    A user and a room belong to the one at ``|id| mod n``, a super group to the one at ``|id| mod
    m`` of the routers for groups, or of the same if there are none of these. That one carries
    what is published. So that every router that may be asked for a group's pushes knows who is
    online, users are also said to all routers that carry groups.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        group_addresses: Sequence[str],
        turn: Turn,
        time: Time,
        counters: Counters,
    ) -> None:
        self._users = [RouteLink(address, turn, time, counters) for address in addresses]
        self._groups = [RouteLink(address, turn, time, counters) for address in group_addresses]
        self.links = [*self._users, *self._groups]
        if not self._groups:
            self._groups = self._users
        # Whom a user is said to, by the user's shard: the own router first.
        self._told = [
            (own, *(link for link in self._groups if link is not own)) for own in self._users
        ]
        self._count = len(self._users)
        self._push_batches = PushBatches(self.push, time, counters)

    def attach(
        self,
        held: HeldUsers,
        in_rooms: HeldRooms,
        subscriber: Subscriber,
        users_missed: UsersMissed,
        groups_missed: GroupsMissed = lambda mine: None,
    ) -> None:
        """Who is here, who is told what comes and what did not; before the first connection."""
        for index, link in enumerate(self.links):
            of_users = _belonging(index, self._count) if link in self._users else nobody
            of_groups: Mine = nobody
            if link in self._groups:
                of_groups = _belonging(self._groups.index(link), len(self._groups))

            def missed(
                users: Collection[User] | None,
                of_users: Mine = of_users,
                of_groups: Mine = of_groups,
            ) -> None:
                if users is not None:
                    users_missed(users)
                    return
                if of_users is not nobody:
                    users_missed([user for user in held.users() if of_users(user.uid)])
                if of_groups is not nobody:
                    groups_missed(of_groups)

            told = everybody if link in self._groups else of_users
            link.attach(PendingSubscriptions(held, in_rooms, told, of_users), subscriber, missed)

    # --- see `gobelieve.interfaces.Routing`

    def subscribe(self, user: User, online: bool) -> None:
        for link in self._told[abs(user.uid) % self._count]:
            link.subscriptions.subscribe(user, online)

    def unsubscribe(self, user: User) -> None:
        for link in self._told[abs(user.uid) % self._count]:
            link.subscriptions.unsubscribe(user)

    def subscribe_room(self, room: Room) -> None:
        self._users[shard(room.room_id, self._count)].subscriptions.room(route.SUBSCRIBE_ROOM, room)

    def unsubscribe_room(self, room: Room) -> None:
        self._users[shard(room.room_id, self._count)].subscriptions.room(
            route.UNSUBSCRIBE_ROOM, room
        )

    def when_known(self, user: User, known: Callable[[], None]) -> None:
        # Not by all that were told: the user's own router carries what is published.
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


def _belonging(index: int, count: int) -> Mine:
    if count == 1:
        return everybody

    def mine(id_: int) -> bool:
        return abs(id_) % count == index

    return mine

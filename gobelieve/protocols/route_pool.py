"""All routers as one: which user belongs to which."""

from collections.abc import Iterable, Sequence

from gobelieve.interfaces import Published, Time, Turn
from gobelieve.metrics import Tally
from gobelieve.names import User, shard
from gobelieve.protocols.route_link import Held, Missed, RouteLink


class RoutePool:
    """`Routing` over all routers: a user belongs to the one at ``|uid| mod n``."""

    def __init__(self, addresses: Sequence[str], turn: Turn, time: Time, tally: Tally) -> None:
        self.links = [
            RouteLink(
                address,
                turn,
                time,
                tally,
                lambda index=index: self._held_by(index),  # type: ignore[misc]
                lambda *publication: self._published(*publication),
                lambda users: self._missed(users),
            )
            for index, address in enumerate(addresses)
        ]
        self._held: Held = lambda: ()
        self._published: Published = lambda *publication: None
        self._missed: Missed = lambda users: None

    def attach(self, held: Held, published: Published, missed: Missed) -> None:
        """Who is here, who is told what comes and what did not; before the first connection."""
        self._held = held
        self._published = published
        self._missed = missed

    def _held_by(self, index: int) -> Iterable[tuple[User, bool]]:
        count = len(self.links)
        return ((user, on) for user, on in self._held() if shard(user.uid, count) == index)

    def _link(self, user: User) -> RouteLink:
        return self.links[shard(user.uid, len(self.links))]

    def subscribe(self, user: User, online: bool) -> None:
        """See `gobelieve.interfaces.Routing`."""
        self._link(user).subscribe(user, online)

    def unsubscribe(self, user: User) -> None:
        """See `gobelieve.interfaces.Routing`."""
        self._link(user).unsubscribe(user)

    def publish(
        self, user: User, cmd: int, body: bytes, flag: int = 0, msgid: int = 0, prev: int = 0
    ) -> None:
        """See `gobelieve.interfaces.Routing`."""
        self._link(user).publish(user, cmd, body, flag, msgid, prev)

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        """See `gobelieve.interfaces.Routing`."""
        by_link: dict[int, list[int]] = {}
        for uid in receivers:
            by_link.setdefault(shard(uid, len(self.links)), []).append(uid)
        for index, some in by_link.items():
            self.links[index].push(appid, some, cmd, body)

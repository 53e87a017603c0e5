"""The routing table: the users and rooms that each link holds.

A link is only a key here. An id is (appid, uid) of a user or (appid, number) of a room.
"""

from collections.abc import Iterable, Set
from typing import Generic, TypeVar

L = TypeVar("L")
Id = tuple[int, int]


class _Index(Generic[L]):
    """The ids of each link, and the links of each id.

    The holders of an id are a tuple, so that a link may go while they are iterated. Nearly every
    user is at one gateway. To save memory, all ids that one link alone holds share one tuple.
    """

    __slots__ = ("_alone", "_held", "holders")

    def __init__(self) -> None:
        self.holders: dict[Id, tuple[L, ...]] = {}
        self._held: dict[L, set[Id]] = {}
        self._alone: dict[L, tuple[L, ...]] = {}

    def open(self, link: L) -> None:
        self._held[link] = set()
        self._alone[link] = (link,)

    def close(self, link: L) -> set[Id]:
        alone, holders = self._alone.pop(link), self.holders
        held = self._held.pop(link)
        for id_ in held:
            if holders[id_] is alone:
                del holders[id_]
            else:
                self._leave(link, id_)
        return held

    def add(self, link: L, id_: Id) -> None:
        held = self._held[link]
        if id_ not in held:
            held.add(id_)
            others = self.holders.get(id_)
            self.holders[id_] = (*others, link) if others else self._alone[link]

    def discard(self, link: L, id_: Id) -> None:
        held = self._held[link]
        if id_ in held:
            held.discard(id_)
            self._leave(link, id_)

    def count(self, link: L) -> int:
        return len(self._held[link])

    def _leave(self, link: L, id_: Id) -> None:
        holders = self.holders[id_]
        rest = tuple(other for other in holders if other is not link)
        if not rest:
            del self.holders[id_]
        else:
            self.holders[id_] = self._alone[rest[0]] if len(rest) == 1 else rest


class Table(Generic[L]):
    """The routing table. No look-up grows with the number of links or users.

    A link adds and removes its own entries. They are not counted: after two subscriptions of a
    user, one unsubscription removes the entry. Gateways count their sessions themselves.
    A link that is closed takes its entries along, in time proportional to their number.
    """

    __slots__ = ("_online", "_rooms", "_users", "links")

    def __init__(self) -> None:
        self.links: tuple[L, ...] = ()
        self._users: _Index[L] = _Index()
        self._online: _Index[L] = _Index()
        self._rooms: _Index[L] = _Index()

    def open(self, link: L) -> None:
        """Add a link, which holds no users yet."""
        for index in (self._users, self._online, self._rooms):
            index.open(link)
        self.links = (*self.links, link)

    def close(self, link: L) -> Set[Id]:
        """Remove a link with its entries. Return the users that it held as online.

        A link that is not open is ignored.
        """
        if link not in self.links:
            return frozenset()
        self.links = tuple(other for other in self.links if other is not link)
        self._users.close(link)
        self._rooms.close(link)
        return self._online.close(link)

    def subscribe(self, link: L, user: Id, online: bool) -> None:
        """Note that the link holds the user; the last value of `online` counts."""
        self._users.add(link, user)
        if online:
            self._online.add(link, user)
        else:
            self._online.discard(link, user)

    def unsubscribe(self, link: L, user: Id) -> None:
        """Note that the link no longer holds the user."""
        self._users.discard(link, user)
        self._online.discard(link, user)

    def subscribe_room(self, link: L, room: Id) -> None:
        """Note that the link holds the room."""
        self._rooms.add(link, room)

    def unsubscribe_room(self, link: L, room: Id) -> None:
        """Note that the link no longer holds the room."""
        self._rooms.discard(link, room)

    def holders(self, user: Id) -> tuple[L, ...]:
        """Return the links that hold the user, online or not."""
        return self._users.holders.get(user, ())

    def is_online(self, user: Id) -> bool:
        """Return True if any link holds the user as online."""
        return user in self._online.holders

    def offline(self, appid: int, uids: Iterable[int]) -> list[int]:
        """Return those of the users who are online nowhere, in order."""
        online = self._online.holders
        return [uid for uid in uids if (appid, uid) not in online]

    def holders_of_room(self, room: Id) -> tuple[L, ...]:
        """Return the links that hold the room."""
        return self._rooms.holders.get(room, ())

    def __len__(self) -> int:
        """Return the number of users that are held."""
        return len(self._users.holders)

    def everyone(self) -> tuple[Id, ...]:
        """Return all users that are held; a million take 10 to 30 ms."""
        return tuple(self._users.holders)

    @property
    def rooms(self) -> int:
        """The number of rooms that are held."""
        return len(self._rooms.holders)

    def held_by(self, link: L) -> tuple[int, int]:
        """Return the number of users and the number of rooms that an open link holds."""
        return self._users.count(link), self._rooms.count(link)

"""Of which users and rooms a router has still to be told.

All, when it is back; and those of whom it could not be told because it did not read. Kept is only
whom it concerns: what is said is what is so at that moment. So nothing that is said late can cross
what was said since, and however often a user comes and goes meanwhile, it costs one place.
"""

from collections.abc import Callable, Collection
from struct import Struct
from typing import Protocol

from gobelieve.names import Room, User
from gobelieve.wire import route

SUBSCRIBE = Struct(">iiBBBBqqb")
ID = Struct(">iiBBBBqq")


class HeldUsers(Protocol):
    """Who is at this gateway."""

    def users(self) -> Collection[User]:
        """Everybody; not walked along later than at once."""

    def online(self, user: User) -> bool | None:
        """Whether the user is online; None for one who is not here."""


class HeldRooms(Protocol):
    """Where somebody of this gateway is in."""

    def rooms(self) -> Collection[Room]:
        """Every such room; not walked along later than at once."""

    def __contains__(self, room: Room) -> bool:
        """Whether it is such a room."""


Mine = Callable[[int], bool]
"""Whether an id belongs to this router."""


def everybody(id_: int) -> bool:
    """All ids do."""
    return True


def nobody(id_: int) -> bool:
    """None does."""
    return False


class PendingSubscriptions:
    """For one router, to which belong the users and rooms that `my_users` and `my_rooms` say."""

    def __init__(
        self, held: HeldUsers, in_rooms: HeldRooms, my_users: Mine, my_rooms: Mine
    ) -> None:
        self._held = held
        self._in_rooms = in_rooms
        self._my_users = my_users
        self._my_rooms = my_rooms
        # Dicts, of which one can be taken at no cost; their order means nothing.
        self.users: dict[User, None] = {}
        self.rooms: dict[Room, None] = {}

    def __len__(self) -> int:
        """Of how many."""
        return len(self.users) + len(self.rooms)

    def clear(self) -> None:
        """Nobody has to be told of anything."""
        self.users = {}
        self.rooms = {}

    def add_all(self) -> None:
        """It has to be told of everything."""
        users, mine = self._held.users(), self._my_users
        if mine is everybody:
            self.users = dict.fromkeys(users)
        else:
            self.users = {user: None for user in users if mine(user.uid)}
        rooms, mine = self._in_rooms.rooms(), self._my_rooms
        self.rooms = {room: None for room in rooms if mine(room.room_id)}

    def take(self, count: int, next_seq: Callable[[], int]) -> bytes:
        """The frames that tell of up to so many of them."""
        frames: list[bytes] = []
        users, online = self.users, self._held.online
        pack, version = SUBSCRIBE.pack, route.OUTER_VERSION
        for _ in range(min(count, len(users))):
            user, _ = users.popitem()
            on = online(user)
            if on is None:
                frames.append(id_frame(route.UNSUBSCRIBE, next_seq(), user))
            else:
                frames.append(pack(17, next_seq(), route.SUBSCRIBE, version, 0, 0, *user, on))
        for _ in range(min(count - len(frames), len(self.rooms))):
            room, _ = self.rooms.popitem()
            inside = room in self._in_rooms
            cmd = route.SUBSCRIBE_ROOM if inside else route.UNSUBSCRIBE_ROOM
            frames.append(id_frame(cmd, next_seq(), room))
        return b"".join(frames)


def id_frame(cmd: int, seq: int, id_: User | Room) -> bytes:
    """The frame of a command whose body is an id within an application."""
    return ID.pack(16, seq, cmd, route.OUTER_VERSION, 0, 0, *id_)

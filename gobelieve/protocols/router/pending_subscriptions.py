"""The users and rooms that a router must still be told about.

After a new connection these are all users and rooms. Later they are those that could not be sent
because the router did not read. Only their ids are kept, and their state is looked up when they are
sent. So a late frame never contradicts a newer one, and a user who comes and goes takes one place.
"""

from collections.abc import Callable, Collection
from struct import Struct
from typing import Protocol

from gobelieve.names import Room, User
from gobelieve.wire import route

SUBSCRIBE = Struct(">iiBBBBqqb")
ID = Struct(">iiBBBBqq")


class HeldUsers(Protocol):
    """The users that this gateway has."""

    def users(self) -> Collection[User]:
        """Return all users. The collection may change after the call."""

    def online(self, user: User) -> bool | None:
        """Return whether the user is online, or None if this gateway does not have them."""


class HeldRooms(Protocol):
    """The rooms in which this gateway has clients."""

    def rooms(self) -> Collection[Room]:
        """Return all rooms. The collection may change after the call."""

    def __contains__(self, room: Room) -> bool:
        """Return whether this gateway has a client in the room."""


Owns = Callable[[int], bool]
"""Returns True if an id belongs to the router."""


def owns_all(id_: int) -> bool:
    """Return True: every id belongs to the router."""
    return True


def owns_none(id_: int) -> bool:
    """Return False: no id belongs to the router."""
    return False


class PendingSubscriptions:
    """The pending users and rooms of one router, among those that belong to it."""

    def __init__(
        self, held: HeldUsers, in_rooms: HeldRooms, *, owns_user: Owns, owns_room: Owns
    ) -> None:
        self._held = held
        self._in_rooms = in_rooms
        self._owns_user = owns_user
        self._owns_room = owns_room
        # Dicts, since taking one key out of a dict is cheap. Their order has no meaning.
        self.users: dict[User, None] = {}
        self.rooms: dict[Room, None] = {}

    def __len__(self) -> int:
        """Return the number of users and rooms."""
        return len(self.users) + len(self.rooms)

    def clear(self) -> None:
        """Forget all users and rooms."""
        self.users = {}
        self.rooms = {}

    def add_all(self) -> None:
        """Add all users and rooms that belong to the router."""
        users, owns = self._held.users(), self._owns_user
        if owns is owns_all:
            self.users = dict.fromkeys(users)
        else:
            self.users = {user: None for user in users if owns(user.uid)}
        rooms, owns = self._in_rooms.rooms(), self._owns_room
        self.rooms = {room: None for room in rooms if owns(room.room_id)}

    def take(self, count: int, next_seq: Callable[[], int]) -> bytes:
        """Remove at most `count` users and rooms; return the frames that report their state."""
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
    """Return the frame of a command whose body is an app and an id."""
    return ID.pack(16, seq, cmd, route.OUTER_VERSION, 0, 0, *id_)

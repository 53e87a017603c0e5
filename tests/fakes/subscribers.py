"""A gateway's own side of its links: who is there, and who is told what others publish."""

from gobelieve.errors import BodyError
from gobelieve.names import Room, User

Told = tuple[User, bytes, int, int]


class FakeSubscriber:
    """Keeps what is published. An inner frame ``b"nonsense"`` makes no sense to it."""

    def __init__(self) -> None:
        self.users: list[Told] = []
        self.groups: list[tuple[int, int, bytes, int, int]] = []
        self.rooms: list[tuple[Room, bytes]] = []

    def published_to_user(self, user: User, inner: bytes, msgid: int, prev: int) -> None:
        _check(inner)
        self.users.append((user, inner, msgid, prev))

    def published_to_group(
        self, appid: int, group_id: int, inner: bytes, msgid: int, prev: int
    ) -> None:
        _check(inner)
        self.groups.append((appid, group_id, inner, msgid, prev))

    def published_to_room(self, room: Room, inner: bytes) -> None:
        _check(inner)
        self.rooms.append((room, inner))


def _check(inner: bytes) -> None:
    if inner == b"nonsense":
        raise BodyError("nonsense")


class FakeHeld(dict[User, bool]):
    """Who is here, and whether online."""

    def users(self) -> dict[User, bool]:
        return self

    def online(self, user: User) -> bool | None:
        return self.get(user)


class FakeRooms(set[Room]):
    """The rooms that somebody is in."""

    def rooms(self) -> set[Room]:
        return self

"""The other gateways, by way of the routers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from gobelieve.names import Room, User


class Subscriber(Protocol):
    """Is told what other gateways publish; raises `WireError` for what makes no sense."""

    def published_to_user(self, user: User, inner: bytes, msgid: int, prev: int) -> None:
        """For the user's connections: an inner frame, and its ids in the queue if they came."""

    def published_to_group(
        self, appid: int, group_id: int, inner: bytes, msgid: int, prev: int
    ) -> None:
        """For the members of a super group who are here."""

    def published_to_room(self, room: Room, inner: bytes) -> None:
        """For those in the room."""


Members = Callable[[], Iterable[int]]
"""Gives the members of a group. It is called only if they are needed, and walked along over
several turns: what it gives must not change meanwhile."""


class Routing(Protocol):
    """The other gateways, by way of the routers."""

    def subscribe(self, user: User, online: bool) -> None:
        """This gateway has the user; `online` False if phone pushes are wanted all the same."""

    def unsubscribe(self, user: User) -> None:
        """This gateway has the user no longer."""

    def subscribe_room(self, room: Room) -> None:
        """Somebody here is in the room."""

    def unsubscribe_room(self, room: Room) -> None:
        """Nobody here is any longer."""

    def when_known(self, user: User, known: Callable[[], None]) -> None:
        """Call when what was said of the user is in effect: what others publish to him comes.

        At once if that is so already, or if there is nothing to wait for because the router is
        away; at the latest after a second.
        """

    def when_room_known(self, room: Room, known: Callable[[], None]) -> None:
        """The same for a room."""

    def publish(
        self, user: User, cmd: int, body: bytes, flag: int = 0, msgid: int = 0, prev: int = 0
    ) -> None:
        """To the user's connections at other gateways. With a msgid they add the SYNC_NOTIFY."""

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
        """To the members of a super group at all other gateways. With a msgid they add the
        SYNC_GROUP_NOTIFY."""

    def publish_room(self, room: Room, cmd: int, body: bytes, flag: int = 0) -> None:
        """To those in the room at other gateways."""

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        """Those of the receivers that are online nowhere are to get a phone push."""

    def push_group(
        self, appid: int, group_id: int, members: Members, sender: int, cmd: int, body: bytes
    ) -> None:
        """The same for the members of a super group but the sender."""

"""The other gateways, which are reached through the routers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from gobelieve.names import Room, User


class Subscriber(Protocol):
    """Receives what other gateways publish; raises `WireError` if that is malformed."""

    def published_to_user(self, user: User, inner: bytes, msgid: int, prev: int) -> None:
        """Deliver an inner frame to the user's connections.

        The ids are those in the user's queue, or 0 if they did not come.
        """

    def published_to_group(
        self, appid: int, group_id: int, inner: bytes, msgid: int, prev: int
    ) -> None:
        """Deliver an inner frame to the members of a super group who are connected here."""

    def published_to_room(self, room: Room, inner: bytes) -> None:
        """Deliver an inner frame to the connections in a room."""


Members = Callable[[], Iterable[int]]
"""Returns the members of a group. It is called only if they are needed. They are used over several
turns, so the result must not change meanwhile."""


class Routing(Protocol):
    """The other gateways, which are reached through the routers."""

    def subscribe(self, user: User, online: bool) -> None:
        """Report that this gateway has the user.

        `online` is False if the user wants phone pushes all the same.
        """

    def unsubscribe(self, user: User) -> None:
        """Report that this gateway no longer has the user."""

    def subscribe_room(self, room: Room) -> None:
        """Report that a client of this gateway is in the room."""

    def unsubscribe_room(self, room: Room) -> None:
        """Report that no client of this gateway is in the room any longer."""

    def when_known(self, user: User, known: Callable[[], None]) -> None:
        """Call `known` when the router knows the user, so that publications for them arrive.

        It is called at once if this is so already, or if the router is unreachable. It is called
        after one second at the latest.
        """

    def when_room_known(self, room: Room, known: Callable[[], None]) -> None:
        """Call `known` when the router knows the room; see `when_known`."""

    def publish(
        self, user: User, cmd: int, body: bytes, flag: int = 0, msgid: int = 0, prev: int = 0
    ) -> None:
        """Publish to the user's connections at other gateways.

        With a msgid those gateways add the SYNC_NOTIFY.
        """

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
        """Publish to the members of a super group at all other gateways.

        With a msgid those gateways add the SYNC_GROUP_NOTIFY.
        """

    def publish_room(self, room: Room, cmd: int, body: bytes, flag: int = 0) -> None:
        """Publish to the connections in the room at other gateways."""

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        """Request a phone push for those of the receivers who are online nowhere."""

    def push_group(
        self, appid: int, group_id: int, members: Members, sender: int, cmd: int, body: bytes
    ) -> None:
        """Request a phone push for the members of a super group who are online nowhere.

        The sender gets none.
        """

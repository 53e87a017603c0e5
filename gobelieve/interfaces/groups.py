"""Groups and relations of users, which the app's server keeps, and the announcements of changes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from gobelieve.names import User


def membership(joined: int, muted: bool) -> int:
    """Return the value that `Group.members` has for a member: ``joined << 1 | muted``."""
    return max(0, joined) << 1 | muted


class Group:
    """A group and its members as they are now.

    Events change it in place. So code that waits while it goes through the members needs a copy.
    """

    __slots__ = ("appid", "id", "members", "super")

    def __init__(self, id: int, appid: int, super: bool, members: dict[int, int]) -> None:
        self.id = id
        self.appid = appid
        self.super = super
        """True for a super group: its messages are in one queue of the group, not in its members'
        queues."""
        self.members = members
        """uid -> `membership`. One dict of small numbers: 100,000 members take 12 MB."""

    def __contains__(self, uid: int) -> bool:
        return uid in self.members

    def __len__(self) -> int:
        return len(self.members)

    def joined(self, uid: int) -> int:
        """Return when the member joined, in seconds since 1970; 0 if that is unknown."""
        return self.members.get(uid, 0) >> 1

    def muted(self, uid: int) -> bool:
        """Return True if the member may not speak in this group."""
        return bool(self.members.get(uid, 0) & 1)


class Groups(Protocol):
    """The groups, kept in memory and up to date."""

    def loaded(self, group_id: int) -> Group | None:
        """Return the group if it is in memory. None does not mean that it does not exist."""

    async def find(self, group_id: int) -> Group | None:
        """Return the group; None if it does not exist. `BackendError` if this is unknown now."""

    def super_groups(self) -> Iterable[int]:
        """Return the super groups in memory. They may change during the iteration."""


class GroupStore(Protocol):
    """The database in which the app's server keeps its groups."""

    async def load(self, group_id: int) -> Group | None:
        """Read the group; None if it does not exist. Raises `BackendError` within seconds."""


class NewGroup(NamedTuple):
    """A group that is to be created."""

    appid: int
    master: int
    """The uid of the owner."""
    name: str
    super: bool
    members: Sequence[int]
    """The uids of the members."""
    id: int = 0
    """0: the database chooses the id."""


class GroupCard(NamedTuple):
    """A group as the app's server sees it, without its members."""

    id: int
    appid: int
    master: int
    super: bool
    name: str
    notice: str


class MemberCard(NamedTuple):
    """A member of a group as the app's server sees them."""

    uid: int
    nickname: str
    joined: int
    """In seconds since 1970; 0 if unknown."""
    muted: bool


class GroupAdmin(Protocol):
    """Changes groups in the app's database.

    Each call is one transaction, and is on disk when it returns. It returns the group as it is
    written, or None if the app has no such group. All raise `BackendError`; then the change may be
    written or not, and may be repeated.
    """

    async def create(self, group: NewGroup, now: int) -> GroupCard | None:
        """Create a group; None if the id belongs to another group.

        An existing group with the same id, app, owner, name and kind is taken for the new one, and
        gets the members that it lacks.
        """

    async def disband(self, appid: int, group_id: int) -> tuple[GroupCard, list[int]] | None:
        """Delete a group; returns it and the uids of its members.

        A group that was deleted before is returned without members.
        """

    async def rename(self, appid: int, group_id: int, name: str) -> GroupCard | None:
        """Change the group's name."""

    async def set_notice(self, appid: int, group_id: int, notice: str) -> GroupCard | None:
        """Change the group's notice."""

    async def upgrade(self, appid: int, group_id: int) -> GroupCard | None:
        """Make the group a super group."""

    async def add(
        self, appid: int, group_id: int, uids: Sequence[int], now: int
    ) -> GroupCard | None:
        """Add members who join at `now`. Existing members are not changed."""

    async def remove(self, appid: int, group_id: int, uids: Sequence[int]) -> GroupCard | None:
        """Remove members. Users who are not members are ignored."""

    async def nickname(
        self, appid: int, group_id: int, uid: int, nickname: str
    ) -> tuple[GroupCard, bool] | None:
        """Change a member's name within the group; False if there is no such member."""

    async def mute(
        self, appid: int, group_id: int, uid: int, muted: bool
    ) -> tuple[GroupCard, bool] | None:
        """Forbid a member to speak, or allow it again; False if there is no such member."""

    async def show(
        self, appid: int, group_id: int
    ) -> tuple[GroupCard, Sequence[MemberCard]] | None:
        """Return the group and its members."""


class Change(NamedTuple):
    """A change of a group that is announced to gateways; see `gobelieve.groups.events`."""

    name: str
    group_id: int
    appid: int = 0
    super: bool = False
    uid: int = 0
    muted: bool = False


class Announcer(Protocol):
    """Announces changes of groups to all gateways."""

    async def announce(self, changes: Sequence[Change]) -> None:
        """Announce changes in this order; returns when this gateway has applied them too.

        After a `BackendError` some may not be announced. Announcing again is safe.
        """


class AppSecrets(Protocol):
    """The secrets with which the servers of apps prove their identity."""

    async def of(self, appid: int) -> Sequence[str]:
        """Return the app's secrets; none if there is no such app. Raises `BackendError`."""


# --- relations of users --------------------------------------------------------------------------

MY_FRIEND, YOUR_FRIEND, IN_MY_BLACKLIST, IN_YOUR_BLACKLIST = 1, 2, 4, 8
"""The bits of a *relation*, as one of two users sees it: the other is my friend; I am the other's;
the other is in my blacklist; I am in the other's."""


def mirrored(relation: int) -> int:
    """Return the relation as the other user sees it."""
    return (relation & 0b0101) << 1 | (relation & 0b1010) >> 1


class Relations(Protocol):
    """The relations of users within their app, kept in memory and up to date."""

    def loaded(self, user: User, peer: int) -> int | None:
        """Return the relation of the user to the peer if it is in memory. None means unknown."""

    async def find(self, user: User, peer: int) -> int:
        """Return the relation of the user to the peer; `BackendError` if it is unknown now."""


class RelationStore(Protocol):
    """The database in which the app's server keeps friends and blacklists."""

    async def load(self, user: User, peer: int) -> int:
        """Read the relation of the user to the peer. Raises `BackendError` within seconds."""


# --- changes that the app's server announces -----------------------------------------------------


class EventSink(Protocol):
    """Receives the changes that the app's server announces, in the order of their action ids."""

    def published(self, channel: str, content: bytes) -> None:
        """Apply a change that was published to a channel of Redis."""

    def entered(self, fields: Mapping[bytes, bytes]) -> None:
        """Apply a change that was entered in a stream of Redis."""

    def checked(self, action: int) -> None:
        """Note that `action` is the newest action at this place in the order.

        From now on no announcement is late.
        """

    def moved(self, action: int) -> None:
        """Note that something changed without an announcement; `action` is now the newest.

        This is the normal case where changes are not announced (SQLite).
        """

    def interrupted(self) -> None:
        """Note that changes may be late from now on, until `checked` is called."""

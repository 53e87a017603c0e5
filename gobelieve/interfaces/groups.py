"""Groups and relations of users, which the app's server keeps, and how their changes are told."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from gobelieve.names import User


def membership(joined: int, muted: bool) -> int:
    """What `Group.members` has for a member: ``joined << 1 | muted``."""
    return max(0, joined) << 1 | muted


class Group:
    """A group and its members as they are now: events change it in place.

    So whoever waits for something while going through the members goes through a copy.
    """

    __slots__ = ("appid", "id", "members", "super")

    def __init__(self, id: int, appid: int, super: bool, members: dict[int, int]) -> None:
        self.id = id
        self.appid = appid
        self.super = super
        """Whether it has one queue of its own, instead of a place in every member's."""
        self.members = members
        """uid -> `membership`. One dict of small numbers: 100,000 members take 12 MB."""

    def __contains__(self, uid: int) -> bool:
        return uid in self.members

    def __len__(self) -> int:
        return len(self.members)

    def joined(self, uid: int) -> int:
        """When the member joined, in seconds since 1970; 0 if nobody wrote it down."""
        return self.members.get(uid, 0) >> 1

    def muted(self, uid: int) -> bool:
        """Whether the member may not speak here."""
        return bool(self.members.get(uid, 0) & 1)


class Groups(Protocol):
    """The groups, kept in memory and up to date."""

    def loaded(self, group_id: int) -> Group | None:
        """The group if it is at hand; None says nothing about whether there is one."""

    async def find(self, group_id: int) -> Group | None:
        """The group; None if there is none. `BackendError` if that cannot be known now."""

    def super_groups(self) -> Iterable[int]:
        """The super groups that are in memory; they may change while this is walked along."""


class GroupStore(Protocol):
    """Where the app's server keeps its groups."""

    async def load(self, group_id: int) -> Group | None:
        """The group as it is there; None if there is none. Raises `BackendError`, in time."""


class NewGroup(NamedTuple):
    """A group that is to be."""

    appid: int
    master: int
    """Its owner."""
    name: str
    super: bool
    members: Sequence[int]
    """Their uids."""
    id: int = 0
    """0: the database chooses one."""


class GroupCard(NamedTuple):
    """What the app's server knows of a group, beside its members."""

    id: int
    appid: int
    master: int
    super: bool
    name: str
    notice: str


class MemberCard(NamedTuple):
    """The same of a member."""

    uid: int
    nickname: str
    joined: int
    """In seconds since 1970; 0 if nobody wrote it down."""
    muted: bool


class GroupAdmin(Protocol):
    """Writes where the app's groups are kept.

    Each call is one transaction, and is on disk when it returns. It gives the group as it was
    written, or None if the app has no such group. All raise `BackendError`: then it may be done or
    not, and may be asked again.
    """

    async def create(self, group: NewGroup, now: int) -> GroupCard | None:
        """A new group. One with this id that has the same app, owner, name and kind is taken for
        it, and gets the members that it lacks; None if the id is another group's."""

    async def disband(self, appid: int, group_id: int) -> tuple[GroupCard, list[int]] | None:
        """Gone; and all who were members. Also if it was gone already, then nobody was."""

    async def rename(self, appid: int, group_id: int, name: str) -> GroupCard | None:
        """Its name."""

    async def set_notice(self, appid: int, group_id: int, notice: str) -> GroupCard | None:
        """Its announcement."""

    async def upgrade(self, appid: int, group_id: int) -> GroupCard | None:
        """From now on a super group."""

    async def add(
        self, appid: int, group_id: int, uids: Sequence[int], now: int
    ) -> GroupCard | None:
        """Who is a member already stays as he is."""

    async def remove(self, appid: int, group_id: int, uids: Sequence[int]) -> GroupCard | None:
        """Who is none stays none."""

    async def nickname(
        self, appid: int, group_id: int, uid: int, nickname: str
    ) -> tuple[GroupCard, bool] | None:
        """A member's name; False if there is no such member."""

    async def mute(
        self, appid: int, group_id: int, uid: int, muted: bool
    ) -> tuple[GroupCard, bool] | None:
        """Whether a member may not speak; False if there is no such member."""

    async def show(
        self, appid: int, group_id: int
    ) -> tuple[GroupCard, Sequence[MemberCard]] | None:
        """The group and its members."""


class Change(NamedTuple):
    """A change of a group that gateways are to hear of; see `gobelieve.groups.events`."""

    name: str
    group_id: int
    appid: int = 0
    super: bool = False
    uid: int = 0
    muted: bool = False


class Announcer(Protocol):
    """Tells all gateways of changes of groups."""

    async def announce(self, changes: Sequence[Change]) -> None:
        """In this order; returns when this gateway knows too. `BackendError`: some may not have
        been announced. Announcing again does no harm."""


class AppSecrets(Protocol):
    """By what the app's server proves who it is."""

    async def of(self, appid: int) -> Sequence[str]:
        """The app's secrets; none if there is no such app. `BackendError`."""


# --- relations of users --------------------------------------------------------------------------

MY_FRIEND, YOUR_FRIEND, IN_MY_BLACKLIST, IN_YOUR_BLACKLIST = 1, 2, 4, 8
"""The bits of a *relation*, as one of two users sees it: the other is my friend; I am the other's;
the other is in my blacklist; I am in the other's."""


def mirrored(relation: int) -> int:
    """The relation as the other user sees it."""
    return (relation & 0b0101) << 1 | (relation & 0b1010) >> 1


class Relations(Protocol):
    """The relations of users within their app, kept in memory and up to date."""

    def loaded(self, user: User, peer: int) -> int | None:
        """What the peer is to the user, if that is at hand; None says nothing."""

    async def find(self, user: User, peer: int) -> int:
        """What the peer is to the user. `BackendError` if that cannot be known now."""


class RelationStore(Protocol):
    """Where the app's server keeps friends and blacklists."""

    async def load(self, user: User, peer: int) -> int:
        """The relation as it is there. Raises `BackendError`, in time."""


# --- changes that the app's server announces -----------------------------------------------------


class EventSink(Protocol):
    """Takes the changes that the app's server announces, in the order of their action ids."""

    def published(self, channel: str, content: bytes) -> None:
        """A change, as it is published to a channel of Redis."""

    def entered(self, fields: Mapping[bytes, bytes]) -> None:
        """A change, as it is entered in a stream of Redis."""

    def checked(self, action: int) -> None:
        """At this place in the order the newest action is this one. From now on, nothing that is
        announced is late."""

    def moved(self, action: int) -> None:
        """Something changed that is not announced, as is usual where this is called; the newest
        action is this one now."""

    def interrupted(self) -> None:
        """From now on, until `checked`, changes may be late."""

"""What the cores need of the world, each as a small `typing.Protocol`.

The cores (``storage``, ``routing``, ``gateway``) are given these; ``protocols`` and ``backends``
implement them by real means, ``tests/fakes`` in memory. Methods that are ``async`` may take their
time and raise `BackendError` (Redis, SQL) or `StorageError`; all others return at once and never
raise for what the other side does.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from gobelieve.errors import WireError
from gobelieve.names import Room, User
from gobelieve.wire.storage import StoredMessage

T = TypeVar("T")
R = TypeVar("R")


class Cancellable(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Do not make it. An error if it was made already."""

    def active(self) -> bool:
        """Whether it is still to be made."""


class Time(Protocol):
    """The clock and its timers: Twisted's reactor, or `twisted.internet.task.Clock` in tests."""

    def seconds(self) -> float:
        """Seconds since the epoch."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Cancellable:
        """Make a call after so many seconds."""


class Turn(Protocol):
    """The present turn of the event loop: one batch of events."""

    def at_end(self, call: Callable[[], None]) -> None:
        """Make a call once all events of this turn are handled; in the order they were asked."""


InThread = Callable[[Callable[[], None], Callable[[BaseException | None], None]], None]
"""``in_thread(work, done)`` runs `work` where it may block; `done` is called in the event loop,
later, with what it raised or None."""


class Tasks(Protocol):
    """Runs coroutines."""

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin now, go on whenever what it waits for is there. An exception is logged."""


class Log(Protocol):
    """Where the cores say what happened: `twisted.logger.Logger` has these."""

    def debug(self, format: str, **fields: object) -> None:
        """For whoever looks for something."""

    def info(self, format: str, **fields: object) -> None:
        """What an operator wants to know."""

    def warn(self, format: str, **fields: object) -> None:
        """What the world did wrong."""

    def error(self, format: str, **fields: object) -> None:
        """What an operator has to look at."""


# --- who may log in, and what is known of users -------------------------------------------------


class Identity(NamedTuple):
    """Whom a token stands for, and what that user has set."""

    user: User
    forbidden: bool
    """May not speak in rooms."""
    notification_on: bool
    """Wants phone pushes even while connected from a desktop or a browser."""


class Tokens(Protocol):
    """Login tokens."""

    async def find(self, token: str) -> Identity | None:
        """Whom the token stands for; None if it is unknown or malformed in the store."""


class Settings(NamedTuple):
    """What a user has set, or was set: the same as in `Identity`."""

    forbidden: bool
    notification_on: bool


class Preferences(Protocol):
    """The settings of users, where the token does not bring them."""

    async def of(self, user: User) -> Settings:
        """A user's; all False for one that is not known."""


class TokenDetails(NamedTuple):
    """What an operator is shown of a token."""

    identity: Identity
    name: str
    """The user's name as pushes show it; "" if none is known."""


class TokenAdmin(Protocol):
    """Making, showing and ending tokens."""

    async def create(self, user: User, token: str, name: str) -> None:
        """From now on this token logs this user in; `name` is shown in pushes."""

    async def revoke(self, token: str) -> bool:
        """From now on it does not. False if it did not before."""

    async def describe(self, token: str) -> TokenDetails | None:
        """Whom it logs in; None if nobody."""


class Conversation(NamedTuple):
    """What a phone may ring for."""

    peer: int
    """The other user; 0 if it is a group."""
    group_id: int


class UserAdmin(Protocol):
    """What the app's server decides about users, beside their groups. All raise `BackendError`;
    all may be asked again."""

    async def grant(self, user: User, new: str, name: str | None) -> str:
        """The user's token: the one that was granted last if it is still good, else `new`, which
        is good from now on. The name, if there is one, is shown in pushes."""

    async def revoke_all(self, user: User) -> bool:
        """No token that is known to be the user's is good any longer. False if none was."""

    async def sessions_ended(self, user: User) -> None:
        """Tell all gateways that the user's connections are to end."""

    async def rename(self, user: User, name: str) -> None:
        """The name that is shown in pushes."""

    async def forbid(self, user: User, forbidden: bool) -> None:
        """Whether the user may not speak in rooms; all gateways are told."""

    async def mute(self, user: User, muted: bool) -> None:
        """Whether the phone is silent while a desktop or a browser is connected. Counts from the
        next login on."""

    async def disturb(self, user: User, conversation: Conversation, wanted: bool) -> None:
        """Whether the phone rings for a conversation."""

    async def forget_group_keys(self, appid: int, group_id: int, uids: Sequence[int]) -> None:
        """These begin to read a super group's queue anew."""


class DeviceNumbers(Protocol):
    """Small integers for devices, by which storage remembers where a message was written."""

    async def number(self, device_id: str, platform: int) -> int:
        """The number of this device, 1 and up; a new one at first sight. Never two for one."""


class SyncKeys(Protocol[R]):
    """How far each reader of a queue has read; only asked for by clients that come with key 0.

    A reader is a `User`, of the own queue, or a `GroupReader`.
    """

    async def load(self, reader: R) -> int:
        """The key kept for the reader, 0 if there is none."""

    async def advance(self, keys: Mapping[R, int]) -> None:
        """Keep these keys, each only if it is larger than what is kept."""

    async def lower(self, reader: R, key: int) -> None:
        """Keep this key if what is kept is larger: storage has nothing beyond it."""


class Seen(NamedTuple):
    """That a user logged in on a day."""

    appid: int
    uid: int
    day: int
    """`datetime.date.toordinal`, of the local date."""


class DailyUsers(Protocol):
    """How many users each app has a day."""

    async def add(self, seen: Iterable[Seen]) -> None:
        """Count these; one who is counted already changes nothing."""


class UnreadCounts(Protocol):
    """The badge that the user's app shows."""

    async def set(self, counts: Mapping[User, int]) -> None:
        """Keep these numbers."""


class PushQueues(Protocol):
    """The lists from which the push workers take."""

    async def append(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Append (list name, JSON) in order, all in one go."""


# --- messages of ordinary groups, until all members have them ------------------------------------


class PendingMessage(NamedTuple):
    """A message that goes into the queue of each member of a group."""

    appid: int
    group_id: int
    sender: int
    device: int
    cmd: int
    body: bytes
    """As it is stored."""
    members: tuple[int, ...]
    """Who gets it: the members when it was sent, its sender among them."""
    known: tuple[int, ...]
    """For each storage, an id that all ids it gave to the message are beyond."""


class PendingMessages(Protocol):
    """Remembers such messages over a restart or a crash of the gateway."""

    def keep(self, message: PendingMessage, kept: Callable[[int], None]) -> None:
        """`kept(number)` is called once it is on disk, later; with 0 if it could not be kept."""

    def part_done(self, number: int, part: int) -> None:
        """One part of its members has it. Written soon; nobody is told."""

    def finished(self, number: int) -> None:
        """All have it: forget it."""


# --- storage, as the gateway sees it --------------------------------------------------------------

Entries = Sequence[tuple[int, int]]
"""For each queue of a save (msgid, previous msgid of the queue); (0, 0) where it was not stored."""


class Page(NamedTuple):
    """Messages of one queue, oldest first."""

    last: int
    """The id up to which the page reaches; 0 for an empty queue."""
    newest: int
    """The newest id in the queue; 0 for an empty queue."""
    more: bool
    """Whether there are messages after `last`."""
    messages: Sequence[StoredMessage]


class MessageSaver(Protocol):
    """Stores messages."""

    def save(
        self,
        cmd: int,
        body: bytes,
        device: int,
        queues: Sequence[User],
        done: Callable[[T, int, Entries], None],
        argument: T,
    ) -> None:
        """Store the body and enter it in the users' queues.

        `done(argument, status, entries)` is called once, later: with status 0 when all is on
        disk, else with the `AckStatus` of what failed (some queues may have it all the same).
        """

    def newest(self) -> tuple[int, ...]:
        """For each storage an id of its own that all it gives from now on are beyond.

        0 if none is known. A queue lies at number ``|uid| mod n``.
        """


class MessageReader(Protocol):
    """Reads queues. All raise `StorageError`."""

    async def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        """The oldest messages after an id, at most `limit` (0: as many as storage likes)."""

    async def fetch_latest(self, user: User, limit: int) -> Page:
        """The newest messages."""

    async def fetch_before(self, user: User, before: int, limit: int) -> Page:
        """The newest messages before an id. `Page.last` is the id back to which it reaches, and
        `Page.more` says whether there may be others before that."""

    async def count_new(self, user: User, after: int) -> int:
        """How many messages there are after an id."""

    async def decided(self, user: User) -> None:
        """Returns once all that the storage of this user's queue was asked to save before is on
        disk, or never will be: what is read from then on shows it."""


class SuperGroupQueues(Protocol):
    """The same for the queues of super groups, of which each has one."""

    def save_to_group(
        self,
        cmd: int,
        body: bytes,
        device: int,
        appid: int,
        group_id: int,
        done: Callable[[T, int, Entries], None],
        argument: T,
    ) -> None:
        """Store the body in the group's queue; see `MessageSaver.save`."""

    async def fetch_group(
        self, appid: int, group_id: int, after: int, joined: int, limit: int = 0
    ) -> Page:
        """See `MessageReader.fetch`; for who joined at a time (seconds; 0: was always there).

        A GROUP_IM from before is left out.
        """


# --- routing, as the gateway sees it --------------------------------------------------------------


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


# --- groups ---------------------------------------------------------------------------------------


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

    def interrupted(self) -> None:
        """From now on, until `checked`, changes may be late."""


# --- a client's connection, as its session sees it ------------------------------------------------


class Connection(Protocol):
    """The transport of one client, whatever it is."""

    peer: str
    """Who it is to the network: an address."""
    congested: bool
    """Whether the client is slow to read what was sent."""
    stream: bool
    """Whether one `send` may be several frames."""

    def unsent(self) -> int:
        """How many bytes of what was sent the client has not taken, as far as that is known."""

    def send(self, frame: bytes) -> None:
        """Send a whole frame at the end of this turn, or several to a `stream`; without effect
        once it is closed."""

    def pause(self) -> None:
        """Read no more from the client, until `resume` is called as often as this."""

    def resume(self) -> None:
        """Take one `pause` back."""

    def cut(self, why: WireError) -> None:
        """End it because the client made no sense."""

    def close(self) -> None:
        """Send what waits, then end it."""

    def abort(self) -> None:
        """End it now."""

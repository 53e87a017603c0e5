"""Logins, and the settings, devices and sync keys of users."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from gobelieve.names import User

R = TypeVar("R")


class Identity(NamedTuple):
    """The user that a token stands for, and their settings."""

    user: User
    forbidden: bool
    """True if the user may not speak in rooms."""
    notification_on: bool
    """True if the user wants phone pushes even while connected from a desktop or a browser."""


class Tokens(Protocol):
    """Finds users by their login tokens."""

    async def find(self, token: str) -> Identity | None:
        """Return the user of a token; None if it is unknown, or malformed in the store."""


class Settings(NamedTuple):
    """The settings of a user, with the meanings of `Identity`."""

    forbidden: bool
    notification_on: bool


class Preferences(Protocol):
    """The settings of users, where the token does not contain them."""

    async def of(self, user: User) -> Settings:
        """Return a user's settings; all False for an unknown user."""


class TokenDetails(NamedTuple):
    """A token as the operator sees it."""

    identity: Identity
    name: str
    """The user's name as phone pushes show it; "" if none is known."""


class TokenAdmin(Protocol):
    """Creates, shows and revokes tokens."""

    async def create(self, user: User, token: str, name: str) -> None:
        """Make the token valid for this user. Phone pushes show `name`."""

    async def revoke(self, token: str) -> bool:
        """Make the token invalid; False if it was not valid."""

    async def describe(self, token: str) -> TokenDetails | None:
        """Return the token's user; None if the token is not valid."""


class Conversation(NamedTuple):
    """A conversation with a user or a group, for which a phone may ring."""

    peer: int
    """The other user; 0 if it is a group."""
    group_id: int


class UserAdmin(Protocol):
    """Carries out what the app's server decides about users, apart from groups.

    All methods raise `BackendError`, and all may be repeated.
    """

    async def grant(self, user: User, new: str, name: str | None) -> str:
        """Return the user's token: the one granted last if it is still valid, otherwise `new`.

        `new` is then valid from now on. Phone pushes show the name, if there is one.
        """

    async def revoke_all(self, user: User) -> bool:
        """Make all known tokens of the user invalid; False if there was none."""

    async def sessions_ended(self, user: User) -> None:
        """Announce to all gateways that the user's connections must end."""

    async def rename(self, user: User, name: str) -> None:
        """Change the name that phone pushes show."""

    async def forbid(self, user: User, forbidden: bool) -> None:
        """Forbid the user to speak in rooms, or allow it again; announced to all gateways."""

    async def mute(self, user: User, muted: bool) -> None:
        """Silence the phone while a desktop or a browser is connected, or undo that.

        It counts from the next login on.
        """

    async def disturb(self, user: User, conversation: Conversation, wanted: bool) -> None:
        """Let the phone ring for a conversation, or not."""

    async def forget_group_keys(self, appid: int, group_id: int, uids: Sequence[int]) -> None:
        """Delete these users' sync keys of a super group."""


class DeviceNumbers(Protocol):
    """Gives small numbers to devices. Storage keeps with each message the device that sent it."""

    async def number(self, device_id: str, platform: int) -> int:
        """Return the device's number, 1 and up; a new one at first. Never two for one device."""


class SyncKeys(Protocol[R]):
    """Keeps the sync key of each reader of a queue, for clients that send the key 0.

    A reader is a `User` for the own queue, or a `GroupReader`.
    """

    async def load(self, reader: R) -> int:
        """Return the reader's key, 0 if there is none."""

    async def advance(self, keys: Mapping[R, int]) -> None:
        """Keep these keys, each only if it is larger than the kept one."""

    async def lower(self, reader: R, key: int) -> None:
        """Keep this key if the kept one is larger, since storage has nothing after it."""


class Seen(NamedTuple):
    """A login of a user on a day."""

    appid: int
    uid: int
    day: int
    """The ordinal of the local date, as `datetime.date.toordinal` returns it."""


class DailyUsers(Protocol):
    """Counts the users per app and day."""

    async def add(self, seen: Iterable[Seen]) -> None:
        """Count these users. A user who is counted already changes nothing."""


class UnreadCounts(Protocol):
    """Keeps the numbers of unread messages that the apps' icons show."""

    async def set(self, counts: Mapping[User, int]) -> None:
        """Keep the number of unread messages of each of these users."""


class PushQueues(Protocol):
    """The lists from which the push workers take phone pushes."""

    async def append(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Append (list name, JSON) in order, in one request."""

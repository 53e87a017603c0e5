"""Who may log in, and what is known of users."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from gobelieve.names import User

R = TypeVar("R")


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

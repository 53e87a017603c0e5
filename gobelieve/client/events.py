"""What a client is told, as frozen values.

Where an event names a `group_id`, it is about that super group's queue, and 0 is the user's own.
"""

from dataclasses import dataclass

from gobelieve.names import status_name
from gobelieve.wire import Message
from gobelieve.wire.message import STORED


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The server accepted the token."""


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """It did not. Upstream says 1 for every reason, a Redis that is away among them."""

    status: int


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A stored message: IM, GROUP_IM, GROUP_NOTIFICATION, SYSTEM or of customer service."""

    message: Message
    msgid: int | None
    """Its id, where the protocol tells it: for pushed messages. Those of a sync have none."""
    is_self: bool
    """Written by this same user on this same device."""
    pushed: bool
    """It came unasked, when it was sent; else in a sync."""
    group_id: int = 0

    @property
    def sender(self) -> int:
        """The uid of the author; 0 for a message of the app's server."""
        kind = STORED.get(self.message.number)
        return getattr(self.message, kind.facts.author.uid, 0) if kind is not None else 0

    @property
    def content(self) -> bytes:
        """What it says, UTF-8 JSON by convention."""
        return getattr(self.message, "content", b"")


@dataclass(frozen=True, slots=True)
class LiveReceived:
    """A message that is stored nowhere: RT, INPUTING, ROOM_IM, NOTIFICATION, VOIP_CONTROL."""

    message: Message


@dataclass(frozen=True, slots=True)
class Acked:
    """The server is done with the frame of this seq; `status` is an `AckStatus`, 0 for success."""

    seq: int
    status: int

    @property
    def name(self) -> str:
        """The status in a word."""
        return status_name(self.status)


@dataclass(frozen=True, slots=True)
class KeyMoved:
    """All messages up to this key have been told of before this event."""

    key: int
    group_id: int = 0


@dataclass(frozen=True, slots=True)
class Synced:
    """A sync is complete. There is nothing more if `key` is `before`."""

    key: int
    before: int
    group_id: int = 0


@dataclass(frozen=True, slots=True)
class Ponged:
    """The server is there."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """An answer did not come in time; the connection is to be given up."""

    what: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The server's bytes make no sense; the connection is to be given up. The last event of it."""

    why: str


Event = (
    LoggedIn
    | LoginRefused
    | MessageReceived
    | LiveReceived
    | Acked
    | KeyMoved
    | Synced
    | Ponged
    | Overdue
    | Broken
)

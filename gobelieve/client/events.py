"""The events of a client, as frozen values.

The `group_id` of an event names the queue of a super group; 0 is the user's own queue.
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
    """The server refused the login. The Go server sends 1 for every reason, also while its Redis
    is away."""

    status: int


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A stored message: IM, GROUP_IM, GROUP_NOTIFICATION, SYSTEM, or of customer service."""

    message: Message
    msgid: int | None
    """The id of a pushed message. The protocol gives no id for the messages of a sync."""
    is_self: bool
    """Whether this user sent it from this device."""
    pushed: bool
    """Whether the server sent it without a request; False if it was part of a sync."""
    group_id: int = 0

    @property
    def sender(self) -> int:
        """The uid of the author; 0 for a message of the app's server."""
        kind = STORED.get(self.message.number)
        return getattr(self.message, kind.facts.author.uid, 0) if kind is not None else 0

    @property
    def content(self) -> bytes:
        """The content. By convention it is JSON in UTF-8."""
        return getattr(self.message, "content", b"")


@dataclass(frozen=True, slots=True)
class LiveReceived:
    """A message that is not stored: RT, INPUTING, ROOM_IM, NOTIFICATION, VOIP_CONTROL."""

    message: Message


@dataclass(frozen=True, slots=True)
class Acked:
    """The server has handled the frame with this seq. `status` is an `AckStatus`; 0 is success."""

    seq: int
    status: int

    @property
    def name(self) -> str:
        """The name of the status."""
        return status_name(self.status)


@dataclass(frozen=True, slots=True)
class KeyMoved:
    """The client has all messages up to this key; their events came before this one."""

    key: int
    group_id: int = 0


@dataclass(frozen=True, slots=True)
class Synced:
    """A sync is complete. If `key` equals `before`, the server has nothing more."""

    key: int
    before: int
    group_id: int = 0


@dataclass(frozen=True, slots=True)
class Ponged:
    """The server answered PING."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """An answer is overdue; the owner must end the connection."""

    what: str
    """The answer: ``login``, ``ack``, ``pong`` or ``sync``."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The server's bytes are malformed. This is the last event of a connection: its owner must end
    it."""

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

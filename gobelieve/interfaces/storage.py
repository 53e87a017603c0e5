"""Storage as the gateway sees it, and the messages that wait on the gateway's own disk."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from gobelieve.names import User
from gobelieve.wire.storage import StoredMessage


class PendingMessage(NamedTuple):
    """A message that goes into the queue of each member of a group."""

    appid: int
    group_id: int
    sender: int
    device: int
    cmd: int
    body: bytes
    """The body as it is stored."""
    members: tuple[int, ...]
    """The receivers: all members at the time of sending, the sender included."""
    after_ids: tuple[int, ...]
    """For each storage, an id that all ids it gave to the message are beyond."""


class PendingMessages(Protocol):
    """Keeps pending messages over a restart or a crash of the gateway."""

    def keep(self, message: PendingMessage, kept: Callable[[int], None]) -> None:
        """Write a message; later call `kept(number)` when it is on disk.

        The number is 0 if the message could not be written.
        """

    def batch_done(self, number: int, batch: int) -> None:
        """Note that one part of the message's members has it. This is written soon."""

    def finished(self, number: int) -> None:
        """Delete a message that all its members have."""


Entries = Sequence[tuple[int, int]]
"""(msgid, previous msgid of the queue) for each queue of a save; (0, 0) if it was not stored."""


class MessageInFlight(Protocol):
    """A message that storage was asked to store. It waits for the answer."""

    def stored(self, status: int, entries: Entries) -> None:
        """Take storage's answer; called once, in a later call of the event loop.

        Status 0 means that everything is on disk. Otherwise it is the `AckStatus` of the failure;
        some queues may have the message all the same.
        """


class Page(NamedTuple):
    """Messages of one queue, oldest first."""

    last: int
    """The id up to which the page reaches; 0 for an empty queue."""
    newest: int
    """The newest id in the queue; 0 for an empty queue."""
    more: bool
    """True if there are messages after `last`."""
    messages: Sequence[StoredMessage]


class MessageSaver(Protocol):
    """Stores messages in the queues of users."""

    def save(
        self,
        cmd: int,
        body: bytes,
        device: int,
        queues: Sequence[User],
        waiting: MessageInFlight,
    ) -> None:
        """Store the body and enter it in the users' queues; `waiting` gets the answer later.

        The answer has one entry per queue, in the same order.
        """

    def newest(self) -> tuple[int, ...]:
        """Return for each storage an id that is smaller than all ids it gives from now on.

        0 if none is known. A user's queue is at storage number ``|uid| mod n``.
        """


class MessageReader(Protocol):
    """Reads queues. All raise `StorageError`."""

    async def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        """Return the oldest messages after an id: at most `limit` (0: storage's own limit)."""

    async def fetch_latest(self, user: User, limit: int) -> Page:
        """Return the newest messages, oldest first."""

    async def fetch_before(self, user: User, before: int, limit: int) -> Page:
        """Return the newest messages before an id.

        `Page.last` is the oldest id that the page reaches. `Page.more` is True if there may be
        others before it.
        """

    async def count_new(self, user: User, after: int) -> int:
        """Return the number of messages after an id."""

    async def decided(self, user: User) -> None:
        """Wait until earlier saves at the storage of this user's queue are on disk, or failed.

        After that a read shows them.
        """


class SuperGroupQueues(Protocol):
    """Stores and reads messages in the queues of super groups; each group has one queue."""

    def save_to_group(
        self,
        cmd: int,
        body: bytes,
        device: int,
        appid: int,
        group_id: int,
        waiting: MessageInFlight,
    ) -> None:
        """Store the body in the group's queue; `waiting` gets the answer, with one entry, later."""

    async def fetch_group(
        self, appid: int, group_id: int, after: int, joined: int, limit: int = 0
    ) -> Page:
        """Return the oldest messages after an id, as `MessageReader.fetch`.

        GROUP_IM from before `joined` (seconds since 1970; 0: show all) is left out.
        """

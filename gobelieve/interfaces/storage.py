"""Storage as the gateway sees it, and what waits on the gateway's own disk to be stored."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from gobelieve.names import User
from gobelieve.wire.storage import StoredMessage

T = TypeVar("T")


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

"""Reads users' queues from storage in pages, up to the limits of one answer."""

from typing import NamedTuple

from gobelieve.interfaces import MessageReader
from gobelieve.names import User
from gobelieve.protocols.http.declarations.shapes import MAX_INTEGER
from gobelieve.protocols.http.gateway.messages import wrote
from gobelieve.wire.storage import StoredMessage

MAX_MESSAGES = 10_000
"""Stored messages that one answer looks at, at most."""
MAX_ANSWER_BYTES = 4 << 20
"""An answer ends with the message whose body brings the bodies to so many bytes."""
MESSAGES_PER_READ = 1000


class Found(NamedTuple):
    """Messages of a queue."""

    messages: list[StoredMessage]
    """Oldest first."""
    more: bool
    """Whether the queue goes on beyond them."""
    next_id: int
    """The id from which to read on."""


class QueueReader:
    """Reads users' queues. All its methods raise `StorageError`."""

    def __init__(self, reader: MessageReader) -> None:
        self._reader = reader

    async def latest(self, user: User, limit: int) -> list[StoredMessage]:
        """Return the newest messages, oldest first. The limit is brought into its range."""
        found = await self.backward(user, MAX_INTEGER, min(max(limit, 1), MAX_MESSAGES))
        return found.messages

    async def forward(self, user: User, after: int, limit: int) -> Found:
        """Return messages that follow an id."""
        found: list[StoredMessage] = []
        room = MAX_ANSWER_BYTES
        while True:
            page = await self._reader.fetch(user, after, min(limit, MESSAGES_PER_READ))
            found += page.messages
            limit -= len(page.messages)
            room -= sum(len(message.body) for message in page.messages)
            after = max(after, page.last) if page.newest > after else after
            if not page.more or limit <= 0 or room <= 0:
                return Found(found, page.more, after)

    async def backward(self, user: User, before: int, limit: int) -> Found:
        """Return messages that precede an id."""
        pages: list[list[StoredMessage]] = []
        room = MAX_ANSWER_BYTES
        while True:
            page = await self._reader.fetch_before(user, before, min(limit, MESSAGES_PER_READ))
            pages.append(list(page.messages))
            limit -= len(page.messages)
            room -= sum(len(message.body) for message in page.messages)
            if page.messages:
                before = page.last
            if not page.more or not page.messages or limit <= 0 or room <= 0:
                more = page.more and bool(page.messages)
                return Found([one for part in reversed(pages) for one in part], more, before)

    async def count_new(self, user: User, after: int) -> int:
        """Return how many messages follow an id."""
        return await self._reader.count_new(user, after)

    async def has_unread(self, user: User, after: int) -> bool:
        """Return whether a message of another author follows an id."""
        while True:
            page = await self._reader.fetch(user, after)
            if any(not wrote(user, message) for message in page.messages):
                return True
            if not page.more:
                return False
            after = page.last

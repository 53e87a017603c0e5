"""A model of the messages that a storage should have, with lists and dicts and no files.

It gets the saves and their answers. After a crash it takes over the unanswered saves that the
storage still has, once. From then on the storage must keep them.
"""

from collections.abc import Sequence
from enum import Enum

from gobelieve.wire.storage import SaveItem, StoredMessage

# Numbers of its own, so that the model cannot agree with a mistake in the product's declarations.
DELIVERED = frozenset({4, 7, 8, 21, 24, 25, 64})
"""The commands that a sync returns; the files may hold others."""
LATEST = frozenset({4, 7, 8, 24, 25, 64})
"""The commands that reads of the newest messages return."""

Queue = tuple[int, int]
"""The kind and the owner of a queue."""


class Fate(Enum):
    """The certainty that a message or entry is there."""

    SURE = "sure"
    MAYBE = "maybe"
    """It was not answered, or damage hit bytes that no checksum covers."""
    LOST = "lost"
    """It is damaged."""


class Message:
    """One save: a body and its entries."""

    __slots__ = ("entries", "fate", "item", "msgid", "prevs")

    def __init__(self, item: SaveItem) -> None:
        self.item = item
        self.msgid = 0
        self.prevs: tuple[int, ...] = ()
        self.entries: dict[Queue, int] = {}
        """The id of its entry in each queue."""
        self.fate = Fate.SURE

    @property
    def owners(self) -> Sequence[int]:
        """Return the owners of the named queues, with repetitions."""
        return self.item.queues[1::2]

    def equals(self, found: StoredMessage) -> bool:
        """Return whether a message was read as it was saved."""
        return (found.device, found.cmd, found.body) == (
            self.item.device,
            self.item.cmd,
            self.item.body,
        )


class Place:
    """An entry of a message in one queue."""

    __slots__ = ("fate", "id", "message")

    def __init__(self, id_: int, message: Message, fate: Fate = Fate.SURE) -> None:
        self.id = id_
        self.message = message
        self.fate = fate


class Model:
    """The queues, each a list of places from old to new."""

    def __init__(self) -> None:
        self.queues: dict[Queue, list[Place]] = {}

    def add(self, message: Message) -> None:
        """Add a message that was answered as stored, after a check of its previous ids."""
        for owner, prev in zip(message.owners, message.prevs, strict=True):
            places = self.queues.get((message.item.kind, owner), [])
            assert prev in self._newest(places), (
                f"{message.msgid} follows {prev} in the queue of {owner},"
                f" and not one of {self._newest(places)}"
            )
        for queue, id_ in message.entries.items():
            places = self.queues.setdefault(queue, [])
            assert not places or places[-1].id < id_, "an id was given twice"
            places.append(Place(id_, message))

    def _newest(self, places: list[Place]) -> list[int]:
        """Return the ids that the newest message of a queue may have."""
        found: list[int] = []
        for place in reversed(places):
            if place.fate is not Fate.LOST:
                found.append(place.message.msgid)
            if place.fate is Fate.SURE:
                return found
        return [*found, 0]

    def messages(self) -> list[Message]:
        """Return all messages that are in some queue."""
        found = {p.message.msgid: p.message for places in self.queues.values() for p in places}
        return list(found.values())

    def forget_before(self, id_: int) -> None:
        """Remove what was in the blocks before an id."""
        for places in self.queues.values():
            places[:] = [place for place in places if place.id >= id_]
            for place in places:
                if place.message.msgid < id_:
                    place.message.fate = Fate.LOST

    # --- comparing

    def check_page(
        self, queue: Queue, found: Sequence[StoredMessage], candidates: Sequence[Place], cut: bool
    ) -> None:
        """Check that a page has everything that it should have, and nothing twice.

        The page may also have `candidates`. With `cut`, the oldest messages may be missing.
        """
        seen = {message.msgid: message for message in found}
        order = [message.msgid for message in found]
        assert order == sorted(seen), f"queue {queue}: doubled, or in a wrong order: {order}"
        places = self.queues.get(queue, [])
        wanted = [p for p in places if p.fate is Fate.SURE and _delivered(p.message)]
        for place in wanted:
            message = place.message
            if message.msgid in seen:
                assert message.equals(seen[message.msgid]), f"{message.msgid} is another message"
            else:
                assert cut, f"queue {queue}: {message.msgid} is lost, there are {order}"
        allowed = {p.message.msgid for p in (*wanted, *candidates)}
        allowed |= {
            p.message.msgid
            for p in places
            if p.message.fate is not Fate.LOST and Fate.MAYBE in (p.fate, p.message.fate)
        }
        assert seen.keys() <= allowed, f"queue {queue}: {seen.keys() - allowed} was never there"
        for place in candidates:
            message = place.message
            if message.msgid in seen and message.fate is Fate.SURE:
                assert message.equals(seen[message.msgid]), f"{message.msgid} is another message"

    def counts(self, queue: Queue, after: int) -> tuple[int, int]:
        """Return the least and the largest count that is right after an id."""
        behind = [p for p in self.queues.get(queue, []) if p.message.msgid > after]
        return sum(place.fate is Fate.SURE for place in behind), len(behind)

    def latest(self, queue: Queue, limit: int) -> list[int] | None:
        """Return the ids of the newest messages; None if they are not certain."""
        places = self.queues.get(queue, [])
        if any(Fate.MAYBE in (place.fate, place.message.fate) for place in places):
            return None
        found = [
            place.message.msgid
            for place in places
            if place.fate is Fate.SURE
            and place.message.fate is Fate.SURE
            and place.message.item.cmd in LATEST
        ]
        return found[-limit:]


def _delivered(message: Message) -> bool:
    return message.fate is Fate.SURE and message.item.cmd in DELIVERED

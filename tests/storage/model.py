"""What a storage should know, said as plainly as can be: lists and dicts, and no files.

It is told what was asked and what was answered. What a crash left of saves that were not answered
it takes over from the storage, once, and holds it to that from then on.
"""

from collections.abc import Sequence
from enum import Enum

from gobelieve.wire.storage import SaveItem, StoredMessage

# Numbers of its own, so that the model cannot agree with a mistake in the product's declarations.
DELIVERED = frozenset({4, 7, 8, 21, 24, 25, 64})
"""The commands that a sync returns; the files may hold others."""
LATEST = frozenset({4, 7, 8, 24, 25, 64})
"""The commands that readings of the newest messages return."""

Queue = tuple[int, int]
"""Kind and owner."""


class Fate(Enum):
    """How sure it is that something is there."""

    SURE = "sure"
    MAYBE = "maybe"
    """It was not answered, or damage hit what no checksum covers."""
    LOST = "lost"
    """Damaged."""


class Message:
    """One save: a body, and its entries."""

    __slots__ = ("entries", "fate", "item", "msgid", "prevs")

    def __init__(self, item: SaveItem) -> None:
        self.item = item
        self.msgid = 0
        self.prevs: tuple[int, ...] = ()
        self.entries: dict[Queue, int] = {}
        """For each queue the id of its record."""
        self.fate = Fate.SURE

    @property
    def owners(self) -> Sequence[int]:
        """Whose queues were named, with repetitions."""
        return self.item.queues[1::2]

    def equals(self, found: StoredMessage) -> bool:
        """Whether it was read as it was saved."""
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
    """Queues of places, oldest first."""

    def __init__(self) -> None:
        self.queues: dict[Queue, list[Place]] = {}

    def add(self, message: Message) -> None:
        """It was answered as stored. Its previous ids are looked at."""
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
        """The ids that the newest message may have."""
        found: list[int] = []
        for place in reversed(places):
            if place.fate is not Fate.LOST:
                found.append(place.message.msgid)
            if place.fate is Fate.SURE:
                return found
        return [*found, 0]

    def messages(self) -> list[Message]:
        """All that are in some queue."""
        found = {p.message.msgid: p.message for places in self.queues.values() for p in places}
        return list(found.values())

    def forget_before(self, id_: int) -> None:
        """Old blocks were removed."""
        for places in self.queues.values():
            places[:] = [place for place in places if place.id >= id_]
            for place in places:
                if place.message.msgid < id_:
                    place.message.fate = Fate.LOST

    # --- comparing

    def check_page(
        self, queue: Queue, found: Sequence[StoredMessage], candidates: Sequence[Place], cut: bool
    ) -> None:
        """What was read is what should be there, and nothing twice.

        `candidates` may be there besides. `cut`: the oldest may be missing.
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
        """The least and the most entries that may be counted after an id."""
        behind = [p for p in self.queues.get(queue, []) if p.message.msgid > after]
        return sum(place.fate is Fate.SURE for place in behind), len(behind)

    def latest(self, queue: Queue, limit: int) -> list[int] | None:
        """The ids of the newest messages; None if it is not sure which those are."""
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

"""Stored kinds of messages: each fact about a kind stands in its declaration and nowhere else.

::

    @message(4, "IM", senders=BOTH, acked=True, stored=Stored(
        author=Party("sender"),
        addressee=Party("receiver"),
        pushed_as=Push("push_queue", sender="sender"),
    ))
    class IM(Message): ...

`gobelieve.wire.message.STORED` has a `StoredKind` for each declaration. Storage, the gateway, the
router, the HTTP API, the client library and the command line take what they need from there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gobelieve.errors import BodyError
from gobelieve.names import User


class Party(NamedTuple):
    """The fields that name one end of a conversation."""

    uid: str
    appid: str | None = None
    """The field of the app; None where the body does not name the app."""


APP_SERVER = Party("")
"""The author of messages that the app's server sends in nobody's name."""


class Push:
    """The list in Redis that a message for an offline user goes to, and the JSON of its items.

    Each keyword is a key of the JSON, with the name of the field that fills it. Every item also has
    the keys `appid` and `content`. With `to_members` one item names many receivers, under the key
    `receivers`; without, there is one item per receiver, under the key `receiver`. With
    `with_command` the key `command` holds the number of the message.
    """

    __slots__ = ("fields", "queue", "to_members", "with_command")

    def __init__(
        self, queue: str, *, to_members: bool = False, with_command: bool = False, **fields: str
    ) -> None:
        self.queue = queue
        self.to_members = to_members
        self.with_command = with_command
        self.fields: Mapping[str, str] = fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The declaration of a kind that storage keeps and that a sync returns."""

    author: Party
    """The user who wrote it, or `APP_SERVER`."""
    addressee: Party | None = None
    """The user or the group that it is for, where the body names one."""
    content: str = "content"
    """The last field of the body: the text of the author."""
    time: str | None = None
    """The field with the server's time, in seconds, if there is one."""
    in_history: bool = True
    """False: readings of the newest messages and of the history leave it out."""
    unpersistent: bool = False
    """True: a sender may ask with the flag UNPERSISTENT that it is not stored."""
    pushed_as: Push | None = None
    """None: phones get no push for it."""

    def fields(self) -> Iterator[str]:
        """Give the name of every field that the declaration refers to."""
        for party in (self.author, self.addressee):
            if party is not None and party is not APP_SERVER:
                yield party.uid
                if party.appid is not None:
                    yield party.appid
        yield self.content
        if self.time is not None:
            yield self.time
        if self.pushed_as is not None:
            yield from self.pushed_as.fields.values()


class StoredKind:
    """Answers about the bodies of one stored kind.

    Bodies are in the newest layout, the one in which storage keeps them. `offsets` has where each
    field begins in it. `TypeError` if the declaration names a field that the layout does not have.
    """

    __slots__ = (
        "_author",
        "_other",
        "_time",
        "facts",
        "label",
        "least",
        "shown",
    )

    def __init__(self, label: str, facts: Stored, offsets: Mapping[str, int]) -> None:
        for name in facts.fields():
            if name not in offsets:
                raise TypeError(f"{label} has no field {name} at a fixed place")
        self.label = label
        self.facts = facts
        self.shown = facts.author is not APP_SERVER
        """True if a user wrote it. The HTTP API shows only what users wrote."""
        self.least = offsets[facts.content]
        """The shortest body, in bytes; the content follows it."""
        self._time = None if facts.time is None else offsets[facts.time]
        self._author = _places(facts.author, offsets) if self.shown else None
        self._other = None
        if facts.author.appid is None and facts.addressee and facts.addressee.appid is not None:
            self._other = _places(facts.addressee, offsets)

    def author(self, body: bytes) -> int:
        """Return the uid of the author; 0 for the app's server. `BodyError` for a short body."""
        self._check(body)
        return 0 if self._author is None else _integer(body, self._author[0], 8)

    def is_author(self, user: User, body: bytes) -> bool:
        """Return whether this user wrote the message; False for a body that is too short.

        A body that names only the addressee's app does not say in which app the author is. Then
        the addressee is not the author: a customer may have the uid of the seller who writes.
        """
        if self._author is None or len(body) < self.least:
            return False
        return _names(body, self._author, user) and not (
            self._other is not None and _names(body, self._other, user)
        )

    def content(self, body: bytes) -> bytes:
        """Return what the author wrote, by convention JSON. `BodyError` for a short body."""
        self._check(body)
        return body[self.least :]

    def time(self, body: bytes) -> int | None:
        """Return the server's time in seconds; None for a kind or a body without one."""
        if self._time is None or len(body) < self._time + 4:
            return None
        return _integer(body, self._time, 4)

    def _check(self, body: bytes) -> None:
        if len(body) < self.least:
            raise BodyError(f"{self.label}: {len(body)} bytes, it has at least {self.least}")


Places = tuple[int, int | None]
"""The offsets of a uid and of its appid, the latter None where the body does not name it."""


def _places(party: Party, offsets: Mapping[str, int]) -> Places:
    return offsets[party.uid], None if party.appid is None else offsets[party.appid]


def _names(body: bytes, places: Places, user: User) -> bool:
    """Return whether the fields at these places name the user."""
    uid, appid = places
    if _integer(body, uid, 8) != user.uid:
        return False
    return appid is None or _integer(body, appid, 8) == user.appid


def _integer(body: bytes, at: int, size: int) -> int:
    return int.from_bytes(body[at : at + size], "big", signed=True)

"""Declaring a message: its number, name, fields, and who may send it, in one place.

::

    @message(
        4, "IM", senders=CLIENT | SERVER, acked=True,
        stored=Stored(author=Party("sender"), addressee=Party("receiver"), time="timestamp"),
    )
    class IM(Message):
        sender: I64
        receiver: I64
        timestamp: I32 = since(1, default=0)
        msgid: I32
        content: Rest

Fields are given by keyword: ``IM(sender=1, receiver=2, msgid=0, content=b"hi")``.

The class enters its link's table by its number. A number that is taken fails at import. With
`twin=True` the class shares the number knowingly: the table keeps the first class, and the receiver
of such a frame decides between the two by its content.
"""

import dataclasses
from collections.abc import Callable
from enum import Flag, auto
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform, get_type_hints

from gobelieve.wire.frames import Frame, encode_frame
from gobelieve.wire.layout import Layout
from gobelieve.wire.stored import Push, Stored, StoredKind

LAST_VERSION = 2
"""The newest protocol version; a newer one in a header is treated as this one."""


class Sender(Flag):
    """The ends of our links that may send a message."""

    CLIENT = auto()
    SERVER = auto()
    GATEWAY = auto()
    ROUTER = auto()
    ASKER = auto()
    STORAGE = auto()
    SLAVE = auto()
    FILE = auto()
    CONNECTOR = auto()
    LISTENER = auto()
    NOBODY = 0


class Message:
    """The base class of all messages: a decoded body. Frozen, and compared by value."""

    __slots__ = ()
    number: ClassVar[int]
    label: ClassVar[str]
    senders: ClassVar[Sender]
    acked: ClassVar[bool]
    names: ClassVar[list[str]]
    layouts: ClassVar[list[Layout]]

    @classmethod
    def decode(cls, body: bytes, version: int = LAST_VERSION) -> Self:
        """Decode a body of the given protocol version; `BodyError` if it is malformed."""
        values = cls.layouts[min(version, LAST_VERSION)].decode(body)
        return cls(**dict(zip(cls.names, values, strict=True)))

    def encode(self, version: int = LAST_VERSION) -> bytes:
        """Return the body in the given protocol version; `BodyError` if a value does not fit."""
        values = [getattr(self, name) for name in self.names]
        return self.layouts[min(version, LAST_VERSION)].encode(values)

    def frame(self, seq: int = 0, version: int = LAST_VERSION, flag: int = 0) -> bytes:
        """Return the whole frame, header and body."""
        return encode_frame(self.number, self.encode(version), seq, version, flag)


M = TypeVar("M", bound=Message)
Table = dict[int, type[Message]]

# The tables that declarations fill. Import `gobelieve.wire` to have them full.

MESSAGES: Table = {}
"""Every message of every link by its number."""
STORED: dict[int, StoredKind] = {}
"""The kinds that storage keeps and that a sync returns, by their number."""
LIVE: Table = {}
"""The messages that users or the app's server send and that are stored nowhere, by their number.

A number may be here and in `STORED`: then the two kinds share it.
"""
GROWN: dict[int, slice] = {}
"""The stored kinds whose layout in version 0 lacks a field, and where the field is in the body."""


def since(version: int, *, default: Any) -> Any:
    """Declare a field that older versions do not have; for them it reads as `default`."""
    return dataclasses.field(default=default, metadata={"since": version})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(since,))
def message(
    number: int,
    label: str,
    *,
    senders: Sender,
    twin: bool = False,
    acked: bool = False,
    live: bool = False,
    stored: Stored | None = None,
) -> Callable[[type[M]], type[M]]:
    """Make the class a frozen dataclass, compile its layouts, and enter it in the tables.

    `acked`: the server answers the message with an ACK. `live`: users or the app's server send it,
    and it is stored nowhere. `stored`: storage keeps it.
    """

    def declare(cls: type[M]) -> type[M]:
        hints = get_type_hints(cls, include_extras=True)
        made = dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)
        fields = dataclasses.fields(made)  # type: ignore[arg-type]
        made.number, made.label, made.senders, made.acked = number, label, senders, acked
        made.names = [f.name for f in fields]
        made.layouts = [
            Layout([(hints[f.name], f.metadata.get("since", 0) <= v, f.default) for f in fields])
            for v in range(LAST_VERSION + 1)
        ]
        if not twin and number in MESSAGES:
            raise TypeError(f"{label}: {number} is {MESSAGES[number].label} already")
        if stored is not None:
            _enter_stored(made, stored)
        if not twin:
            MESSAGES[number] = made
        if live:
            LIVE[number] = made
        return made

    return declare


def _enter_stored(cls: type[Message], facts: Stored) -> None:
    offsets = {cls.names[at]: offset for at, offset in cls.layouts[LAST_VERSION].offsets.items()}
    STORED[cls.number] = StoredKind(cls.label, facts, offsets)
    since = {f.name: f.metadata.get("since", 0) for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    younger = [name for name in cls.names if since[name]]
    if younger:
        follower = cls.names[cls.names.index(younger[-1]) + 1]
        GROWN[cls.number] = slice(offsets[younger[0]], offsets[follower])


def decode(frame: Frame) -> Message:
    """Decode the message in a frame by its number; `KeyError` if no message has that number."""
    return MESSAGES[frame.cmd].decode(frame.body, frame.version)


def pushed_as(cmd: int) -> Push | None:
    """Return how phones get a push for messages of this number; None if they get none."""
    kind = STORED.get(cmd)
    return None if kind is None else kind.facts.pushed_as


def sent_by(sender: Sender) -> frozenset[int]:
    """Return the commands that this end may send."""
    return frozenset(number for number, cls in MESSAGES.items() if cls.senders & sender)

"""How storage's clients (3333) put messages into requests, and get lists of them back.

Both ways a message is a whole frame with its header. Storage keeps its command and its body; of
the header nothing else is kept, and so what is given back has seq 0, flag 0 and `VERSION`.

A list, the content of a RESULT, has the newest message first::

    int16   count
    count * entry
        int16   size         of the rest of the entry: 28 + the body's length
        int64   msgid
        int64   device
        frame   header of 12 bytes, and body
"""

from collections.abc import Iterable, Iterator
from struct import Struct, error

from gobelieve.errors import BodyError
from gobelieve.wire.frames import HEADER, HEADER_SIZE
from gobelieve.wire.message import GROWN, MESSAGES
from gobelieve.wire.storage import StoredMessage

VERSION = 1
"""Of the frames in a list: the first one with today's layouts, known to readers of both eras."""
LIST_LIMIT = (1 << 20) - 1 - 4
"""How long a list may be, in bytes: readers end the connection at a RESULT of 1 MiB."""
COUNT_LIMIT = 32767
ENTRY_BODY_LIMIT = 32767 - 16 - HEADER_SIZE
"""The longest body that an entry can have, in bytes: a few less than storage keeps."""
EMPTY_LIST = bytes(2)

_COUNT = Struct(">h")
_ENTRY = Struct(">hqqiiBBBB")
_PLACE = Struct(">hqq")


def read_inner(inner: bytes) -> tuple[int, bytes]:
    """The command and the body, in today's layout, of the frame to be stored; `BodyError`."""
    try:
        length, _, cmd, version, _, _ = HEADER.unpack_from(inner)
    except error:
        raise BodyError(f"{len(inner)} bytes to store are no frame") from None
    body = inner[HEADER_SIZE:]
    if length != len(body):
        raise BodyError(f"the frame to store says {length} bytes of body, it has {len(body)}")
    if cmd in GROWN:
        # Version 0 lacks the timestamp of IM and GROUP_IM.
        body = MESSAGES[cmd].decode(body, version).encode()
    return cmd, body


class MessageList:
    """Collects messages, from whichever end, as far as they fit into one list."""

    __slots__ = ("_entries", "_room", "full", "left_out")

    def __init__(self) -> None:
        self._entries: list[bytes] = []
        self._room = LIST_LIMIT - len(EMPTY_LIST)
        self.full = False
        """Whether there was a message that the list had no room for."""
        self.left_out: list[int] = []
        """The ids of messages that are too long for an entry of any list."""

    def add(self, messages: Iterable[StoredMessage]) -> None:
        """Add messages one behind the other, until the list is full."""
        for msgid, device, cmd, body in messages:
            length = len(body)
            if length > ENTRY_BODY_LIMIT:
                self.left_out.append(msgid)
                continue
            size = 16 + HEADER_SIZE + length
            self._room -= 2 + size
            if self._room < 0 or len(self._entries) == COUNT_LIMIT:
                self.full = True
                return
            head = _ENTRY.pack(size, msgid, device, length, 0, cmd, VERSION, 0, 0)
            self._entries.append(head + body)

    def pack(self, *, reverse: bool = False) -> bytes:
        """The list, in the order in which it was collected, or the other way round."""
        entries = self._entries[::-1] if reverse else self._entries
        return _COUNT.pack(len(entries)) + b"".join(entries)


def unpack_list(content: bytes) -> Iterator[StoredMessage]:
    """The messages of a list; `BodyError` if it is cut short."""
    try:
        (count,) = _COUNT.unpack_from(content)
        at = _COUNT.size
        for _ in range(count):
            size, msgid, device = _PLACE.unpack_from(content, at)
            start, at = at + _PLACE.size, at + 2 + size
            if not start + HEADER_SIZE <= at <= len(content):
                raise BodyError("an entry of a list is cut short")
            cmd, body = read_inner(content[start:at])
            yield StoredMessage(msgid, device, cmd, body)
    except error:
        raise BodyError("a list is cut short") from None

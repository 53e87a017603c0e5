"""Messages inside the requests and answers of storage's older clients (port 3333).

In a request and in an answer, a message is a whole frame with its header. Storage keeps the
command and the body, and nothing else of the header. So a returned frame has seq 0, flag 0 and
`VERSION`.

A list is the content of a RESULT. Its newest message comes first::

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
"""The version of the frames in a list: the first version with today's layouts. Readers of the seed
era and of the master era know it."""
LIST_LIMIT = (1 << 20) - 1 - 4
"""The longest list in bytes: readers close the connection at a RESULT of 1 MiB."""
COUNT_LIMIT = 32767
ENTRY_BODY_LIMIT = 32767 - 16 - HEADER_SIZE
"""The longest body of an entry in bytes: a little less than storage accepts."""
EMPTY_LIST = bytes(2)

_COUNT = Struct(">h")
_ENTRY = Struct(">hqqiiBBBB")
_PLACE = Struct(">hqq")


def read_inner(inner: bytes) -> tuple[int, bytes]:
    """Return the command of the frame to store, and its body in today's layout; `BodyError`."""
    try:
        length, _, cmd, version, _, _ = HEADER.unpack_from(inner)
    except error:
        raise BodyError(f"the {len(inner)} bytes to store are not a frame") from None
    body = inner[HEADER_SIZE:]
    if length != len(body):
        raise BodyError(f"the frame to store has {len(body)} bytes of body, not {length}")
    if cmd in GROWN:
        # Version 0 lacks the timestamp of IM and GROUP_IM.
        body = MESSAGES[cmd].decode(body, version).encode()
    return cmd, body


class MessageList:
    """Collects messages, in either order, as far as they fit into one list."""

    __slots__ = ("_entries", "_room", "full", "left_out")

    def __init__(self) -> None:
        self._entries: list[bytes] = []
        self._room = LIST_LIMIT - len(EMPTY_LIST)
        self.full = False
        """True if the list had no room for a message."""
        self.left_out: list[int] = []
        """The ids of messages that are too long for an entry of any list."""

    def add(self, messages: Iterable[StoredMessage]) -> None:
        """Add messages one after another, until the list is full."""
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
        """Return the list in the order in which it was collected, or in reverse order."""
        entries = self._entries[::-1] if reverse else self._entries
        return _COUNT.pack(len(entries)) + b"".join(entries)


def unpack_list(content: bytes) -> Iterator[StoredMessage]:
    """Return the messages of a list; `BodyError` if it is cut short."""
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

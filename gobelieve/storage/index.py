"""The heads of all queues, in memory.

A head is five integers, `LAST_MSGID` to `LAST_SEQ`, all 0 for an empty queue. They lie one head
behind the other in one array, since an object a queue would cost four times the memory and would
be walked by every garbage collection (132 bytes a queue against 290, by measurement of a million).
"""

from array import array
from struct import Struct

from gobelieve.storage.records import BATCH, Entry

LAST_MSGID, LAST_ID, LAST_PEER, LAST_BATCH, LAST_SEQ = range(5)
WIDTH = 5
Head = tuple[int, int, int, int, int]
HEAD = Struct("5q")
"""A head in `Index.values`, 8 bytes an integer."""
_EMPTY = array("q", [0] * WIDTH)


class Index:
    """Where each queue ends.

    `values` holds the heads; a queue's *place* is the offset of its head in it, and never changes.
    """

    __slots__ = ("_tables", "values")

    def __init__(self) -> None:
        self.values: array[int] = array("q")
        self._tables: dict[tuple[int, int], dict[int, int]] = {}

    def find(self, kind: int, appid: int, owner: int) -> int:
        """The place of a queue, -1 if nothing was ever entered in it."""
        table = self._tables.get((kind, appid))
        return -1 if table is None else table.get(owner, -1)

    def place(self, kind: int, appid: int, owner: int) -> int:
        """The place of a queue; a new one is empty."""
        table = self._tables.get((kind, appid))
        if table is None:
            table = self._tables[kind, appid] = {}
        place = table.get(owner)
        if place is None:
            place = table[owner] = len(self.values)
            self.values.extend(_EMPTY)
        return place

    def __len__(self) -> int:
        return len(self.values) // WIDTH

    def head(self, place: int) -> Head:
        """A head as it is now."""
        head: Head = HEAD.unpack_from(self.values, place * 8)
        return head

    def put(self, place: int, head: Head) -> None:
        """Change a head."""
        HEAD.pack_into(self.values, place * 8, *head)

    def apply(self, id_: int, entry: Entry) -> int:
        """Enter a queue record that was read from a file; the queue's last one before it.

        Layouts without a seq go on counting from the record before.
        """
        place = self.place(entry.kind, entry.appid, entry.owner)
        values = self.values
        before = values[place + LAST_ID]
        seq = entry.seq or values[place + LAST_SEQ] + 1
        values[place + LAST_MSGID] = entry.msgid
        values[place + LAST_ID] = id_
        if entry.peer:
            values[place + LAST_PEER] = id_
        if seq % BATCH == 0:
            values[place + LAST_BATCH] = id_
        elif entry.prev_batch:
            values[place + LAST_BATCH] = entry.prev_batch
        values[place + LAST_SEQ] = seq
        return before

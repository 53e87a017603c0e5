"""The heads of all queues, in memory.

A head has five integers, `LAST_MSGID` to `LAST_SEQ`, all 0 for an empty queue. All heads are in one
array. One object per queue would take four times the memory (290 bytes, measured with a million
queues), and each garbage collection would visit it. Two more arrays have the owners of the heads.
So all of it can be written to a file without conversion (`snapshot`).
"""

from array import array
from struct import Struct

from gobelieve.storage.format.records import ENTRIES_PER_BATCH, Entry

LAST_MSGID, LAST_ID, LAST_PEER, LAST_BATCH, LAST_SEQ = range(5)
WIDTH = 5
Head = tuple[int, int, int, int, int]
HEAD = Struct("5q")
"""The layout of a head in `Index.values`: 8 bytes per integer."""
_EMPTY = array("q", [0] * WIDTH)


class Index:
    """The head of each queue.

    `values` has the heads. A queue's *place* is the offset of its head in `values`, and never
    changes. In the same order, `owners` has the user or group, and `tables` has a number in
    `names`, the list of kinds and apps. All of them only grow.
    """

    __slots__ = ("_numbers", "_tables", "names", "owners", "tables", "values")

    def __init__(self) -> None:
        self.values: array[int] = array("q")
        self.owners: array[int] = array("q")
        self.tables: array[int] = array("i")
        self.names: list[tuple[int, int]] = []
        self._tables: dict[tuple[int, int], dict[int, int]] = {}
        self._numbers: dict[tuple[int, int], int] = {}

    def find(self, kind: int, appid: int, owner: int) -> int:
        """Return the place of a queue; -1 if the queue has no head yet."""
        table = self._tables.get((kind, appid))
        return -1 if table is None else table.get(owner, -1)

    def place(self, kind: int, appid: int, owner: int) -> int:
        """Return the place of a queue. A new queue gets an empty head."""
        table = self._tables.get((kind, appid))
        if table is None:
            table = self._table((kind, appid))
        place = table.get(owner)
        if place is None:
            self.owners.append(owner)
            self.tables.append(self._numbers[kind, appid])
            place = table[owner] = len(self.values)
            self.values.extend(_EMPTY)
        return place

    def table(self, kind: int, appid: int) -> dict[int, int]:
        """Return the places of an app's queues of a kind, by owner. Do not change the result."""
        name = (kind, appid)
        return self._tables[name] if name in self._tables else self._table(name)

    def _table(self, name: tuple[int, int]) -> dict[int, int]:
        self._numbers[name] = len(self.names)
        self.names.append(name)
        table = self._tables[name] = {}
        return table

    def fill(
        self,
        names: list[tuple[int, int]],
        owners: "array[int]",
        tables: "array[int]",
        values: "array[int]",
    ) -> None:
        """Take over the arrays of another index. This index must be empty."""
        self.owners, self.tables, self.values = owners, tables, values
        found = [self._table(name) for name in names]
        places = range(0, len(values), WIDTH)
        if len(found) == 1:
            found[0].update(zip(owners, places, strict=True))
            return
        for table, owner, place in zip(tables, owners, places, strict=True):
            found[table][owner] = place

    def __len__(self) -> int:
        return len(self.owners)

    def count(self, kind: int) -> int:
        """Return the number of queues of a kind. The cost is one step per app."""
        return sum(len(table) for (one, _), table in self._tables.items() if one == kind)

    def head(self, place: int) -> Head:
        """Return the present head at a place."""
        head: Head = HEAD.unpack_from(self.values, place * 8)
        return head

    def put(self, place: int, head: Head) -> None:
        """Replace the head at a place."""
        HEAD.pack_into(self.values, place * 8, *head)

    def apply(self, id_: int, entry: Entry) -> int:
        """Enter a queue record that was read from a file. Return the queue's last entry before it.

        In layouts without a seq, the seq is one more than that of the entry before.
        """
        place = self.place(entry.kind, entry.appid, entry.owner)
        values = self.values
        before = values[place + LAST_ID]
        seq = entry.seq or values[place + LAST_SEQ] + 1
        values[place + LAST_MSGID] = entry.msgid
        values[place + LAST_ID] = id_
        if entry.peer:
            values[place + LAST_PEER] = id_
        elif not values[place + LAST_PEER]:
            # The last peer entry may be in a block that was removed.
            values[place + LAST_PEER] = entry.prev_peer
        if seq % ENTRIES_PER_BATCH == 0:
            values[place + LAST_BATCH] = id_
        elif entry.prev_batch:
            values[place + LAST_BATCH] = entry.prev_batch
        values[place + LAST_SEQ] = seq
        return before

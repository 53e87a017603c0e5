"""The heads of all queues, in memory.

A head is five integers, `LAST_MSGID` to `LAST_SEQ`, all 0 for an empty queue. They lie one head
behind the other in one array, since an object a queue would cost four times the memory and would
be walked by every garbage collection (290 bytes a queue, by measurement of a million). Whose heads
they are lies in two more arrays: so all of it can be written to a file as it is (`snapshot`).
"""

from array import array
from struct import Struct

from gobelieve.storage.format.records import BATCH, Entry

LAST_MSGID, LAST_ID, LAST_PEER, LAST_BATCH, LAST_SEQ = range(5)
WIDTH = 5
Head = tuple[int, int, int, int, int]
HEAD = Struct("5q")
"""A head in `Index.values`, 8 bytes an integer."""
_EMPTY = array("q", [0] * WIDTH)


class Index:
    """Where each queue ends.

    `values` holds the heads; a queue's *place* is the offset of its head in it, and never changes.
    In the same order `owners` says whose they are, and `tables` of which of `names`, the kinds and
    apps that there are. All of them only grow.
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
        """The place of a queue, -1 if nothing was ever entered in it."""
        table = self._tables.get((kind, appid))
        return -1 if table is None else table.get(owner, -1)

    def place(self, kind: int, appid: int, owner: int) -> int:
        """The place of a queue; a new one is empty."""
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
        """The places of all queues of a kind in an app, by owner. To be looked at only."""
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
        """Take over what an index had; this one is empty so far."""
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
        """How many queues there are of a kind. It looks at each app, not at each queue."""
        return sum(len(table) for (one, _), table in self._tables.items() if one == kind)

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
        elif not values[place + LAST_PEER]:
            # It may be in a block that was removed.
            values[place + LAST_PEER] = entry.prev_peer
        if seq % BATCH == 0:
            values[place + LAST_BATCH] = id_
        elif entry.prev_batch:
            values[place + LAST_BATCH] = entry.prev_batch
        values[place + LAST_SEQ] = seq
        return before

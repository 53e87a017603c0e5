"""A member of a group or of a room, which receives messages as apps do and checks them."""

from collections.abc import Callable
from struct import Struct

from gobelieve.bench.p2p import BenchClient
from gobelieve.interfaces import Turn
from gobelieve.wire import client
from gobelieve.wire.frames import PUSH, SELF, Frame

_KEYS = Struct(">qq")
_NUMBER = slice(24, 34)
_ROOM_NUMBER = slice(16, 26)

NOTIFIES = {client.SyncNotify.number: 0, client.SyncGroupNotify.number: 8}
ENDS = {client.SyncEnd.number: 0, client.SyncGroupEnd.number: 8}
"""The offset of the key in these frames."""

Came = Callable[[int, int], None]
"""Called with sender and number of each new message."""


class Member(BenchClient):
    """Checks that the messages of each sender come once and in the order of their numbers.

    `queue` is the super group whose queue the member reads; 0 is its own queue. Numbers begin at 1.
    """

    def __init__(self, turn: Turn, uid: int, queue: int, came: Came) -> None:
        super().__init__(turn, uid)
        self._queue = queue
        self._came = came
        self.ponged: Callable[[], None] = lambda: None
        self.acked: Callable[[int, int], None] = lambda seq, status: None
        self.doubled = 0
        self.disordered = 0
        self.synced = 0
        """Messages that came by sync."""
        self._key = 0
        self._pending = 0
        self._syncing = False
        self._last: dict[int, int] = {}
        self._missing: set[tuple[int, int]] = set()
        self._metadata = (-1, 0, 0)

    def received(self, frame: Frame) -> None:
        cmd = frame.cmd
        if cmd == client.Metadata.number:
            self._metadata = (frame.seq, *_KEYS.unpack_from(frame.body))
        elif cmd == client.GroupIM.number:
            self._message(frame)
        elif cmd in NOTIFIES:
            at = NOTIFIES[cmd]
            self._pending = max(self._pending, int.from_bytes(frame.body[at : at + 8], "big"))
            self._sync()
        elif cmd == client.RoomIM.number:
            self._count(int.from_bytes(frame.body[:8], "big"), int(frame.body[_ROOM_NUMBER]))
        elif cmd in ENDS:
            at = ENDS[cmd]
            self._key = int.from_bytes(frame.body[at : at + 8], "big")
            self._syncing = False
            self._report()
            self._sync()
        elif cmd == client.Ack.number:
            self._follow(frame.seq)
            ack = client.Ack.decode(frame.body)
            self.acked(ack.seq, ack.status)
        elif cmd == client.Pong.number:
            self.ponged()

    def _message(self, frame: Frame) -> None:
        if frame.flag & PUSH:
            if not self._follow(frame.seq):
                return
        elif frame.flag & SELF:
            return
        else:
            self.synced += 1
        self.say(client.Ack.number, frame.seq.to_bytes(4, "big"))
        self._count(int.from_bytes(frame.body[:8], "big"), int(frame.body[_NUMBER]))

    def _follow(self, seq: int) -> bool:
        """Accept a pushed message, or an own one, if it directly follows the last one."""
        before, key, prev = self._metadata
        if before + 1 != seq or not prev or prev != self._key or self._syncing:
            return False
        self._key = key
        self._report()
        return True

    def _count(self, sender: int, number: int) -> None:
        last = self._last.get(sender, 0)
        if number == last + 1:
            self._last[sender] = number
        elif number > last:
            self._missing.update((sender, between) for between in range(last + 1, number))
            self._last[sender] = number
        elif (sender, number) in self._missing:
            self._missing.remove((sender, number))
            self.disordered += 1
        else:
            self.doubled += 1
            return
        self._came(sender, number)

    def _sync(self) -> None:
        if self._pending > self._key and not self._syncing:
            self._syncing = True
            if self._queue:
                self.say(client.SyncGroup.number, _KEYS.pack(self._queue, self._key))
            else:
                self.say(client.Sync.number, self._key.to_bytes(8, "big"))

    def _report(self) -> None:
        if self._queue:
            self.say(client.GroupSyncKey.number, _KEYS.pack(self._queue, self._key))
        else:
            self.say(client.SyncKey.number, self._key.to_bytes(8, "big"))

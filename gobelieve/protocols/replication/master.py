"""The master's side of replication (port 3334).

1. A slave connects and reports the end of its own files (220), where a record must begin. If that
   header has version 2, the checksum of the slave's last bytes follows (225). It must be the same
   as ours. A slave of the Go server sends no checksum.
2. The master refuses a slave that it cannot serve, with the reason (224), and disconnects. A slave
   of the Go server does not know 224 and would connect again at once. So it is disconnected after
   `HANG_UP` seconds, like a slave that requests nothing.
3. The master sends its files from that end on, as far as they are settled: records as batches
   (222), other bytes as they are (226). New data is sent after `delay` seconds, or earlier if it is
   enough for a batch.
4. The slave reports how much it has on disk (223).

When the master stops, slaves have a moment to get the rest. A slave that takes over then has
everything.

For the master a slave is a cursor, and nothing is kept for it. The data is read when the slave's
socket takes it. The slaves take turns, one batch each, for 2 ms per turn of the event loop.
"""

from twisted.internet.interfaces import IAddress

from gobelieve.interfaces import World
from gobelieve.protocols.draining import DrainingFactory
from gobelieve.protocols.replication.slave_connection import SlaveConnection
from gobelieve.protocols.round_robin import RoundRobin
from gobelieve.storage.queues.store import Store
from gobelieve.storage.replication.reader import id_of
from gobelieve.storage.replication.slaves import Slave

BUDGET = 0.002
"""Seconds of one turn of the event loop that reading for slaves may take. Saves go first."""
DRAIN_TIMEOUT = 2.0
"""Seconds that slaves have to get the rest when the daemon stops."""


class SlavesFactory(DrainingFactory[SlaveConnection]):
    """The connections of all slaves. `delay` is the seconds that new data may wait for more."""

    drain_timeout = DRAIN_TIMEOUT

    def __init__(self, store: Store, *, world: World, delay: float) -> None:
        super().__init__()
        self.store = store
        self.turn = world.turn
        self.time = world.time
        self.delay = delay
        self.feeds = RoundRobin(world.turn, world.time, BUDGET)
        store.watchers.append(self._moved)

    def buildProtocol(self, addr: IAddress | None) -> SlaveConnection:
        return SlaveConnection(self)

    @property
    def end(self) -> int:
        """The id of the end of the settled data."""
        return id_of(self.store, self.store.settled)

    @property
    def slaves(self) -> list[Slave]:
        """The slaves that receive data."""
        return [connection.slave for connection in self.connections if connection.is_fed]

    def _moved(self) -> None:
        for connection in tuple(self.connections):
            connection.moved()

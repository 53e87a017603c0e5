"""A full disk of storage: messages are refused with a status, and reads continue.

The test sets RLIMIT_FSIZE, which limits the size of the daemon's files. Any user may set it, and it
fails like a full disk: in the middle of a write.
"""

import resource
from pathlib import Path

from gobelieve.names import AckStatus
from tests.faults.support import PATIENT, FaultTestCase, Load, exchange, pong_in_time
from tests.network.processes import Daemon
from tests.servers import missing
from tests.waits import together, until


def fill_disk(daemon: Daemon, path: Path, room: int) -> None:
    """Let the daemon's files grow only to the size of this file, and `room` bytes more."""
    _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    limit = path.stat().st_size + room
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (limit, hard))


def make_room(daemon: Daemon) -> None:
    """Let the daemon's files grow without a limit."""
    _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (hard, hard))


class DiskFullTests(FaultTestCase):
    """A gobelieve-ims with a full disk."""

    skip = missing("redis-server")

    async def test_disk_full_twice_under_load(self) -> None:
        """Messages are refused with STORAGE_FULL. Reads continue, and messages are stored as soon
        as there is room."""
        cluster = await self.cluster()
        ims = cluster.ims[0]
        block = ims.folder / "storage" / "message_0"
        senders = [cluster.client(uid, timing=PATIENT) for uid in range(1001, 1005)]
        await self.connected(*senders)
        load = Load(senders, 2000)
        for _ in range(2):
            load.start()
            await load.more(50)
            refused = load.refused
            fill_disk(ims, block, 3001)
            await until(lambda refused=refused: load.refused > refused + 20, "it is full")  # type: ignore[misc]
            self.assertEqual(load.statuses, {AckStatus.STORAGE_FULL})
            await pong_in_time(*senders)
            await self.everything(cluster.port(), 2000, cluster.token(2000))
            make_room(ims)
            await load.more(50)
            await load.stop()
        # The disk is full more than twice if one message still fitted where several did not.
        troubles = ims.log.count("messages cannot be stored")
        self.assertGreaterEqual(troubles, 2)
        self.assertEqual(ims.log.count("messages are stored again"), troubles)
        await together([ims.restart(kill=True), self.storage_found(cluster)])
        self.assertNotIn("torn", ims.log)
        self.assertNotIn("damage", ims.log)
        load.check(await self.everything(cluster.port(), 2000, cluster.token(2000)))

    async def test_disk_full_from_the_start(self) -> None:
        """While storage cannot write a byte, the gateway and its clients keep running."""
        cluster = await self.cluster()
        alice, bob = await self.connected(cluster.client(1001), cluster.client(1002))
        fill_disk(cluster.ims[0], cluster.ims[0].folder / "storage" / "message_0", 0)
        self.assertEqual(await self.status_of(alice), AckStatus.STORAGE_FULL)
        self.assertEqual(await bob.sync_to_end(), 0)
        await pong_in_time(alice, bob)
        make_room(cluster.ims[0])
        await exchange(alice, bob)

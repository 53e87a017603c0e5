"""A storage daemon without free descriptors, which gets some back later."""

import os
import resource

from twisted.internet.endpoints import HostnameEndpoint, connectProtocol

from tests.network.processes import Daemon, sample, settings
from tests.network.test_storage_clients import Peer, hello, saving
from tests.ports import free_port
from tests.waits import ProcessTestCase

ROOM, MANY = 4, 40


class DescriptorTests(ProcessTestCase):
    """A gobelieve-ims with few descriptors."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.port = free_port()
        rpc = free_port()
        self.daemon = Daemon("gobelieve-ims", listens=[rpc, self.port])
        own = {
            "rpc_listen": f"127.0.0.1:{rpc}",
            "listen": f"127.0.0.1:{self.port}",
            "storage_root": self.daemon.folder / "storage",
        }
        self.daemon.arguments = [*sample("ims"), *settings(own)]
        self.addCleanup(self.daemon.remove)
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()

    async def connect(self) -> Peer:
        """Return a connection. The daemon may close it at once."""
        from twisted.internet import reactor

        where = HostnameEndpoint(reactor, "127.0.0.1", self.port)
        peer: Peer = await connectProtocol(where, Peer())
        return peer

    async def test_no_free_descriptors(self) -> None:
        """Without free descriptors, old connections are served and new ones are not. Later all are
        served."""
        first = await self.connect()
        first.send(saving(hello(b"one")))
        self.assertEqual(await first.saved(), 32)
        open_now = len(os.listdir(f"/proc/{self.daemon.pid}/fd"))
        limits = resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE)
        few = (open_now + ROOM, limits[1])
        resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE, few)

        crowd = [await self.connect() for _ in range(MANY)]
        await self.daemon.logged("EMFILE")
        first.send(saving(hello(b"two")))
        self.assertGreater(await first.saved(), 32)
        for peer in crowd:
            peer.transport.loseConnection()
            await peer.lost

        # After this answer the daemon has seen all connections close. The limit is still low.
        first.send(saving(hello(b"three")))
        third = await first.saved()
        late = await self.connect()
        late.send(saving(hello(b"four")))
        self.assertGreater(await late.saved(), third)
        for peer in (first, late):
            peer.transport.loseConnection()
            await peer.lost

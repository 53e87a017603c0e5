"""A client that does not read: other clients notice nothing, and no message is lost."""

from gobelieve.client import ClientCore
from gobelieve.wire import client
from tests.faults.support import (
    PATIENT,
    Bare,
    FaultTestCase,
    bare,
    exchange,
    memory,
    pong_due,
    summary,
)
from tests.network.processes import Cluster
from tests.servers import missing
from tests.waits import DEADLINE, for_this_machine, together, within

MESSAGES = 4000
SIZE = 8000
"""Bytes of a message. All together are far more than the kernel buffers for a connection."""
MEMORY_BOUND = 16 << 20
"""Bytes by which a gateway may grow meanwhile: half of the messages' size."""
WRITE_TIMEOUT = 2
SLOW = 2000


class SlowReaderTests(FaultTestCase):
    """Alice sends thousands of messages to a client that does not read."""

    skip = missing("redis-server")

    async def slow_reader(self, cluster: Cluster, token: str) -> Bare:
        """Return a client that has synced, and reads nothing from now on."""
        core = ClientCore(SLOW, timing=PATIENT)
        slow = await bare(cluster.port(), core, small=True)
        self.addCleanup(slow.hang_up)
        core.log_in(token, device_id="slow")
        core.sync()
        slow.write(core.data_to_send())
        await slow.until(lambda: bool(slow.synced), "the first sync")
        slow.transport.pauseProducing()
        return slow

    async def write_to_slow(self, cluster: Cluster, count: int) -> list[bytes]:
        """Send messages to the client, wait for their acks, and return their contents."""
        (alice,) = await self.connected(cluster.client(1001, timing=PATIENT))
        contents = [b"%d " % number + bytes(SIZE) for number in range(count)]
        for start in range(0, count, 100):
            await together(alice.send(SLOW, content) for content in contents[start : start + 100])
        return contents

    async def closed_stuck(self, cluster: Cluster) -> None:
        """Wait until the status page counts a client that was closed because it did not read."""
        while not (await summary(cluster.http_port()))["counts"].get("closed_stuck"):
            pass

    async def test_syncs_that_pile_up_behind_a_page_that_is_not_read(self) -> None:
        """Each waiting sync ends when the client reads, also one with the largest possible key."""
        cluster = await self.cluster()
        token = cluster.token(SLOW)
        (alice,) = await self.connected(cluster.client(1001, timing=PATIENT))
        contents = [b"%d " % number + bytes(SIZE) for number in range(1000)]
        await together(alice.send(SLOW, content) for content in contents)
        slow = await bare(cluster.port(), small=True)
        self.addCleanup(slow.hang_up)
        self.assertEqual(await slow.log_in(token), 0)
        keys = [1, *[2**63 - 1] * 8, 1, 2**63 - 1]
        slow.write(b"".join(client.Sync(sync_key=key).frame(n) for n, key in enumerate(keys)))
        slow.transport.pauseProducing()
        await exchange(alice, *await self.connected(cluster.client(1002)))
        slow.transport.resumeProducing()
        ends = client.SyncEnd.number
        await slow.until(lambda: [f.cmd for f in slow.frames].count(ends) == len(keys), "all ends")
        await slow.alive()

    async def test_thousands_of_messages_for_a_client_that_does_not_read(self) -> None:
        """Memory stays bounded, and other clients are as fast as ever. When the client reads again,
        it gets all messages in order."""
        cluster = await self.cluster()
        slow = await self.slow_reader(cluster, cluster.token(SLOW))
        bob, carol = cluster.client(1002, timing=PATIENT), cluster.client(1003, timing=PATIENT)
        traffic = await self.traffic(bob, carol)
        before = memory(cluster.im[0])
        contents = await self.write_to_slow(cluster, MESSAGES)
        grown = memory(cluster.im[0]) - before
        await traffic.more(10)
        self.assertLess(traffic.slowest, pong_due())
        self.assertLess(grown, MEMORY_BOUND)
        slow.transport.resumeProducing()
        await slow.until(lambda: len(slow.messages) >= MESSAGES, "all that was sent")
        self.assertTrue([message.content for message in slow.messages] == contents)
        await traffic.more()
        await traffic.stop()

    async def test_a_client_that_does_not_read_is_closed_in_the_end(self) -> None:
        """After `write_timeout` the client is closed. It gets the missed messages when it connects
        again."""
        cluster = await self.cluster(im={"write_timeout": for_this_machine(WRITE_TIMEOUT)})
        token = cluster.token(SLOW)
        slow = await self.slow_reader(cluster, token)
        contents = await self.write_to_slow(cluster, MESSAGES // 2)
        await within(DEADLINE, self.closed_stuck(cluster), "a client that is stuck is closed")
        slow.transport.resumeProducing()
        await slow.closed()
        received = await self.everything(cluster.port(), SLOW, token)
        self.assertTrue(received == contents)

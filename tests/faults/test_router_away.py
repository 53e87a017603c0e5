"""The router away, standing still, killed: one gateway needs none, several meet again."""

from tests.faults.support import (
    PATIENT,
    FaultTestCase,
    Traffic,
    exchange,
    pong_due,
    pong_in_time,
    summary,
)
from tests.network.processes import Cluster, settings
from tests.network.tap import Tap
from tests.servers import missing, shared_redis
from tests.waits import DEADLINE, within


class RouterAwayTests(FaultTestCase):
    """Alice and Bob are at one gateway, Carol is at another."""

    skip = missing("redis-server")

    async def three_clients(self, cluster: Cluster) -> None:
        """Connect them."""
        self.alice = cluster.client(1001, timing=PATIENT)
        self.bob = cluster.client(1002, timing=PATIENT)
        self.carol = cluster.client(1003, gateway=1, timing=PATIENT)
        await self.connected(self.alice, self.bob, self.carol)

    async def write_to_carol(self, count: int) -> list[bytes]:
        """Each message is acked at once, though Carol cannot be told of it."""
        contents = [b"kept %d" % number for number in range(count)]
        for content in contents:
            await within(pong_due(), self.alice.send(1003, content), "an ack without a router")
        return contents

    async def comes_to_carol(self, contents: list[bytes]) -> None:
        """Without anything that Carol does."""
        for content in contents:
            message = await within(DEADLINE, self.carol.receive(), f"{content!r} at Carol")
            self.assertEqual(message.content, content)

    async def served_without_router(self) -> None:
        """All that does not concern the other gateway, as fast as ever."""
        traffic = Traffic(self.alice, self.bob)
        await traffic.more(10)
        await traffic.stop()
        self.assertLess(traffic.slowest, pong_due())
        await pong_in_time(self.alice, self.bob, self.carol)

    async def test_router_away_at_the_start_and_killed_later(self) -> None:
        """What was sent meanwhile comes by itself when it is back, and what is sent then too."""
        cluster = Cluster(shared_redis(), gateways=2)
        await self.running(cluster, leave_out=cluster.imr, linked=False)
        for im in cluster.im:
            await im.said(r"storage \S+ is connected")
        await self.three_clients(cluster)
        for _ in range(3):
            await self.served_without_router()
            contents = await self.write_to_carol(5)
            await cluster.imr[0].restart(kill=True)
            await self.comes_to_carol(contents)
            await exchange(self.alice, self.carol)
            await cluster.imr[0].kill()

    async def test_router_stands_still(self) -> None:
        """Nobody waits for it, and nothing is forgotten."""
        cluster = await self.cluster(gateways=2)
        await self.three_clients(cluster)
        await exchange(self.alice, self.carol)
        cluster.imr[0].pause()
        await self.served_without_router()
        contents = await self.write_to_carol(50)
        cluster.imr[0].resume()
        await self.comes_to_carol(contents)
        await exchange(self.carol, self.alice)

    async def test_only_the_receivers_gateway_loses_the_router(self) -> None:
        """Nobody keeps what is published meanwhile; it comes all the same when the link is back."""
        cluster = Cluster(shared_redis(), gateways=2)
        tap = Tap()
        port = await tap.start(cluster.imr[0].listens[0])
        self.addCleanup(tap.stop)
        cluster.im[1].arguments += settings({"route_addrs": [f"127.0.0.1:{port}"]})
        await self.running(cluster)
        await self.three_clients(cluster)
        await exchange(self.alice, self.carol)
        tap.cut()
        contents = await self.write_to_carol(5)
        tap.mend()
        await self.comes_to_carol(contents)
        # Not because the other gateway, which has just started, tells its notifies again.
        counts = (await summary(cluster.http_port(1)))["counts"]
        self.assertGreaterEqual(counts.get("caught_up", 0), 1)

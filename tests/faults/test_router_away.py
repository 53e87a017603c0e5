"""The router is away, frozen, or killed: one gateway needs no router, and several reconnect to
it."""

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
    """Alice and Bob are at one gateway, and Carol is at another."""

    skip = missing("redis-server")

    async def three_clients(self, cluster: Cluster) -> None:
        """Connect the three clients."""
        self.alice = cluster.client(1001, timing=PATIENT)
        self.bob = cluster.client(1002, timing=PATIENT)
        self.carol = cluster.client(1003, gateway=1, timing=PATIENT)
        await self.connected(self.alice, self.bob, self.carol)

    async def write_to_carol(self, count: int) -> list[bytes]:
        """Send messages to Carol. Each is acked at once, although nobody can notify Carol."""
        contents = [b"kept %d" % number for number in range(count)]
        for content in contents:
            await within(pong_due(), self.alice.send(1003, content), "an ack without a router")
        return contents

    async def comes_to_carol(self, contents: list[bytes]) -> None:
        """Check that these messages come to Carol without any action of her client."""
        for content in contents:
            message = await within(DEADLINE, self.carol.receive(), f"{content!r} at Carol")
            self.assertEqual(message.content, content)

    async def served_without_router(self) -> None:
        """Check that clients of one gateway are served as fast as ever."""
        traffic = Traffic(self.alice, self.bob)
        await traffic.more(10)
        await traffic.stop()
        self.assertLess(traffic.slowest, pong_due())
        await pong_in_time(self.alice, self.bob, self.carol)

    async def test_router_away_at_the_start_and_killed_later(self) -> None:
        """When the router is back, earlier messages come to their receivers, and new ones too."""
        cluster = Cluster(shared_redis(), gateways=2)
        await self.running(cluster, leave_out=cluster.imr, linked=False)
        for im in cluster.im:
            await im.logged(r"storage \S+ is connected")
        await self.three_clients(cluster)
        for _ in range(3):
            await self.served_without_router()
            contents = await self.write_to_carol(5)
            await cluster.imr[0].restart(kill=True)
            await self.comes_to_carol(contents)
            await exchange(self.alice, self.carol)
            await cluster.imr[0].kill()

    async def test_the_router_is_frozen(self) -> None:
        """While the router is frozen, no client waits for it. No message is forgotten."""
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
        """Messages that are published while a gateway has no link come when the link is back."""
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
        # They came by the catch-up, and not by notifies that the other gateway repeated.
        counts = (await summary(cluster.http_port(1)))["counts"]
        self.assertGreaterEqual(counts.get("caught_up", 0), 1)

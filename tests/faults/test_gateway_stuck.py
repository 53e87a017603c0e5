"""A frozen gateway: the router's memory stays bounded, and other gateways notice nothing."""

import re

from tests.faults.support import PATIENT, FaultTestCase, exchange, memory, pong_due
from tests.servers import missing
from tests.waits import DEADLINE, together, until, within

MESSAGES = 4000
SIZE = 8000
"""Bytes of a message. All together are 32 MB, far more than the kernel buffers for a connection."""
LINK_BACKLOG = 1 << 20
MEMORY_BOUND = 8 << 20
"""Bytes by which the router may grow meanwhile."""
GIVEN_UP = r"gateway \S+ does not read, and is given up"


class GatewayStuckTests(FaultTestCase):
    """Carol is at a frozen gateway. Alice sends messages to her, and others to each other."""

    skip = missing("redis-server")

    async def test_a_gateway_that_does_not_read_what_the_router_sends(self) -> None:
        """The router ends the link of a gateway that does not read, within bounded memory. When the
        gateway continues, it reconnects, and Carol gets all messages in order."""
        # Without pushes: they may wait too, and need memory.
        settings = {"link_backlog": LINK_BACKLOG, "push_disabled": "true"}
        cluster = await self.cluster(gateways=3, imr=settings)
        router = cluster.imr[0]
        alice = cluster.client(1001, timing=PATIENT)
        carol = cluster.client(1003, gateway=1, timing=PATIENT)
        await self.connected(alice, carol)
        traffic = await self.traffic(
            cluster.client(1004, timing=PATIENT), cluster.client(1005, gateway=2, timing=PATIENT)
        )
        await traffic.more(20)
        before = memory(router)
        cluster.im[1].pause()
        contents = [b"%d " % number + bytes(SIZE) for number in range(MESSAGES)]
        for start in range(0, MESSAGES, 100):
            some = contents[start : start + 100]
            await together(alice.send(1003, content) for content in some)
        await router.logged(GIVEN_UP)
        await traffic.more(20)
        self.assertLess(traffic.slowest, pong_due())
        self.assertLess(memory(router) - before, MEMORY_BOUND)
        cluster.im[1].resume()
        for number, content in enumerate(contents):
            message = await within(DEADLINE, carol.receive(), f"message {number} at Carol")
            self.assertTrue(message.content == content, f"not message {number}")
        back = re.compile(r"router \S+ is connected")
        await until(lambda: len(back.findall(cluster.im[1].log)) >= 2, "the gateway is back")
        await exchange(carol, alice)
        await traffic.more()
        await traffic.stop()

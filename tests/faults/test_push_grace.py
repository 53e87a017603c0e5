"""Connected users get no phone pushes while the router, or a gateway's link, is away for a
moment."""

import json
import re
from struct import pack

from gobelieve.wire import encode_frame, route
from gobelieve.wire.client import IM
from tests.faults.support import PATIENT, FaultTestCase, bare, exchange, pong_due
from tests.network.processes import Cluster, settings
from tests.network.tap import Tap
from tests.servers import missing
from tests.waits import DEADLINE, for_this_machine, until, within

GRACE = 3.0


class PushGraceTests(FaultTestCase):
    """Alice and Carol are at two gateways. Users 1004 and 1005 are offline."""

    skip = missing("redis-server")

    def setUp(self) -> None:
        self.redis = self.own_redis()

    async def start(self, cluster: Cluster) -> None:
        """Connect Alice and Carol."""
        self.alice = cluster.client(1001, timing=PATIENT)
        self.carol = cluster.client(1003, gateway=1, timing=PATIENT)
        await self.connected(self.alice, self.carol)

    async def write(self, content: bytes, *uids: int) -> None:
        """Let Alice send a message to each user. The acks do not wait for the router."""
        for uid in uids:
            await within(pong_due(), self.alice.send(uid, content), f"ack of {content!r}")

    def pushed(self) -> list[tuple[int, str]]:
        """Return receiver and content of each push."""
        items = re.findall(r"^\{.*\}", self.redis.run("LRANGE", "push_queue", "0", "-1"), re.M)
        fields = [json.loads(item) for item in items]
        return [(one["receiver"], one["content"]) for one in fields]

    async def until_pushed(self, receiver: int, content: str) -> None:
        """Wait until this push is in the list."""
        await until(lambda: (receiver, content) in self.pushed(), f"a push of {content}")

    async def test_the_router_is_killed_and_one_gateway_comes_back_late(self) -> None:
        """A user at the late gateway gets the message and no push. An offline user gets the pushes,
        in order."""
        cluster = Cluster(self.redis, gateways=2, imr={"push_grace": for_this_machine(GRACE)})
        await self.running(cluster)
        await self.start(cluster)
        router, late = cluster.imr[0], cluster.im[1]
        late.pause()
        await router.kill()
        await self.write(b"while it is away", 1003, 1004)
        await router.restart(kill=True)
        await router.logged("gateway .* connected")
        await self.write(b"while one is missing", 1003, 1004)
        self.assertEqual(self.pushed(), [])
        late.resume()
        for content in (b"while it is away", b"while one is missing"):
            message = await within(DEADLINE, self.carol.receive(), f"{content!r} at Carol")
            self.assertEqual(message.content, content)
        await self.until_pushed(1004, "while one is missing")
        self.assertEqual(
            self.pushed(), [(1004, "while it is away"), (1004, "while one is missing")]
        )
        await self.write(b"afterwards", 1003, 1004)
        await self.until_pushed(1004, "afterwards")
        self.assertEqual(len(self.pushed()), 3)

    async def test_the_router_stops_while_pushes_wait(self) -> None:
        """A router that stops decides the waiting pushes at once, and writes them before it
        ends."""
        cluster = Cluster(self.redis, gateways=0, imr={"push_grace": 100})
        (router,) = cluster.imr
        await self.running(cluster, leave_out=cluster.ims, linked=False)
        link = await bare(router.listens[0])
        inner = IM(sender=1, receiver=1004, msgid=0, content=b"kept").frame()
        push = route.WidePush(appid=7, receivers=(1003, 1004), inner=inner).encode()
        frames = encode_frame(route.PUSH, push, 1, 1)
        frames += encode_frame(route.SUBSCRIBE, pack(">qqb", 7, 1003, 1), 2, 1)
        await link.request(frames + encode_frame(route.MARK, b"", 3, 1), route.MARKED)
        self.assertEqual(self.pushed(), [])
        await router.stop()
        self.assertEqual(self.pushed(), [(1004, "kept")])
        await link.closed()

    async def test_the_link_of_a_gateway_is_cut(self) -> None:
        """Pushes for the gateway's users wait until it is back. Pushes for others do not wait."""
        cluster = Cluster(self.redis, gateways=2)
        tap = Tap()
        port = await tap.start(cluster.imr[0].listens[0])
        self.addCleanup(tap.stop)
        cluster.im[1].arguments += settings({"route_addrs": [f"127.0.0.1:{port}"]})
        await self.running(cluster)
        await self.start(cluster)
        await exchange(self.alice, self.carol)
        tap.cut()
        await cluster.imr[0].logged("gateway .* disconnected")
        await self.write(b"while it is cut", 1003, 1004)
        await self.until_pushed(1004, "while it is cut")
        tap.mend()
        message = await within(DEADLINE, self.carol.receive(), "the message at Carol")
        self.assertEqual(message.content, b"while it is cut")
        await cluster.imr[0].logged("1 pushes waited until it was known who is online")
        await self.write(b"afterwards", 1003, 1005)
        await self.until_pushed(1005, "afterwards")
        self.assertEqual(self.pushed(), [(1004, "while it is cut"), (1005, "afterwards")])

"""The Go server's test suite, case by case, against real daemons.

Each docstring begins with the case's name there. The Go server's suite often accepts one message of
many; here all are expected, once and in order.
"""

import json
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody

from gobelieve.client import Client, ClientCore, Ponged
from gobelieve.names import Platform, User
from gobelieve.wire import client, customers
from tests.network.processes import AllInOne, Cluster
from tests.network.sites import (
    KEFU,
    ORDINARY,
    SUPER,
    SiteCase,
    all_in_one,
    two_nodes,
)
from tests.servers import missing
from tests.waits import for_this_machine

LOGIN: dict[str, Any] = {
    "platform": Platform.ANDROID,
    "device_id": "f9d2a7c2-701a-11e5-9c3e-34363bd464b2",
    "version": 1,
}


class SuiteCase(SiteCase):
    """The all-in-one daemon, with the users, groups and login of the Go server's suite."""

    server: AllInOne

    async def begin_server(self, **settings: Any) -> None:
        self.server = await all_in_one(self, **settings)

    async def client(self, uid: int, *, live: bool = True, **options: Any) -> Client:
        """Return a client. With `live` it is connected and synced."""
        made = await self.server.client(uid, **{**LOGIN, **options})
        if live:
            await self.begin(made)
        else:
            self.addCleanup(made.close)
        return made


class PostingCase(SuiteCase):
    """Posts like the app's server."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        await self.begin_server()

    async def post(self, path: str, body: bytes | dict[str, Any]) -> None:
        """Send a post, and check that the answer is 200."""
        from twisted.internet import reactor

        clock: Any = reactor
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        agent = Agent(clock, pool=HTTPConnectionPool(clock, persistent=False))
        url = f"http://127.0.0.1:{self.server.http_port}{path}"
        producer = FileBodyProducer(BytesIO(data))
        response = await self.soon(agent.request(b"POST", url.encode(), None, producer), path)
        answer = await self.soon(readBody(response), "the answer")
        self.assertEqual(response.code, 200, answer)


class HttpPeerTests(PostingCase):
    """The cases of test_peer that post."""

    async def test_http_send_and_recv(self) -> None:
        """TestHttpSendAndRecv: a message from 1 to 2; 2 gets a frame 4."""
        two = await self.client(2)
        await self.post("/post_peer_message?appid=7&sender=1&receiver=2", b"test im")
        message = await self.soon(two.receive(), "the message")
        self.assertIsInstance(message.message, client.IM)
        self.assertEqual((message.sender, message.content), (1, b"test im"))

    async def test_notification(self) -> None:
        """TestNotification: 2 gets a frame 36."""
        two = await self.client(2)
        await self.post("/post_notification?appid=7&uid=2", b"test notification")
        heard = await self.soon(two.receive_live(), "the notification")
        self.assertEqual(heard, client.Notification(content=b"test notification"))

    async def test_system_message(self) -> None:
        """TestSystemMessage: 2 gets a frame 21."""
        two = await self.client(2)
        posted = {"appid": 7, "receivers": [2], "content": "test system"}
        await self.post("/post_system_message", posted)
        message = await self.soon(two.receive(), "the message")
        self.assertEqual(message.message, client.System(content=b"test system"))


class HttpGroupTests(PostingCase):
    """The cases of test_group that post."""

    async def notified(self, group: int, queue: int) -> None:
        one = await self.client(1)
        text = '{"create":{}}'
        posted = {"appid": 7, "group_id": group, "notification": text, "members": [*range(1, 11)]}
        await self.post("/post_group_notification", posted)
        message = await self.soon(one.receive(), "the notification")
        self.assertEqual(message.message, client.GroupNotification(content=text.encode()))
        self.assertEqual(message.group_id, queue)

    async def test_group_notification(self) -> None:
        """TestGroupNotification: 1 gets a frame 7 with the key `create`."""
        await self.notified(ORDINARY, 0)

    async def test_super_group_notification(self) -> None:
        """TestSuperGroupNotification: 1 gets a frame 7 from the group's queue."""
        await self.notified(SUPER, SUPER)

    async def test_send_http_group_message(self) -> None:
        """TestSendHttpGroupMessage, which is defined there and never called: 1 gets a frame 8."""
        one = await self.client(1)
        await self.post(f"/post_group_message?appid=7&sender=2&receiver={ORDINARY}", b"test")
        message = await self.soon(one.receive(), "the message")
        self.assertIsInstance(message.message, client.GroupIM)
        self.assertEqual((message.sender, message.content), (2, b"test"))


class PeerTests(SuiteCase):
    """The other cases of test_peer."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        await self.begin_server()

    async def test_rt_send_and_recv(self) -> None:
        """TestRTSendAndRecv: 2 gets a frame 17."""
        one, two = await self.client(1), await self.client(2)
        one.send_rt(2, "test rt")
        heard = await self.soon(two.receive_live(), "the RT")
        self.assertEqual(heard, client.RT(sender=1, receiver=2, content=b"test rt"))

    async def test_room_message(self) -> None:
        """TestRoomMessage: 1 is in room 1, 2 enters and says something; 1 gets a frame 20."""
        one, two = await self.client(1), await self.client(2)
        await self.enter(1, one)
        two.enter_room(1)
        await self.soon(two.send_room(1, "test room im"), "the ack")
        heard = await self.soon(one.receive_live(), "what was said")
        self.assertEqual(heard, client.RoomIM(sender=2, receiver=1, content=b"test room im"))

    async def test_send_and_recv(self) -> None:
        """TestSendAndRecv: 1 gets the ack of its seq, 2 gets a frame 4 by sync."""
        one, two = await self.client(1), await self.client(2)
        await self.soon(one.send(2, "test im"), "the ack")
        message = await self.soon(two.receive(), "the message")
        self.assertIsInstance(message.message, client.IM)
        self.assertEqual((message.content, message.pushed), (b"test im", False))

    async def test_offline(self) -> None:
        """TestOffline: 2 logs in after 1 wrote, and SYNC(0) brings it."""
        one = await self.client(1)
        await self.soon(one.send(2, "test im"), "the ack")
        await self.get([b"test im"], await self.client(2))

    async def test_ping_pong(self) -> None:
        """TestPingPong: the client gets a frame 14."""
        two = await self.client(2)
        two.ping()
        await self.soon(two.next_event(Ponged), "the pong")


class TimeoutTests(SuiteCase):
    """The timeout of test_peer."""

    async def test_timeout(self) -> None:
        """TestTimeout: a silent client is cut off (there after 360 s, here after 1 s)."""
        from twisted.internet import reactor

        clock: Any = reactor
        await self.begin_server(**{"im.idle_timeout": for_this_machine(1)})
        lost: Deferred[None] = Deferred()

        def again(attempt: int) -> float:
            if attempt == 1:
                clock.callLater(0, lost.callback, None)
            return 3600.0

        await self.client(2, retry=again)
        await self.soon(lost, "the server hangs up")


class GroupTests(SuiteCase):
    """The other cases of test_group."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        await self.begin_server()

    async def test_group_message(self) -> None:
        """TestGroupMessage: 2 writes to 3110 and gets its ack; 1 gets a frame 8 by sync."""
        one, two = await self.client(1), await self.client(2)
        await self.soon(two.send_group(ORDINARY, "test"), "the ack")
        message = await self.soon(one.receive(), "the message")
        self.assertIsInstance(message.message, client.GroupIM)
        self.assertEqual((message.content, message.group_id), (b"test", 0))

    async def test_super_group_message(self) -> None:
        """TestSuperGroupMessage: 2 writes to 3111 and gets its ack; 1 gets it by the group's
        sync."""
        one, two = await self.client(1), await self.client(2)
        await self.soon(two.send_group(SUPER, "test"), "the ack")
        message = await self.soon(one.receive(), "the message")
        self.assertEqual((message.content, message.group_id), (b"test", SUPER))

    async def offline(self, group: int, queue: int) -> None:
        two = await self.client(2)
        await self.soon(two.send_group(group, "test"), "the ack")
        one = await self.client(1, live=False)
        await self.soon(one.connect(), "the login")
        one.follow(group)
        message = await self.soon(one.receive(), "the message")
        assert isinstance(message.message, client.GroupIM)
        self.assertEqual((message.message.receiver, message.group_id), (group, queue))
        await self.soon(one.sync_to_end(group), "SYNC_GROUP is answered for either kind")
        self.assertEqual(one.waiting, 0)

    async def test_group_offline(self) -> None:
        """TestGroupOffline: 1 logs in later, SYNC(0) and SYNC_GROUP(3110, 0): receiver 3110."""
        await self.offline(ORDINARY, 0)

    async def test_super_group_offline(self) -> None:
        """TestSuperGroupOffline: 1 logs in later, and gets the message to 3111 by the group's
        sync."""
        await self.offline(SUPER, SUPER)


class CustomerTests(SuiteCase):
    """The cases of test_customer."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        await self.begin_server()

    async def test_customer_message(self) -> None:
        """TestCustomerMessage: seller 2 of app 1453 gets a frame 24 of user 1 of app 7."""
        seller, customer = await self.client(2, appid=KEFU), await self.client(1)
        await self.soon(customer.send_customer(2, "test"), "the ack")
        message = await self.soon(seller.receive(), "the message")
        self.assertIsInstance(message.message, customers.Customer)

    async def test_customer_support_message(self) -> None:
        """TestCustomerSupportMessage: the customer gets a frame 25 of the seller."""
        seller, customer = await self.client(2, appid=KEFU), await self.client(1)
        await self.soon(seller.send_support(User(7, 1), "test"), "the ack")
        message = await self.soon(customer.receive(), "the message")
        self.assertIsInstance(message.message, customers.CustomerSupport)

    async def test_customer_message_v2(self) -> None:
        """TestCustomerMessageV2: a frame 64, by sync."""
        seller, customer = await self.client(2, appid=KEFU), await self.client(1)
        await self.soon(customer.send_customer_v2(User(KEFU, 2), "test"), "the ack")
        message = await self.soon(seller.receive(), "the message")
        self.assertIsInstance(message.message, customers.CustomerV2)


class Deaf(Protocol):
    """Sends all its bytes at once, and never reads."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.pauseProducing()
        transport.write(self._data)


class RoomTests(SuiteCase):
    """The cases of test_room."""

    async def test_room_message(self) -> None:
        """TestRoomMessage: a client sends 1000 messages without reading its acks. All arrive, in
        order."""
        from twisted.internet import reactor

        await self.begin_server()
        room, speaker, listener = 1, 13635273142, 13635273143
        hears = await self.client(listener)
        await self.enter(room, hears)
        core = ClientCore(speaker, version=1)
        core.log_in(await self.server.token(speaker), Platform.ANDROID, "another device")
        core.enter_room(room)
        for number in range(1000):
            core.send_room(room, str(number))
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", self.server.port)
        factory = Factory.forProtocol(lambda: Deaf(core.data_to_send()))
        deaf: Any = await endpoint.connect(factory)
        self.addCleanup(deaf.transport.abortConnection)
        await self.get_live((b"%d" % number for number in range(1000)), hears)


class ClusterTests(SiteCase):
    """TestCluster, TestClusterRoomMessage, TestClusterGroupMessage and
    TestClusterSuperGroupMessage: sender and receiver are at different gateways. `test_two_nodes`
    tests much more."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")
    cluster: Cluster

    async def client(self, uid: int, gateway: int) -> Client:
        return await self.begin(self.cluster.client(uid, gateway, **LOGIN))

    async def test_cluster(self) -> None:
        """All four cases pass on one cluster."""
        self.cluster = await two_nodes(self, "upstream_suite")
        sender, receiver = await self.client(2, 0), await self.client(1, 1)
        await self.soon(sender.send(1, "test im"), "the ack")
        await self.get([b"test im"], receiver)
        await self.enter(1, receiver, sender)
        await self.soon(sender.send_room(1, "test room im"), "the ack")
        await self.get_live([b"test room im"], receiver)
        for group in (ORDINARY, SUPER):
            await self.soon(sender.send_group(group, "test group im"), "the ack")
            await self.get([b"test group im"], receiver)
        await self.nothing_more(sender, receiver)

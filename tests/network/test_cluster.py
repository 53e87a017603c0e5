"""Several gateways and storages: notifications reach all devices, and queues are in their
storage."""

from typing import Any

from twisted.internet.defer import Deferred

from gobelieve.client import Client, LiveReceived
from gobelieve.wire import client
from tests.network.processes import AllInOne, Cluster, Daemon, make_client, settings
from tests.network.tap import Tap, names
from tests.ports import free_port
from tests.servers import missing, shared_redis
from tests.waits import ProcessTestCase


class ClusterCase(ProcessTestCase):
    """Starts clusters and connects clients."""

    async def started(self, cluster: Cluster) -> Cluster:
        """Start a cluster. At the end of the test it is stopped, and its logs are checked."""
        self.addCleanup(cluster.stop)
        await cluster.start()
        for gateway in cluster.im:
            await gateway.logged("router .* is connected")
        return cluster

    async def connected(self, one: Client) -> Client:
        """Connect a client and sync. At the end of the test it is closed."""
        self.addCleanup(one.close)
        await one.connect()
        await one.sync_to_end()
        return one


class TwoGatewayTests(ClusterCase):
    """Alice is at one gateway. Bob and Alice's second device are at the other."""

    skip = missing("redis-server")

    async def test_each_device_gets_the_ids_of_its_own_queue(self) -> None:
        """A message is pushed to Bob and to Alice's tablet at another gateway, although neither
        syncs."""
        cluster = await self.started(Cluster(shared_redis(), gateways=2))
        phone = await self.connected(cluster.client(1001, 0, device_id="phone"))
        tablet = await self.connected(cluster.client(1001, 1, device_id="tablet"))
        bob = await self.connected(cluster.client(1002, 1))
        await phone.send(1003, "only in Alice's queue")
        await tablet.receive()
        await tablet.sync_to_end()
        await phone.send(1002, "first")
        for one in (bob, tablet):
            self.assertEqual((await one.receive()).content, b"first")
            await one.sync_to_end()
        await phone.send(1002, "second")
        for one in (bob, tablet):
            message = await one.receive()
            self.assertEqual(message.content, b"second")
            self.assertTrue(message.pushed)
            self.assertFalse(message.is_self)
        self.assertEqual(bob.key, tablet.key, "the body is stored once")

    async def test_with_direct_push_off_only_notifies_go_out(self) -> None:
        """Without direct push the gateway only notifies, as the seed does. The message comes by
        sync."""
        cluster = await self.started(
            Cluster(shared_redis(), gateways=2, im={"direct_push": "false"})
        )
        tap = Tap()
        port = await tap.start(cluster.port(1))
        self.addCleanup(tap.stop)
        alice = await self.connected(cluster.client(1001, 0))
        bob = await self.connected(make_client(port, 1002, cluster.token(1002), {}))
        await alice.send(1002, "first")
        await bob.receive()
        await bob.sync_to_end()
        tap.forget()
        await alice.send(1002, "second")
        self.assertFalse((await bob.receive()).pushed)
        await tap.saw(tap.back, ["SYNC_NOTIFY", "SYNC_BEGIN", "IM", "SYNC_END"])
        self.assertNotIn("METADATA", names(tap.back))

    async def test_an_offline_user_gets_a_push_item_and_an_online_one_does_not(self) -> None:
        """The router knows the connected users of all gateways."""
        redis = shared_redis()
        cluster = await self.started(Cluster(redis, gateways=2))
        alice = await self.connected(cluster.client(1001, 0))
        bob = await self.connected(cluster.client(1002, 1))
        await alice.send(1002, "to somebody online")
        await bob.receive()
        await alice.send(1003, "to somebody offline")
        reply = await self._popped(redis)
        self.assertIn('"content":"to somebody offline"', reply)
        self.assertIn('"receiver":1003,"sender":1001', reply)
        self.assertEqual(redis.run("LLEN", "push_queue"), ":0\r\n")

    async def _popped(self, redis: Any) -> str:
        from twisted.internet.threads import deferToThread

        reply: str = await deferToThread(redis.run, "BLPOP", "push_queue", "0")
        return reply

    async def test_live_messages_reach_another_gateway(self) -> None:
        """RT and INPUTING reach the other gateway, and are not stored."""
        cluster = await self.started(Cluster(shared_redis(), gateways=2))
        alice = await self.connected(cluster.client(1001, 0))
        bob = await self.connected(cluster.client(1002, 1))
        alice.send_rt(1002, "now")
        alice.send_inputing(1002)
        rt = await bob.next_event(LiveReceived)
        typing = await bob.next_event(LiveReceived)
        self.assertEqual(rt.message, client.RT(sender=1001, receiver=1002, content=b"now"))
        self.assertEqual(typing.message, client.Inputing(sender=1001, receiver=1002))
        self.assertEqual(await bob.sync_to_end(), 0)


class TwoStorageTests(ClusterCase):
    """Users whose queues are in different storages."""

    skip = missing("redis-server")

    async def test_each_queue_is_in_its_own_storage(self) -> None:
        """Users of both storages send messages to each other and to themselves. Each syncs their
        own queue."""
        cluster = await self.started(Cluster(shared_redis(), storages=2))
        even = await self.connected(cluster.client(1000))
        odd = await self.connected(cluster.client(1001))
        await even.send(1001, "across")
        await odd.send(1000, "back")
        await even.send(1000, "note to myself")
        self.assertEqual((await odd.receive()).content, b"across")
        self.assertEqual((await even.receive()).content, b"back")
        other = await self.connected(cluster.client(1000, device_id="other", own_messages=True))
        contents = [(await other.receive()).content for _ in range(3)]
        self.assertEqual(contents, [b"across", b"back", b"note to myself"])


class JoiningTests(ClusterCase):
    """The all-in-one daemon, and a gateway that joins it."""

    skip = missing("redis-server")

    async def test_a_gateway_joins_the_embedded_daemon(self) -> None:
        """The gateway uses the storage and the router of the all-in-one daemon."""
        server = AllInOne()
        self.addCleanup(server.stop)
        await server.start()
        route, rpc = server.daemon.listens[3:]
        redis = shared_redis()
        redis.run("HSET", "access_token_joining", "user_id", "1002", "app_id", "7")
        port = free_port()
        values = {
            "host": "127.0.0.1",
            "port": port,
            "storage_rpc_addrs": [f"127.0.0.1:{rpc}"],
            "route_addrs": [f"127.0.0.1:{route}"],
            "redis.address": redis.address,
        }
        gateway = Daemon("gobelieve-im", settings(values), [port])
        server.daemons.append(gateway)
        await gateway.start()
        await gateway.logged("router .* is connected")
        alice = await self.connected(await server.client(1001))
        bob = await self.connected(make_client(port, 1002, "joining", {}))
        await alice.send(1002, "first")
        await bob.receive()
        await bob.send(1001, "answer")
        self.assertEqual((await alice.receive()).content, b"answer")


class ManyTests(ClusterCase):
    """More than one page of messages."""

    async def test_a_long_absence_is_synced_in_pages_in_order(self) -> None:
        """A client that was away gets 205 messages in pages of 50: none is lost, and none comes
        twice."""
        server = AllInOne({"ims.limit": 50})
        self.addCleanup(server.stop)
        await server.start()
        alice = await self.connected(await server.client(1001))
        sent = [Deferred.fromCoroutine(alice.send(1002, str(n))) for n in range(205)]
        for one in sent:
            await one
        bob = await server.client(1002)
        self.addCleanup(bob.close)
        await bob.connect()
        got = [int((await bob.receive()).content) for _ in range(205)]
        self.assertEqual(got, list(range(205)))
        self.assertEqual(await bob.sync_to_end(), bob.key)

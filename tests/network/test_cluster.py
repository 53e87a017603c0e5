"""Several gateways, several storages: who is told what, and where it lies."""

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
    """Helpers for clusters."""

    async def started(self, cluster: Cluster) -> Cluster:
        """Start it; it is stopped and its logs are looked at in the end."""
        self.addCleanup(cluster.stop)
        await cluster.start()
        for gateway in cluster.im:
            await gateway.said("router .* is connected")
        return cluster

    async def connected(self, one: Client) -> Client:
        """Connect and sync; closed in the end."""
        self.addCleanup(one.close)
        await one.connect()
        await one.sync_to_end()
        return one


class TwoGatewayTests(ClusterCase):
    """Alice at one gateway, Bob and Alice's second device at the other."""

    skip = missing("redis-server")

    async def test_each_device_is_told_with_the_ids_of_its_own_queue(self) -> None:
        """Pushed to Bob and to Alice's tablet at another gateway, although nobody syncs."""
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
        """As the seed does: the message itself comes in the sync."""
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
        """The router knows who is connected at any gateway."""
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
        self.assertEqual(redis.tell("LLEN", "push_queue"), ":0\r\n")

    async def _popped(self, redis: Any) -> str:
        from twisted.internet.threads import deferToThread

        reply: str = await deferToThread(redis.tell, "BLPOP", "push_queue", "0")
        return reply

    async def test_live_messages_cross_and_are_stored_nowhere(self) -> None:
        """RT and typing."""
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
    """Users whose queues lie at different instances."""

    skip = missing("redis-server")

    async def test_each_queue_lies_at_its_own_storage(self) -> None:
        """Even and odd users write to each other and to themselves; each syncs what is its."""
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
    """The daemon that is all in one, and a gateway that joins it."""

    skip = missing("redis-server")

    async def test_a_gateway_of_its_own_joins_the_daemon_that_is_all_in_one(self) -> None:
        """It stores there and is routed there."""
        server = AllInOne()
        self.addCleanup(server.stop)
        await server.start()
        route, rpc = server.daemon.listens[3:]
        redis = shared_redis()
        redis.tell("HSET", "access_token_joining", "user_id", "1002", "app_id", "7")
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
        await gateway.said("router .* is connected")
        alice = await self.connected(await server.client(1001))
        bob = await self.connected(make_client(port, 1002, "joining", {}))
        await alice.send(1002, "first")
        await bob.receive()
        await bob.send(1001, "answer")
        self.assertEqual((await alice.receive()).content, b"answer")


class ManyTests(ClusterCase):
    """More than one page, more than one message at a time."""

    async def test_a_long_absence_is_synced_in_pages_in_order(self) -> None:
        """Pages of 50, 205 messages, none lost, none twice."""
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

"""The tests' own daemons, and messages through all parts of gobelieve."""

import os
from typing import Any

from twisted.internet.defer import Deferred

from gobelieve.client import LiveReceived
from tests.network.processes import AllInOne, Cluster, Daemon, DaemonError
from tests.ports import free_port
from tests.servers import missing, shared_redis
from tests.waits import ProcessTestCase


class DaemonTests(ProcessTestCase):
    """The life of a process. Any service of twistd will do here."""

    def setUp(self) -> None:
        self.port = free_port()
        strport = f"--port=tcp:{self.port}:interface=127.0.0.1"
        self.daemon = Daemon("web", [strport, "--path=."], [self.port])
        self.addCleanup(self.daemon.remove)
        self.addCleanup(self.daemon.kill)

    async def test_life(self) -> None:
        """A daemon can be started, paused, killed, started again on its port, and stopped."""
        await self.daemon.start()
        first = self.daemon.pid
        self.daemon.pause()
        self.daemon.resume()
        await self.daemon.restart(kill=True)
        self.assertNotEqual(self.daemon.pid, first)
        await self.daemon.restart()
        await self.daemon.stop()
        await self.daemon.stop()
        self.assertFalse(self.daemon.running)
        self.daemon.check()
        self.assertEqual(self.daemon.log.count(f"starting on {self.port}"), 3)
        await self.fails(self.daemon.logged("what it never says"), "did not log")

    async def test_stopping_one_that_is_paused(self) -> None:
        """`stop` lets a paused daemon continue first."""
        await self.daemon.start()
        self.daemon.pause()
        await self.daemon.stop()
        self.assertFalse(self.daemon.running)

    async def test_one_that_does_not_start(self) -> None:
        """The error of a daemon that does not start has its log. No process is left."""
        self.daemon.arguments = ["--no-such-option"]
        text = await self.fails(self.daemon.start(), "did not start")
        self.assertIn("no-such-option", text)
        self.assertFalse(self.daemon.running)

    async def test_a_port_that_is_taken(self) -> None:
        """The error of a daemon whose port is taken has its log."""
        await self.daemon.start()
        other = Daemon("web", self.daemon.arguments, [self.port])
        self.addCleanup(other.remove)
        await self.fails(other.start(), "CannotListenError")

    def test_a_log_with_a_traceback(self) -> None:
        """A traceback in the log fails the test, also if it was logged before a restart."""
        self.daemon.check()
        self.daemon.logs = "Unhandled Error\nTraceback (most recent call last):"
        self.assertRaises(DaemonError, self.daemon.check)

    async def fails(self, work: Any, text: str) -> str:
        """Check that this fails, and return the error."""
        try:
            await work
        except DaemonError as why:
            self.assertIn(text, str(why))
            return str(why)
        return self.fail("it did not fail")

    def test_ports(self) -> None:
        """No port is given twice."""
        self.assertEqual(len({free_port() for _ in range(50)}), 50)


class ClusterTests(ProcessTestCase):
    """Three roles in four processes."""

    skip = missing("redis-server")

    async def test_a_message_from_one_gateway_to_another(self) -> None:
        """A message is acked at one gateway and pushed at the other. Live ones pass too, and a new
        device syncs the stored ones."""
        cluster = Cluster(shared_redis(), gateways=2)
        self.addCleanup(cluster.stop)
        await cluster.start()
        alice, bob = cluster.client(1001), cluster.client(1002, gateway=1)
        for one in (alice, bob):
            self.addCleanup(one.close)
            await one.connect()
            await one.sync_to_end()
        await alice.send(1002, "first")
        self.assertEqual((await bob.receive()).content, b"first")
        await alice.send(1002, "second")
        message = await bob.receive()
        self.assertEqual((message.sender, message.content), (1001, b"second"))
        alice.send_rt(1002, "live")
        live = await bob.next_event(LiveReceived)
        self.assertEqual(live.message.encode()[16:], b"live")

        late = cluster.client(1002, device_id="another")
        self.addCleanup(late.close)
        await late.connect()
        contents = [(await late.receive()).content for _ in range(2)]
        self.assertEqual(contents, [b"first", b"second"])

    async def test_a_gateway_that_is_killed(self) -> None:
        """Clients reconnect, and messages that they sent meanwhile arrive."""
        cluster = Cluster(shared_redis())
        self.addCleanup(cluster.stop)
        await cluster.start()
        alice, bob = cluster.client(1001), cluster.client(1002)
        for one in (alice, bob):
            self.addCleanup(one.close)
            await one.connect()
        await cluster.im[0].kill()
        sending = Deferred.fromCoroutine(alice.send(1002, "while it was away"))
        await cluster.im[0].restart(kill=True)
        await sending
        self.assertEqual((await bob.receive()).content, b"while it was away")


class AllInOneTests(ProcessTestCase):
    """The all-in-one daemon, without other servers."""

    async def test_a_message(self) -> None:
        """A message survives a restart."""
        server = AllInOne()
        self.addCleanup(server.stop)
        await server.start()
        alice, bob = await server.client(1001), await server.client(1002)
        self.addCleanup(alice.close)
        self.addCleanup(bob.close)
        await alice.connect()
        await alice.send(1002, "hello")
        await server.daemon.restart()
        await bob.connect()
        self.assertEqual((await bob.receive()).content, b"hello")
        self.assertTrue(os.listdir(server.data))

"""The shutdown of a gateway, and the sweep of its timeouts."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import ClientsConfig
from gobelieve.metrics import GatewayCounters
from gobelieve.names import User
from gobelieve.services.components import shutdown as module
from gobelieve.services.components.backends import Backends
from gobelieve.services.components.gateway import build_gateway
from gobelieve.services.components.shutdown import GracefulShutdown, safe_sweep
from gobelieve.wire import FrameReader, client
from tests.fakes.backends import (
    Memory,
    MemoryDailyUsers,
    MemoryDeviceNumbers,
    MemoryPending,
    MemoryPreferences,
    MemorySyncKeys,
    MemoryTokens,
    MemoryUnreadCounts,
)
from tests.fakes.world import FakeTurn
from tests.gateway.support import FakeConnection, FakeRouting, FakeStorage


class ShutdownTests(SynchronousTestCase):
    """At SIGTERM the messages of clients are finished before their connections end."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.memory = Memory(tokens={"t": User(7, 1)})
        self.storage = FakeStorage()
        backends = Backends(
            tokens=MemoryTokens(self.memory),
            devices=MemoryDeviceNumbers(self.memory),
            sync_keys=MemorySyncKeys(self.memory),
            group_sync_keys=MemorySyncKeys(self.memory),
            unread=MemoryUnreadCounts(self.memory),
            daily=MemoryDailyUsers(self.memory),
            preferences=MemoryPreferences(self.memory),
            pending=MemoryPending(),
            groups=None,
            relations=None,
        )
        self.gateway = build_gateway(
            ClientsConfig(),
            time=self.clock,
            turn=FakeTurn(),
            backends=backends,
            storage=self.storage,
            routing=FakeRouting(),
            counters=GatewayCounters(),
        )
        self.connection = FakeConnection()
        self.session = self.gateway.clients.registry.ready(self.connection)
        self.say(client.AuthToken(platform=2, token=b"t", device_id=b""))
        self.connection.messages()

    def say(self, message: Any) -> None:
        """Send a message from the client."""
        (frame,) = _frames(message)
        self.session.received([frame])

    def stop(self) -> Deferred[None]:
        """Begin the shutdown of the gateway."""
        return GracefulShutdown(self.gateway, self.clock, 1.0).stopService()

    def test_the_last_message_is_acked_before_the_connection_ends(self) -> None:
        """Before a connection ends, the last message is acked and the sync key is written."""
        self.say(client.IM(sender=1, receiver=2, msgid=0, content=b"last"))
        self.say(client.SyncKey(sync_key=77))
        self.say(client.UnreadCount(count=5))
        stopping = self.stop()
        self.assertEqual(self.connection.paused, 1)
        self.assertIsNone(self.connection.ended)
        self.storage.saves[0].answer(0, [(500, 0), (500, 0)])
        self.assertEqual([m.label for m in self.connection.messages()], ["ACK"])
        self.assertEqual(self.connection.ended, "closed")
        self.assertNoResult(stopping)
        self.gateway.clients.registry.closed(self.session)
        self.successResultOf(stopping)
        self.assertEqual(self.memory.sync_keys, {User(7, 1): 77})
        self.assertEqual(self.memory.unread, {User(7, 1): 5})

    def test_a_stop_does_not_wait_for_ever_for_storage_and_clients(self) -> None:
        """The stop waits `DRAIN_TIMEOUT` for a storage that hangs, and then for a client."""
        self.say(client.IM(sender=1, receiver=2, msgid=0, content=b"last"))
        stopping = self.stop()
        self.clock.advance(module.DRAIN_TIMEOUT)
        self.assertEqual(self.connection.ended, "closed")
        self.assertNoResult(stopping)
        self.clock.advance(module.DRAIN_TIMEOUT)
        self.successResultOf(stopping)

    def test_many_clients_are_sent_away_in_batches(self) -> None:
        """The oldest clients go first; those who wait for an ack go last, and are served."""
        self.say(client.IM(sender=1, receiver=2, msgid=0, content=b"first"))
        connections = [FakeConnection() for _ in range(module.CLIENTS_AT_ONCE)]
        sessions = [self.gateway.clients.registry.ready(connection) for connection in connections]
        stopping = self.stop()

        def ended() -> int:
            return sum(one.ended == "closed" for one in connections)

        self.assertEqual(ended(), 100)
        self.assertIsNone(self.connection.ended)
        self.clock.advance(module.STEP_SECONDS)
        self.assertEqual(ended(), 201)
        sessions[-1].received(_frames(client.Ping()))
        self.assertEqual([m.label for m in connections[-1].messages()], ["PONG"])
        for _ in range(9):
            self.clock.advance(module.STEP_SECONDS)
        self.assertEqual(ended(), module.CLIENTS_AT_ONCE)
        self.assertIsNone(self.connection.ended)
        self.storage.saves[0].answer(0, [(500, 0), (500, 0)])
        self.assertEqual([m.label for m in self.connection.messages()], ["ACK"])
        self.assertEqual(self.connection.ended, "closed")
        for session in (self.session, *sessions):
            self.gateway.clients.registry.closed(session)
        self.successResultOf(stopping)

    def test_a_sweep_that_fails_does_not_end_the_sweeps(self) -> None:
        """The error is logged, and the next sweep happens one second later."""

        def fails() -> None:
            raise ValueError("a bug")

        self.patch(self.gateway.clients.timeouts, "sweep", fails)
        safe_sweep(self.gateway.clients.timeouts)()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


def _frames(message: Any) -> list[Any]:
    return FrameReader(1000).feed(message.frame(1, 1))

"""Replication in a daemon: the retries of a slave, and the stop."""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import ClusterConfig
from gobelieve.protocols.replication.master import SlavesFactory
from gobelieve.protocols.replication.slave import MasterLink
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.services.components.cluster import Cluster
from gobelieve.services.components.replication import TROUBLE_DELAY, master, slaves
from gobelieve.services.process.draining import DrainingService
from gobelieve.storage.storage import Storage
from gobelieve.wire.frames import FrameReader
from gobelieve.wire.replication import StorageSyncBegin, StorageSyncRefused
from tests.fakes.reactor import FakeReactor
from tests.fakes.world import FakeThread, world


class MasterTests(SynchronousTestCase):
    """The link to a master."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.turn = ReactorTurn(self.reactor)
        self.cluster = Cluster(ClusterConfig(), self.reactor)
        self.storage = Storage(
            self.mktemp(),
            world=world(turn=self.turn, time=self.reactor),
            in_thread=FakeThread(),
            slave=True,
        )
        self.storage.open()
        self.addCleanup(self.storage.store.close)

    def connect(self) -> tuple[Any, StringTransport]:
        """Let the newest attempt succeed."""
        factory = self.reactor.tcpClients[-1][2]
        protocol: Any = factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.reactor.advance(0)
        return protocol, transport

    def test_a_lost_link_and_a_refusal(self) -> None:
        """A lost link is connected again at once; after a refusal only after `TROUBLE_DELAY`."""
        link = MasterLink(
            self.storage, "127.0.0.1:3334", world=world(turn=self.turn, time=self.reactor)
        )
        service = master(link, self.cluster)
        service.startService()
        self.assertEqual(self.reactor.tcpClients[0][:2], ("127.0.0.1", 3334))
        protocol, transport = self.connect()
        (begin, *_) = FrameReader(100).feed(transport.value())
        self.assertEqual(StorageSyncBegin.decode(begin.body).cursor, 32)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(0.2)
        self.assertEqual(len(self.reactor.tcpClients), 2)

        protocol, transport = self.connect()
        protocol.dataReceived(StorageSyncRefused(reason=b"of another history").frame())
        self.assertTrue(transport.disconnecting)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(TROUBLE_DELAY - 0.1)
        self.assertEqual(len(self.reactor.tcpClients), 2)
        self.reactor.advance(0.2)
        self.assertEqual(len(self.reactor.tcpClients), 3)
        self.connect()[0].connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(0.2)
        self.assertEqual(len(self.reactor.tcpClients), 4)

    def test_the_end_of_a_master(self) -> None:
        """A master that stops ends the connections of its slaves."""
        factory = SlavesFactory(
            self.storage.store, world=world(turn=self.turn, time=self.reactor), delay=0.05
        )
        port = slaves("127.0.0.1:3334", factory, self.reactor, self.cluster)
        service = port.getServiceNamed("connections")
        assert isinstance(service, DrainingService)
        transport = StringTransport()
        factory.buildProtocol(None).makeConnection(transport)
        service.startService()
        service.stopService()
        self.assertTrue(transport.disconnecting)

"""A client's TCP connection, between bytes and the rules."""

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.clients.tcp import ClientConnection, ClientFactory
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import FrameReader, client, decode
from tests.gateway.support import TestGateway


class ClientListenerTests(SynchronousTestCase):
    """Bytes from and to a client."""

    def setUp(self) -> None:
        self.gateway = gateway = TestGateway()
        self.factory = ClientFactory(ReactorTurn(gateway.clock), gateway.registry)

    def connect(self) -> tuple[ClientConnection, StringTransport]:
        """A new connection."""
        connection = self.factory.buildProtocol(None)
        transport = StringTransport()
        connection.makeConnection(transport)
        return connection, transport

    def turn(self) -> None:
        """The turn of the loop ends."""
        self.gateway.clock.advance(0)

    def test_what_one_read_caused_leaves_in_one_write(self) -> None:
        """At the end of the turn."""
        connection, transport = self.connect()
        token = self.gateway.grant(1).encode()
        auth = client.AuthToken(platform=2, token=token, device_id=b"d")
        connection.dataReceived(auth.frame(1, 1) + client.Ping().frame(2, 1))
        self.assertEqual(transport.value(), b"")
        self.turn()
        frames = FrameReader(1000).feed(transport.value())
        self.assertEqual([decode(f).label for f in frames], ["AUTH_STATUS", "PONG"])

    def test_half_frames_are_put_together(self) -> None:
        """Byte by byte."""
        connection, transport = self.connect()
        for byte in client.Ping().frame(2, 1):
            connection.dataReceived(bytes([byte]))
        self.turn()
        self.assertEqual(len(transport.value()), 12)

    def test_impossible_headers_end_the_connection_without_an_error_of_ours(self) -> None:
        """Too long, negative, unknown commands, and commands of other links."""
        for header in (
            "000080000000000104010000",
            "ffffffff0000000104010000",
            "000000000000000163010000",
            "000000000000000182010000",
            "0000000000000001c8010000",
        ):
            connection, transport = self.connect()
            connection.dataReceived(client.Ping().frame(1, 1) + bytes.fromhex(header))
            self.assertTrue(transport.disconnecting, header)
            self.assertEqual(len(transport.value()), 12, "the frame before still counts")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_the_longest_body_is_taken(self) -> None:
        """32767 bytes."""
        connection, transport = self.connect()
        connection.dataReceived(bytes.fromhex("00007fff0000000104010000") + bytes(32767))
        self.assertFalse(transport.disconnecting)

    def test_a_lost_connection_takes_the_session_with_it(self) -> None:
        """From the table, the watch, and the routers."""
        connection, _ = self.connect()
        token = self.gateway.grant(1).encode()
        connection.dataReceived(
            client.AuthToken(platform=2, token=token, device_id=b"d").frame(1, 1)
        )
        self.assertEqual(len(self.gateway.sessions), 1)
        connection.connectionLost()
        self.assertEqual(len(self.gateway.sessions), 0)
        self.assertEqual(len(self.gateway.timeouts), 0)
        self.assertEqual(self.gateway.routing.take()[-1][0], "unsubscribe")
        connection.session.ack(1)
        self.turn()

    def test_from_a_client_that_does_not_read_nothing_is_read(self) -> None:
        """Until it reads again; then it is told what it is owed."""
        connection, transport = self.connect()
        connection.pauseProducing()
        connection.pauseProducing()  # a transport says so with every write beyond its bound
        self.assertEqual(transport.producerState, "paused")
        connection.session.notify(5)
        connection.resumeProducing()
        self.assertEqual(transport.producerState, "producing")
        self.turn()
        (frame,) = FrameReader(100).feed(transport.value())
        self.assertEqual(decode(frame), client.SyncNotify(sync_key=5))

    def test_a_client_is_heard_of_with_every_frame(self) -> None:
        """For the watch."""
        connection, _ = self.connect()
        for _ in range(9):
            self.gateway.timeouts.sweep()
        connection.dataReceived(client.Ping().frame(1, 1))
        self.assertEqual(connection.session.seen, 9)

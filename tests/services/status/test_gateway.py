"""The metrics of a gateway."""

from prometheus_client import generate_latest
from prometheus_client.registry import CollectorRegistry
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.names import AckStatus
from gobelieve.protocols.clients.tcp import ClientFactory
from gobelieve.protocols.router.pool import RoutePool
from gobelieve.protocols.storage.link import AskTimes, StorageLink
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.services.status.gateway import GatewayStatus, Links
from gobelieve.wire import client
from tests.fakes.world import world
from tests.gateway.support import TestGateway


class GatewayStatusTests(SynchronousTestCase):
    """The metrics after some traffic of clients."""

    def setUp(self) -> None:
        self.gateway = gateway = TestGateway()
        turn = ReactorTurn(gateway.clock)
        self.times = AskTimes()
        self.links = Links(
            [StorageLink("s:1", turn, gateway.clock, 4.0, self.times)],
            RoutePool(["r:1"], [], world(turn=turn, time=gateway.clock)).links,
        )
        self.factory = ClientFactory(turn, gateway.registry)

    def page(self) -> set[str]:
        """Return the lines of the metrics page that have values."""
        registry = CollectorRegistry()
        registry.register(GatewayStatus(self.gateway.gateway, self.links, self.times))
        return set(generate_latest(registry).decode().splitlines())

    def test_a_client_that_logs_in_and_sends(self) -> None:
        """The metrics count by transport, command, outcome and status."""
        connection = self.factory.buildProtocol(None)
        connection.makeConnection(StringTransport())
        self.factory.buildProtocol(None).makeConnection(StringTransport())
        for token in ("nobody's", self.gateway.grant(1)):
            auth = client.AuthToken(platform=2, token=token.encode(), device_id=b"")
            connection.dataReceived(auth.frame(1, 2))
        for message in (
            client.IM(sender=1, receiver=2, msgid=0, content=b"kept"),
            client.IM(sender=1, receiver=2, msgid=0, content=b"lost"),
            client.IM(sender=5, receiver=2, msgid=0, content=b"forged"),
            client.Ping(),
        ):
            connection.dataReceived(message.frame(2, 2))
        kept, lost = self.gateway.storage.saves
        kept.answer(0, [(500, 0), (500, 0)])
        lost.answer(AckStatus.STORAGE_AWAY, [(0, 0), (0, 0)])
        self.times.messages.observe(0.003, 5)
        page = self.page()
        for line in (
            'connections{transport="tcp"} 2.0',
            'arrivals_total{transport="tcp"} 2.0',
            "clients 1.0",
            "anonymous 1.0",
            'received_total{command="auth_token"} 2.0',
            'received_total{command="im"} 3.0',
            'received_total{command="ping"} 1.0',
            'sent_total{command="auth_status"} 2.0',
            'sent_total{command="ack"} 3.0',
            'sent_total{command="pong"} 1.0',
            'logins_total{outcome="accepted"} 1.0',
            'logins_total{outcome="refused"} 1.0',
            'messages_total{outcome="stored"} 1.0',
            'messages_total{outcome="not_stored"} 1.0',
            'acks_total{status="success"} 1.0',
            'acks_total{status="storage_away"} 1.0',
            'acks_total{status="forged_sender"} 1.0',
            'events_total{event="forged_senders"} 1.0',
            'storage_connected{storage="s:1"} 0.0',
            'router_connected{router="r:1"} 0.0',
            'router_connects_total{router="r:1"} 0.0',
            'store_seconds_bucket{le="0.002"} 0.0',
            'store_seconds_bucket{le="0.005"} 5.0',
            "store_seconds_count 5.0",
        ):
            self.assertIn(f"gobelieve_gateway_{line}", page)
        self.assertEqual([line for line in page if 'event="acks' in line], [])

    def test_a_closed_connection(self) -> None:
        """A closed connection is counted as an arrival, but not as present."""
        connection = self.factory.buildProtocol(None)
        connection.makeConnection(StringTransport())
        connection.connectionLost()
        page = self.page()
        self.assertIn('gobelieve_gateway_connections{transport="tcp"} 0.0', page)
        self.assertIn('gobelieve_gateway_arrivals_total{transport="tcp"} 1.0', page)
        self.assertIn("gobelieve_gateway_anonymous 0.0", page)

    def test_trouble_names_the_missing_connections(self) -> None:
        """The page /ready names the daemons that are not connected."""
        self.assertEqual(self.links.trouble, "not connected: storage s:1, router r:1")
        self.assertEqual(Links().trouble, "")

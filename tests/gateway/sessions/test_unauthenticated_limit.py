"""Connections that have not logged in."""

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.sessions.unauthenticated_limit import UnauthenticatedLimit, network_of
from gobelieve.metrics import Counters
from tests.gateway.support import FakeConnection, TestClient, TestGateway


class LobbyTests(SynchronousTestCase):
    """Room for four, for three of one address."""

    def setUp(self) -> None:
        self.counters = Counters()
        self.unauthenticated = UnauthenticatedLimit(self.counters, 4, 3)

    def come(self, *hosts: str) -> list[FakeConnection]:
        """Connect from these addresses; return the connections."""
        made = []
        for host in hosts:
            made.append(FakeConnection())
            self.unauthenticated.entered(made[-1], host)
        return made

    def aborted(self, connections: list[FakeConnection]) -> list[int]:
        """The numbers of those that had to go."""
        return [i for i, one in enumerate(connections) if one.ended == "aborted"]

    def test_of_one_address_the_oldest_gives_way(self) -> None:
        """Connections from other addresses stay open."""
        others = self.come("10.0.0.2")
        many = self.come(*["10.0.0.1"] * 7)
        self.assertEqual(self.aborted(many), [0, 1, 2, 3])
        self.assertEqual(self.aborted(others), [])
        self.assertEqual(self.counters["closed_for_others_of_the_address"], 4)
        self.assertEqual(len(self.unauthenticated), 4)

    def test_of_all_the_oldest_gives_way(self) -> None:
        """The oldest connection is closed, whatever its address."""
        many = self.come(*(f"10.0.0.{n}" for n in range(6)))
        self.assertEqual(self.aborted(many), [0, 1])
        self.assertEqual((self.counters["closed_for_others"], len(self.unauthenticated)), (2, 4))

    def test_who_left_makes_room(self) -> None:
        """Once, however often it is said."""
        many = self.come(*["10.0.0.1"] * 3)
        for one in many[:2]:
            self.unauthenticated.left(one)
            self.unauthenticated.left(one)
        self.assertEqual(self.aborted(many + self.come("10.0.0.1", "10.0.0.1")), [])

    def test_nothing_is_kept_of_who_is_gone(self) -> None:
        """Neither address nor connection."""
        for number in range(50):
            (one,) = self.come(f"10.1.{number}.1")
            self.unauthenticated.left(one)
        self.come(*["10.0.0.1"] * 9)
        self.assertEqual(list(self.unauthenticated._at), ["10.0.0.1"])
        self.assertEqual(len(self.unauthenticated), 3)

    def test_a_bound_of_one(self) -> None:
        """Each newcomer takes the place of the last; the books stay right."""
        for unauthenticated in (
            UnauthenticatedLimit(self.counters, 1, 0),
            UnauthenticatedLimit(self.counters, 0, 1),
            UnauthenticatedLimit(self.counters, 1, 1),
        ):
            self.unauthenticated = unauthenticated
            many = self.come(*["10.0.0.1"] * 3)
            self.assertEqual(self.aborted(many), [0, 1])
            unauthenticated.left(many[2])
            self.assertEqual((len(unauthenticated), unauthenticated._at), (0, {}))

    def test_no_bounds(self) -> None:
        """A bound of 0 means no limit."""
        self.unauthenticated = UnauthenticatedLimit(self.counters, 0, 0)
        self.assertEqual(self.aborted(self.come(*["10.0.0.1"] * 100)), [])

    def test_what_is_one_address(self) -> None:
        """Of IPv6 the network that one customer has."""
        self.assertEqual(network_of("2001:db8:1:2:3:4:5:6"), network_of("2001:db8:1:2::1"))
        self.assertNotEqual(network_of("2001:db8:1:2::1"), network_of("2001:db8:1:3::1"))
        self.assertEqual(network_of("::ffff:10.0.0.1"), "10.0.0.1")
        self.assertEqual(network_of("fe80::1%eth0"), "fe80::")
        self.assertEqual(network_of("no:address"), "no:address")


class GatewayTests(SynchronousTestCase):
    """In the gateway, as it is put together."""

    def test_who_logs_in_is_past_it(self) -> None:
        """However many there are; and who is gone makes room."""
        gateway = TestGateway(anonymous_limit=2, anonymous_limit_per_address=2)

        def arrive() -> TestClient:
            made = gateway.connect()
            gateway.registry.connected(made.connection, StringTransport(), "tcp")
            return made

        known = arrive()
        known.log_in(gateway.grant(1))
        waits, goes = arrive(), arrive()
        gateway.registry.disconnected(goes.connection, "tcp")
        late = arrive()
        everybody = (known, waits, goes, late)
        self.assertEqual([one.connection.ended for one in everybody], [None] * 4)
        arrive()
        ended = [one.connection.ended for one in everybody]
        self.assertEqual(ended, [None, "aborted", None, None])
        self.assertEqual(gateway.registry.arrivals["tcp"], 5)
        self.assertEqual(gateway.registry.departures["tcp"], 1)

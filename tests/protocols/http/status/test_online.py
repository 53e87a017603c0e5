"""The pages of online users."""

import json
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from gobelieve.protocols.http.status.online import USERS_PER_TURN, Id, presence_pages
from tests.routing.support import TurnClock


class PresencePagesTests(SynchronousTestCase):
    """The pages of online users, as a browser gets them."""

    def setUp(self) -> None:
        self.clock = TurnClock()
        self.held: list[Id] = []
        self.online: set[Id] = set()
        root = Resource()
        pages = presence_pages(self.online.__contains__, lambda: tuple(self.held), self.clock)
        for path, page in pages.items():
            root.putChild(path, page)
        self.site = Site(root, reactor=self.clock)
        self.transport = StringTransport()
        self.channel = self.site.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def ask(self, path: str) -> None:
        """Send a request for a path."""
        self.channel.dataReceived(b"GET /%s HTTP/1.0\r\n\r\n" % path.encode())

    def answer(self) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        if b"200" in head:
            self.assertIn(b"application/json", head)
        return int(head.split()[1]), body

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a page."""
        self.setUpConnection()
        self.ask(path)
        for _ in range(20):
            self.clock.advance(0)
        return self.answer()

    def setUpConnection(self) -> None:
        """Connect a new browser."""
        self.transport = StringTransport()
        self.channel = self.site.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def test_whether_a_user_is_online(self) -> None:
        """The answer has the bytes of the Go server."""
        self.online.add((7, 1001))
        self.assertEqual(self.get("online?appid=7&uid=1001"), (200, b'{"online":true}'))
        self.assertEqual(self.get("online?appid=8&uid=1001"), (200, b'{"online":false}'))
        self.assertEqual(self.get("online?appid=7&uid=-1001"), (200, b'{"online":false}'))

    def test_parameters_that_are_no_numbers(self) -> None:
        """The answer is 400, with the body of the Go server."""
        wrong = b'{"meta":{"code":400,"message":"invalid query param"}}'
        for query in (
            "",
            "?",
            "?appid=7",
            "?uid=7",
            "?appid=&uid=7",
            "?appid=7&uid=x",
            "?appid=7&uid=1_0",
            "?appid=7&uid=%D9%A1",
            "?appid=7&uid=9223372036854775808",
            "?appid=7&uid=" + "9" * 5000,
        ):
            self.assertEqual(self.get("online" + query), (400, wrong), query)

    def test_all_users_are_listed_by_app(self) -> None:
        """Each app appears once, even if its users are not together."""
        self.held += [(7, 1), (1453, 55), (7, 2)]
        status, body = self.get("all_online")
        self.assertEqual(status, 200)
        self.assertEqual(body, b'[{"appid":7,"users":[1,2]},{"appid":1453,"users":[55]}]')

    def test_a_list_without_users(self) -> None:
        """The list is empty, and still a list."""
        self.assertEqual(self.get("all_online"), (200, b"[]"))

    def test_a_long_list_is_written_in_many_turns(self) -> None:
        """No turn writes more than its slice, and the list is complete."""
        self.held += [(appid, uid) for appid in (7, 8) for uid in range(2 * USERS_PER_TURN + 1)]
        self.ask("all_online")
        turns = 0
        while not self.transport.disconnecting:
            before = len(self.transport.value())
            self.clock.turn()
            self.assertLess(len(self.transport.value()) - before, USERS_PER_TURN * 8)
            turns += 1
        self.assertGreater(turns, 8)
        _, body = self.answer()
        wanted = [
            {"appid": appid, "users": list(range(2 * USERS_PER_TURN + 1))} for appid in (7, 8)
        ]
        self.assertEqual(json.loads(body), wanted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_slow_reader_is_waited_for(self) -> None:
        """Nothing is written while the connection is paused; then the list goes on."""
        self.held += [(7, uid) for uid in range(5 * USERS_PER_TURN)]
        self.ask("all_online")
        for _ in range(7):
            self.clock.turn()
        producer: Any = self.transport.producer
        producer.pauseProducing()
        length = len(self.transport.value())
        self.clock.pump([0] * 10)
        self.assertEqual(len(self.transport.value()), length)
        producer.resumeProducing()
        self.clock.pump([0] * 10)
        _, body = self.answer()
        self.assertEqual(json.loads(body)[0]["users"], list(range(5 * USERS_PER_TURN)))

    def test_a_browser_that_hangs_up(self) -> None:
        """No further piece is made."""
        self.held += [(7, uid) for uid in range(5 * USERS_PER_TURN)]
        self.ask("all_online")
        for _ in range(7):
            self.clock.turn()
        self.channel.connectionLost(Failure(ConnectionLost()))
        self.clock.pump([0] * 10)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.flushLoggedErrors(), [])

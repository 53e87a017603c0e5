"""Limits of the HTTP servers: slow, large and many requests."""

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from gobelieve.protocols.http import site as http_site
from gobelieve.protocols.http.site import (
    MAX_BODY_BYTES,
    MAX_LARGE_BODIES,
    REQUEST_SECONDS,
    SMALL_BODY_BYTES,
    LimitedSite,
)
from gobelieve.support.throttled_log import INTERVAL
from tests.protocols.logs import Events
from tests.web import Wire


class Echo(Resource):
    """Answers with the length of the body, and whether it was too long."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        assert request.content is not None
        too_long = getattr(request, "too_long", None)
        return f"{len(request.content.read())} {too_long}".encode()


class LimitTests(SynchronousTestCase):
    """Slow, large and many requests do not exhaust the server."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.site = LimitedSite(Echo(), self.clock)

    def test_a_body_over_the_limit_is_read_but_not_kept(self) -> None:
        """A body at the limit is kept. After a longer one the connection goes on, chunked too."""
        wire = Wire(self.site)
        for length, answer in (
            (MAX_BODY_BYTES, f"{MAX_BODY_BYTES} False"),
            (MAX_BODY_BYTES + 1, "0 True"),
        ):
            wire.send("POST", "/", bytes(length))
            self.assertEqual(wire.responses()[0].body.decode(), answer)
            chunk = b"%x\r\n" % length + bytes(length) + b"\r\n0\r\n\r\n"
            wire.send("POST", "/", None, {"transfer-encoding": "chunked"})
            wire.channel.dataReceived(chunk)
            self.assertEqual(wire.responses()[0].body.decode(), answer)

    def test_few_large_bodies_at_once(self) -> None:
        """Small bodies always fit. A place is free again when its request is answered or its client
        is gone."""
        head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % MAX_BODY_BYTES
        wires = [Wire(self.site) for _ in range(MAX_LARGE_BODIES)]
        for wire in wires:
            wire.channel.dataReceived(head + bytes(MAX_BODY_BYTES - 1))

        def kept(length: int) -> int:
            wire = Wire(self.site)
            wire.send("POST", "/", bytes(length), {"connection": "close"})
            return int(wire.responses()[0].body.split()[0])

        self.assertEqual(
            (kept(SMALL_BODY_BYTES), kept(SMALL_BODY_BYTES + 1), kept(MAX_BODY_BYTES)),
            (SMALL_BODY_BYTES, 0, 0),
        )
        wires[0].channel.dataReceived(b"x")
        self.assertEqual(wires[0].responses()[0].body.split()[0], b"%d" % MAX_BODY_BYTES)
        self.assertEqual(kept(MAX_BODY_BYTES), MAX_BODY_BYTES)
        wires[0].channel.dataReceived(head + bytes(MAX_BODY_BYTES - 1))
        self.assertEqual(kept(MAX_BODY_BYTES), 0)
        wires[1].channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(
            (kept(MAX_BODY_BYTES), kept(MAX_BODY_BYTES)), (MAX_BODY_BYTES, MAX_BODY_BYTES)
        )
        for wire in wires:
            wire.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.site.large, set())

    def drip(self, wire: Wire, data: bytes) -> None:
        """Send one byte every two seconds."""
        for byte in data:
            self.clock.advance(2)
            if wire.transport.disconnecting or wire.transport.disconnected:
                return
            wire.channel.dataReceived(bytes((byte,)))

    def test_a_slow_request_ends_the_connection(self) -> None:
        """The time counts from the first byte, wherever the client becomes slow."""
        head = b"POST / HTTP/1.1\r\ncontent-length: 99\r\n\r\n"
        for begun in (b"", b"POST / HTTP/1.1\r\n", head):
            wire = Wire(self.site)
            wire.channel.dataReceived(begun)
            before = self.clock.seconds()
            self.drip(wire, b"x" * 100)
            self.assertTrue(wire.transport.disconnected, begun)
            self.assertLessEqual(self.clock.seconds() - before, REQUEST_SECONDS + 2)

    def test_each_request_has_its_own_time(self) -> None:
        """A client may send requests for a long time, if each one arrives in time."""
        wire = Wire(self.site)
        for _ in range(5):
            wire.send("GET", "/")
            self.assertEqual(wire.responses()[0].code, 200)
            self.clock.advance(REQUEST_SECONDS * 0.9)
        self.assertFalse(wire.transport.disconnected)
        self.drip(wire, b"G" * 100)
        self.assertTrue(wire.transport.disconnected)

    def test_an_idle_connection_ends(self) -> None:
        """A client that sends nothing is disconnected."""
        wire = Wire(self.site)
        self.clock.advance(http_site.IDLE_SECONDS + 1)
        self.clock.advance(60)
        self.assertTrue(wire.transport.disconnecting or wire.transport.disconnected)

    def test_a_stopping_server_answers_what_arrived(self) -> None:
        """A request that arrived is answered; idle connections end at once."""

        class Slow(Resource):
            isLeaf = True

            def render(self, request: Request) -> int:
                waiting.append(request)
                return NOT_DONE_YET

        waiting: list[Request] = []
        site = LimitedSite(Slow(), self.clock)
        site.doStart()
        asking, idle = Wire(site), Wire(site)
        asking.send("GET", "/")
        site.doStop()
        self.assertEqual(
            (asking.transport.disconnecting, idle.transport.disconnecting), (False, True)
        )
        waiting[0].write(b"x")
        waiting[0].finish()
        self.assertEqual(asking.responses()[0].code, 200)
        self.assertTrue(asking.transport.disconnecting)

    def test_connections_over_the_limit_are_closed(self) -> None:
        """The server accepts new ones as soon as others are gone."""
        self.patch(http_site, "MAX_CONNECTIONS", 2)
        first, _, third = Wire(self.site), Wire(self.site), Wire(self.site)
        self.assertIsNone(third.channel)
        first.channel.connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(Wire(self.site).channel)

    def test_log_lines_are_throttled(self) -> None:
        """A client that connects again and again causes one line per minute and kind."""
        events = Events()
        self.patch(LimitedSite, "logger", events.log())
        self.site = LimitedSite(Echo(), self.clock)
        self.patch(http_site, "MAX_CONNECTIONS", 3)
        for _ in range(2):
            slow = [Wire(self.site) for _ in range(3)]
            for _ in range(5):
                Wire(self.site)
            for wire in slow:
                wire.channel.dataReceived(b"x")
            self.clock.advance(REQUEST_SECONDS)
            for wire in slow:
                wire.channel.connectionLost(Failure(ConnectionDone()))
            self.assertEqual(
                [text.split(" of ")[0] for text in events.texts()],
                ["3 connections are too many", "a request"],
            )
            events.clear()
            self.clock.advance(INTERVAL)

    def test_a_form_is_a_plain_body(self) -> None:
        """The fields of a form are not parameters: those are in the URL."""
        wire = Wire(self.site)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        wire.send("POST", "/?a=1", b"a=2&b=3", headers)
        self.assertEqual(wire.responses()[0].body, b"7 False")
        for kind in ("multipart/form-data; boundary=x", "multipart/form-data"):
            wire.send("POST", "/", b"--x\r\n", {"content-type": kind})
            self.assertEqual(wire.responses()[0].body, b"5 False")

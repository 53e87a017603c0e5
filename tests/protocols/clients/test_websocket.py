"""A browser's connection, from the bytes of the handshake on."""

from gobelieve.protocols.clients.client_registry import ClientRegistry
from gobelieve.protocols.clients.websocket import (
    CLOSE_TIMEOUT,
    MAX_REQUEST_BYTES,
    WebSocketFactory,
    WebSocketSettings,
)
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import FrameReader, Message, client, decode
from tests.protocols.browsers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    BrowserTestCase,
    handshake,
    masked,
)


class WebSocketTestCase(BrowserTestCase):
    """A browser at /ws."""

    def factory(self, turn: ReactorTurn, registry: ClientRegistry) -> WebSocketFactory:
        """With the terms of the test."""
        return WebSocketFactory(turn, registry, self.gateway.clock, self.settings, "websocket")


class WebSocketTests(WebSocketTestCase):
    """Frames in binary messages."""

    def messages(self) -> list[Message]:
        """The frames to the browser, each of which was one binary message."""
        found = []
        for opcode, payload in self.told():
            self.assertEqual(opcode, BINARY)
            (frame,) = FrameReader(40000).feed(payload)
            found.append(decode(frame))
        return found

    def test_the_same_session_as_on_tcp(self) -> None:
        """Login, ping, a delivery: each frame a message of its own."""
        self.open()
        self.say(masked(self.auth()))
        self.say(masked(client.Ping().frame(2, 1)))
        (session,) = self.gateway.sessions.all()
        body = client.IM(sender=2, receiver=1, timestamp=5, msgid=0, content=b"hi").encode()
        session.deliver(4, body, 0, 500, 400)
        self.assertEqual(
            [m.label for m in self.messages()],
            ["AUTH_STATUS", "PONG", "METADATA", "IM", "SYNC_NOTIFY"],
        )

    def test_other_paths_are_not_found(self) -> None:
        """Only /ws is there."""
        self.say(handshake("/elsewhere"))
        self.assertIn(b" 404 ", self.transport.value().split(b"\r\n")[0])
        self.assertEqual(len(self.gateway.timeouts), 0)

    def test_text_messages_end_the_connection(self) -> None:
        """Code 4003: not acceptable."""
        self.open()
        self.say(masked(b"hello", TEXT))
        self.assertEqual(self.closed_with(), 4003)

    def test_a_message_must_be_exactly_one_frame(self) -> None:
        """Half a frame, two frames, a frame and a byte, an unknown command."""
        ping = client.Ping().frame(1, 1)
        for payload in (ping[:5], ping + ping, ping + b"x", b"", ping[:8] + b"\x63" + ping[9:]):
            self.setUp()
            self.open()
            self.say(masked(payload))
            self.assertEqual(self.closed_with(), 4007)

    def test_what_comes_behind_the_close_is_not_looked_at(self) -> None:
        """Neither in the same read nor later: it would be stored and never acked."""
        self.open()
        im = client.IM(sender=1, receiver=2, msgid=0, content=b"x").frame(2, 1)
        self.say(masked(self.auth()) + masked(b"text", TEXT) + masked(im))
        self.say(masked(im))
        self.assertEqual(self.gateway.storage.saves, [])

    def test_a_message_longer_than_any_frame_ends_the_connection(self) -> None:
        """Code 1009: too big; nothing of it is kept."""
        self.open()
        self.say(masked(bytes(40000)))
        self.assertEqual(self.closed_with(), 1009)

    def test_an_unmasked_message_ends_the_connection(self) -> None:
        """Browsers mask; code 1002."""
        self.open()
        self.say(b"\x82\x0c" + client.Ping().frame(1, 1))
        self.assertEqual(self.closed_with(), 1002)

    def test_the_end_of_the_connection_ends_the_session(self) -> None:
        """Once, however it ends."""
        self.open()
        self.say(masked(self.auth()))
        self.assertEqual(len(self.gateway.sessions), 1)
        (session,) = self.gateway.sessions.all()
        self.protocol.connectionLost()
        session.ack(1)
        self.assertEqual((len(self.gateway.sessions), len(self.gateway.timeouts)), (0, 0))

    def test_a_browser_that_does_not_read_is_treated_like_any_client(self) -> None:
        """Nothing is read from it, and of its notifies the newest is kept."""
        self.open()
        self.say(masked(self.auth()))
        self.told()
        (session,) = self.gateway.sessions.all()
        self.protocol.pauseProducing()
        self.protocol.pauseProducing()
        self.assertEqual(self.transport.producerState, "paused")
        session.notify(5)
        session.notify(6)
        self.assertEqual(self.told(), [])
        self.protocol.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.messages(), [client.SyncNotify(sync_key=6)])

    def test_messages_quickly_behind_each_other(self) -> None:
        """In order, each answered, and all in one write."""
        self.open()
        pings = b"".join(masked(client.Ping().frame(seq, 1)) for seq in range(50))
        writes: list[bytes] = []
        self.patch(self.transport, "write", writes.append)
        self.say(masked(self.auth()) + pings)
        self.assertEqual(len(writes), 1)
        self.transport.io.write(writes[0])
        self.assertEqual([m.label for m in self.messages()], ["AUTH_STATUS"] + ["PONG"] * 50)

    def test_fragments_are_joined(self) -> None:
        """Also empty ones, and with a control frame between them."""
        self.open()
        ping = client.Ping().frame(1, 1)
        self.say(masked(ping[:3], fin=False))
        self.say(masked(b"", CONTINUATION, fin=False) * 3 + masked(b"hi", PING))
        self.say(masked(ping[3:7], CONTINUATION, fin=False) + masked(ping[7:], CONTINUATION))
        self.assertEqual([opcode for opcode, _ in self.told()], [PONG, BINARY])

    def test_fragments_without_content_are_not_kept(self) -> None:
        """There may be any number."""
        self.open()
        self.say(masked(b"x", fin=False) + masked(b"", CONTINUATION, fin=False) * 1000)
        self.assertLess(len(self.protocol.message_data), 5)

    def test_fragments_are_limited_together(self) -> None:
        """As one message is: 1009."""
        self.open()
        self.say(masked(bytes(30000), fin=False) + masked(bytes(3000), CONTINUATION, fin=False))
        self.assertEqual(self.closed_with(), 1009)

    def test_compression_is_not_agreed_upon(self) -> None:
        """Offered by every browser; and it is an error to use it then."""
        answer = self.open("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
        self.assertNotIn("deflate", answer)
        self.say(b"\xc2" + masked(client.Ping().frame(1, 1))[1:])
        self.assertEqual(self.closed_with(), 1002)

    def test_a_handshake_that_does_not_end_is_cut_off(self) -> None:
        """By time, and by size."""
        self.say(handshake("/ws")[:-2])
        self.gateway.clock.advance(self.settings.open_timeout)
        self.assertTrue(self.transport.disconnected)
        self.setUp()
        self.say(b"GET /ws HTTP/1.1\r\n")
        for _ in range(MAX_REQUEST_BYTES // 1000 + 1):
            self.say(b"X: " + bytes(995) + b"\r\n")
        self.assertTrue(self.transport.disconnected)
        self.assertLessEqual(len(self.protocol.data), MAX_REQUEST_BYTES)

    def test_what_is_no_handshake_is_refused_with_a_status(self) -> None:
        """And shows and redirects to nothing."""
        for request, status in (
            (b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "426"),
            (b"GET /ws?redirect=http://evil.example HTTP/1.1\r\nHost: a\r\n\r\n", "426"),
            (b"GET /ws?redirect=%00&after=x HTTP/1.1\r\nHost: a\r\n\r\n", "426"),
            (b"POST /ws HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
            (b"\x00\x00\x00\x00\x00\x00\x00\x01\x0d\x0a\x0d\x0a", "400"),
            (b"\xff\xfe GET\r\n\r\n", "400"),
            (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", "400"),
        ):
            self.setUp()
            self.say(request)
            answer = self.transport.value().decode()
            self.assertTrue(answer.startswith(f"HTTP/1.1 {status} "), answer)
            self.assertNotIn("evil", answer)
            self.assertTrue(self.transport.disconnecting)
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_close_is_waited_for_but_not_for_long(self) -> None:
        """A browser that does not answer our farewell is left."""
        self.open()
        self.say(masked(self.auth()))
        self.protocol.close()
        self.protocol.close()
        self.assertEqual(self.closed_with(), 1000)
        self.assertFalse(self.transport.disconnected)
        self.gateway.clock.advance(CLOSE_TIMEOUT)
        self.assertTrue(self.transport.disconnected)

    def test_a_close_while_nothing_is_read_reads_the_answer(self) -> None:
        """Else a gateway that stops would have to wait for every browser."""
        self.open()
        self.say(masked(self.auth()))
        self.protocol.pause()
        self.assertEqual(self.transport.producerState, "paused")
        self.protocol.close()
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.closed_with(), 1000)
        self.say(masked(b"\x03\xe8", CLOSE))
        self.assertTrue(self.transport.disconnected)

    def test_a_browser_that_says_farewell_is_answered(self) -> None:
        """With its own code, and behind what was sent before."""
        self.open()
        self.say(
            masked(self.auth()) + masked(client.Ping().frame(2, 1)) + masked(b"\x03\xe8", CLOSE)
        )
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual([opcode for opcode, _ in self.told()], [BINARY, BINARY, CLOSE])


class PingTests(WebSocketTestCase):
    """The server pings by itself."""

    settings = WebSocketSettings(ping_interval=40, ping_timeout=20)

    def test_a_browser_that_does_not_answer_is_gone(self) -> None:
        """After interval and timeout."""
        self.open()
        self.gateway.clock.advance(40)
        self.assertEqual([opcode for opcode, _ in self.told()], [PING])
        self.gateway.clock.advance(20)
        self.assertTrue(self.transport.disconnected)

    def test_an_answer_keeps_it(self) -> None:
        """Until the next ping."""
        self.open()
        for _ in range(3):
            self.gateway.clock.advance(40)
            ((opcode, payload),) = self.told()
            self.assertEqual(opcode, PING)
            self.say(masked(payload, PONG))
            self.gateway.clock.advance(19)
            self.gateway.clock.advance(1)
        self.assertFalse(self.transport.disconnected)

    def test_of_whom_nothing_is_read_no_answer_is_expected(self) -> None:
        """Whether it reads is seen to by the watch."""
        self.open()
        self.protocol.pauseProducing()
        for _ in range(4):
            self.gateway.clock.advance(60)
        self.assertFalse(self.transport.disconnected)
        self.protocol.resumeProducing()
        self.gateway.clock.advance(60)
        self.assertTrue(self.transport.disconnected)


class OriginTests(WebSocketTestCase):
    """Only pages of these servers."""

    settings = WebSocketSettings(
        origins=("https://chat.example.com", "http://*.dev.example:*", "app://localhost", "*://any")
    )

    def test_pages_of_these(self) -> None:
        """With any name or port where the configuration says so."""
        for origin in (
            "https://chat.example.com",
            "https://chat.example.com:443",
            "http://a.dev.example:8080",
            "app://localhost",
            "http://any:81",
        ):
            self.setUp()
            self.open(f"Origin: {origin}")

    def test_pages_of_others(self) -> None:
        """403 or 400."""
        for origin in (
            "https://evil.example",
            "https://chat.example.com.evil.example",
            "http://chat.example.com",
            "https://chat.example.com:4430",
            "https://chat-example.com",
            "app://localhost:1",
            "null",
            "file://",
        ):
            self.setUp()
            self.assertIn("not allowed", self.refused(f"Origin: {origin}"), origin)

    def test_who_is_no_browser_is_not_asked(self) -> None:
        """An app sends no origin."""
        self.open()


class AnyOriginTests(WebSocketTestCase):
    """By default any page may connect."""

    def test_pages_of_servers_of_files_and_of_apps(self) -> None:
        """What proves who somebody is is a token that the page must have, and no cookie."""
        for origin in ("https://evil.example", "null", "file://", "capacitor://localhost"):
            self.setUp()
            self.open(f"Origin: {origin}")

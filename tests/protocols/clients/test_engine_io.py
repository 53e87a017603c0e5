"""A browser of 2018, from the bytes of the handshake on."""

import json
from base64 import b64encode

from gobelieve.protocols.clients.client_registry import ClientRegistry
from gobelieve.protocols.clients.engine_io import EngineFactory
from gobelieve.protocols.clients.websocket import WebSocketSettings
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import FrameReader, client, decode
from tests.protocols.browsers import BINARY, CLOSE, TEXT, BrowserTestCase, handshake, masked

SID = "abcdefghij0123456789"


class EngineTestCase(BrowserTestCase):
    """A browser at /engine.io/."""

    path = "/engine.io/?EIO=3&transport=websocket"

    def factory(self, turn: ReactorTurn, registry: ClientRegistry) -> EngineFactory:
        """With one session id for all."""
        return EngineFactory(
            turn, registry, self.gateway.clock, self.settings, "engine-io", lambda: SID
        )

    def opened(self) -> None:
        """Do the handshake, and take the packet ``open``."""
        self.open()
        self.told()

    def text(self, packet: str) -> None:
        """A packet in a text message."""
        self.say(masked(packet.encode(), TEXT))

    def in_base64(self, frame: bytes) -> None:
        """As the JavaScript client of 2017 sends a frame."""
        self.text("b4" + b64encode(frame).decode())

    def in_binary(self, frame: bytes) -> None:
        """As that of 2018 does."""
        self.say(masked(b"\x04" + frame))

    def labels(self) -> list[str]:
        """The frames to the browser, each of which was one binary packet."""
        found = []
        for opcode, packet in self.told():
            self.assertEqual((opcode, packet[0]), (BINARY, 4))
            (frame,) = FrameReader(40000).feed(packet[1:])
            found.append(decode(frame).label)
        return found


class HandshakeTests(EngineTestCase):
    """How a session begins, or does not."""

    def test_the_open_packet_and_the_cookie(self) -> None:
        """The client reads the session's id and when to ping."""
        answer = self.open()
        self.assertIn(f"Set-Cookie: io={SID}; ", answer)
        ((opcode, packet),) = self.told()
        self.assertEqual((opcode, packet[:1]), (TEXT, b"0"))
        self.assertEqual(
            json.loads(packet[1:]),
            {"sid": SID, "upgrades": [], "pingInterval": 25000, "pingTimeout": 60000},
        )

    def test_polling_is_refused_in_words_that_the_client_knows(self) -> None:
        """Transport unknown; readable by the page, which is given no credentials."""
        request = "GET /engine.io/?EIO=3&transport=polling&b64=1 HTTP/1.1\r\nHost: a\r\n"
        self.say(f"{request}Origin: https://page.example\r\n\r\n".encode())
        head, _, body = self.transport.value().decode().partition("\r\n\r\n")
        self.assertTrue(head.startswith("HTTP/1.1 400 "))
        self.assertEqual(json.loads(body), {"code": 0, "message": "Transport unknown"})
        self.assertIn(f"Content-Length: {len(body)}", head)
        self.assertIn("Access-Control-Allow-Origin: *", head)
        self.assertNotIn("Credentials", head)
        self.assertTrue(self.transport.disconnecting)

    def test_what_else_is_refused(self) -> None:
        """Other protocols, transports and paths, and a session that never was."""
        for path, status in (
            ("/engine.io/?EIO=4&transport=websocket", 400),
            ("/engine.io/?EIO=3&transport=polling", 400),
            ("/engine.io/?EIO=3", 400),
            ("/engine.io/?EIO=3&transport=websocket&sid=x", 400),
            ("/socket.io/?EIO=3&transport=websocket", 404),
            ("/ws", 404),
        ):
            self.setUp()
            self.path = path
            answer = self.refused()
            self.assertTrue(answer.startswith(f"HTTP/1.1 {status} "), (path, answer))
        self.setUp()
        self.say(b"OPTIONS /engine.io/ HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(b'"Bad handshake method"', self.transport.value())


class SomeOriginTests(EngineTestCase):
    """Where only some pages may connect."""

    settings = WebSocketSettings(origins=("https://chat.example:443",))

    def test_other_pages_may_neither_connect_nor_read_why(self) -> None:
        """No header that would let them."""
        answer = self.refused("Origin: https://evil.example")
        self.assertNotIn("Access-Control", answer)
        self.setUp()
        self.open("Origin: https://chat.example")


class PacketTests(EngineTestCase):
    """Frames and the rest, in packets."""

    def test_frames_in_base64(self) -> None:
        """What the JavaScript client of 2017 sends; it is answered in binary."""
        self.opened()
        self.in_base64(self.auth())
        self.in_base64(client.Ping().frame(2, 1))
        self.assertEqual(self.labels(), ["AUTH_STATUS", "PONG"])

    def test_frames_in_binary(self) -> None:
        """Several quickly behind each other, and the longest."""
        self.opened()
        longest = client.IM(sender=1, receiver=2, msgid=0, content=bytes(32767 - 24)).frame(2, 1)
        self.say(masked(b"\x04" + self.auth()) + masked(b"\x04" + client.Ping().frame(2, 1)))
        self.assertEqual(self.labels(), ["AUTH_STATUS", "PONG"])
        self.in_binary(longest)
        self.in_base64(longest)
        self.assertEqual(len(self.gateway.storage.saves), 2)

    def test_who_cannot_read_binary_gets_text(self) -> None:
        """By b64 in the query."""
        self.path += "&b64=1"
        self.opened()
        self.in_base64(client.Ping().frame(1, 1))
        pong = client.Pong().frame(1, 0)
        self.assertEqual(self.told(), [(TEXT, b"b4" + b64encode(pong))])

    def test_pings_are_answered_with_their_data(self) -> None:
        """A probe, too; and what needs no answer has none."""
        self.opened()
        for packet in ("2", "2probe", "3", "5", "6"):
            self.text(packet)
        self.assertEqual(self.told(), [(TEXT, b"3"), (TEXT, b"3probe")])

    def test_pings_are_signs_of_life(self) -> None:
        """The client of 2018 has no other while its user is silent."""
        self.opened()
        self.in_base64(self.auth())
        self.told()
        for _ in range(5):
            for _ in range(300):
                self.gateway.timeouts.sweep()
            self.text("2")
        self.assertEqual({packet for _, packet in self.told()}, {b"3"})
        for _ in range(362):
            self.gateway.timeouts.sweep()
        self.assertEqual(self.closed_with(), 1000)

    def test_a_close_packet_closes(self) -> None:
        """Normally."""
        self.opened()
        self.text("1")
        self.assertEqual(self.closed_with(), 1000)

    def test_a_message_of_text_ends_the_connection(self) -> None:
        """It does not live on without a reader."""
        for packet in ("4hello", "4"):
            self.setUp()
            self.opened()
            self.text(packet)
            self.assertEqual(self.closed_with(), 4003, packet)

    def test_what_is_no_packet_ends_the_connection(self) -> None:
        """In text, in base64, in binary."""
        ping = client.Ping().frame(1, 1)
        code = b64encode(ping).decode()
        for packet in ("", "7", "x", "b", "b4", "b4" + code[:-2], "b4?" + code, "bx" + code, "0{}"):
            self.setUp()
            self.opened()
            self.text(packet)
            self.assertEqual(self.closed_with(), 4007, packet)
        for message in (b"", b"\x07" + ping, b"\x04", b"\x04" + ping + b"x", b"\x04" + ping[:5]):
            self.setUp()
            self.opened()
            self.say(masked(message))
            self.assertEqual(self.closed_with(), 4007, message)

    def test_a_ping_that_is_no_text_does_no_harm(self) -> None:
        """Its data cannot be sent back as text."""
        self.opened()
        self.say(masked(b"\x02\xff\xfe"))
        self.text("b2//79")
        self.assertEqual(self.told(), [(TEXT, b"3"), (TEXT, b"3")])

    def test_a_message_longer_than_any_frame_ends_the_connection(self) -> None:
        """1009 for what is longer than base64 of a frame; 4007 for a frame that is too long."""
        self.opened()
        self.say(masked(bytes(50_000)))
        self.assertEqual(self.closed_with(), 1009)
        self.setUp()
        self.opened()
        self.in_binary(client.IM(sender=1, receiver=2, msgid=0, content=bytes(40_000)).frame(2, 1))
        self.assertEqual(self.closed_with(), 4007)

    def test_what_comes_behind_the_close_is_not_looked_at(self) -> None:
        """It would be stored and never acked."""
        self.opened()
        im = client.IM(sender=1, receiver=2, msgid=0, content=b"x").frame(2, 1)
        self.say(masked(b"\x04" + self.auth()) + masked(b"4", TEXT) + masked(b"\x04" + im))
        self.in_base64(im)
        self.text("2")
        self.assertEqual(self.gateway.storage.saves, [])
        self.assertEqual(self.told()[-1][0], CLOSE)

    def test_the_end_of_the_connection_ends_the_session(self) -> None:
        """As on any transport."""
        self.say(handshake(self.path))
        self.in_base64(self.auth())
        self.assertEqual(len(self.gateway.sessions), 1)
        self.protocol.connectionLost()
        self.assertEqual((len(self.gateway.sessions), len(self.gateway.timeouts)), (0, 0))

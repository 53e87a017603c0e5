"""Noise from browsers: whatever comes, there is no error of ours, and nothing is left behind."""

import random
from base64 import b64encode

from gobelieve.wire import client
from tests.protocols.browsers import BrowserTestCase, handshake, masked
from tests.protocols.clients.test_engine_io import EngineTestCase
from tests.protocols.clients.test_websocket import WebSocketTestCase

ROUNDS = 150


class Noise(BrowserTestCase):
    """What both transports are told."""

    def message(self, chance: random.Random) -> bytes:
        """One that makes sense somewhere, perhaps with a byte of it changed."""
        auth = self.auth()
        payloads = (
            auth,
            b"\x04" + auth,
            b"b4" + b64encode(auth),
            client.Ping().frame(1, 1),
            b"2probe",
            b"4x",
            b"1",
            chance.randbytes(chance.randrange(40)),
        )
        opcode, fin = chance.choice((0, 1, 2, 3, 8, 9, 10)), chance.random() < 0.8
        message = bytearray(masked(chance.choice(payloads), opcode, fin))
        if chance.random() < 0.4:
            message[chance.randrange(len(message))] = chance.randrange(256)
        return bytes(message)

    def once(self, chance: random.Random) -> None:
        """One connection, from its beginning to its end."""
        request = bytearray(handshake(self.path, f"Origin: http://{chance.choice(('a', '', '['))}"))
        if chance.random() < 0.3:
            for _ in range(chance.randint(1, 6)):
                request[chance.randrange(len(request))] = chance.randrange(256)
        else:
            request = bytearray(handshake(self.path))
        self.say(bytes(request))
        doings = (self.protocol.pause, self.protocol.close, self.protocol.pauseProducing)
        for _ in range(chance.randint(0, 5)):
            self.say(self.message(chance))
            if chance.random() < 0.2:
                chance.choice(doings)()
        self.gateway.clock.advance(chance.choice((0, 1, 5, 50)))
        self.protocol.connectionLost()
        self.gateway.clock.advance(50)

    def rounds(self) -> None:
        """Many connections; which it was is said if one fails."""
        for number in range(ROUNDS):
            self.setUp()
            self.once(random.Random(number))
            gateway = self.gateway
            left = (len(gateway.timeouts), len(gateway.unauthenticated), len(gateway.sessions))
            self.assertEqual((left, self.flushLoggedErrors()), ((0, 0, 0), []), number)


class WebSocketNoiseTests(Noise, WebSocketTestCase):
    """At /ws."""

    def test_noise(self) -> None:
        """Changed requests, messages and fragments, closes and pauses between them."""
        self.rounds()


class EngineNoiseTests(Noise, EngineTestCase):
    """At /engine.io/."""

    def test_noise(self) -> None:
        """The same."""
        self.rounds()

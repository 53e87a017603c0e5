"""The greeting of our own daemons, in bytes."""

from hypothesis import given
from hypothesis.strategies import binary
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.cluster.handshake import (
    ConnectorGreeting,
    Greeting,
    GreetingError,
    ListenerGreeting,
    said,
)
from gobelieve.wire.cluster import (
    LISTENER,
    LinkChallenge,
    LinkHello,
    LinkProof,
    LinkRefused,
    LinkWelcome,
    Port,
    Refusal,
    proof_of,
)
from gobelieve.wire.frames import HEADER_SIZE, encode_frame

SECRET = b"a secret of many bytes"
HELLO, CHALLENGE = b"h" * 32, b"c" * 32


def connector(secret: bytes = SECRET, port: Port = Port.ROUTE) -> ConnectorGreeting:
    """The side that connects."""
    return ConnectorGreeting(port, secret, HELLO)


def listener(secret: bytes = SECRET, port: Port = Port.ROUTE) -> ListenerGreeting:
    """The side that listens."""
    return ListenerGreeting(port, secret, CHALLENGE)


def bodies(data: bytes) -> list[int]:
    """The commands of the frames in these bytes."""
    found = []
    while data:
        found.append(data[8])
        data = data[HEADER_SIZE + int.from_bytes(data[:4], "big") :]
    return found


class GreetingTests(SynchronousTestCase):
    """Who is let in, and who is not."""

    def refused(self, greeting: Greeting, data: bytes) -> GreetingError:
        """What the greeting says against these bytes."""
        why: GreetingError = self.assertRaises(GreetingError, greeting.feed, data)
        self.assertFalse(greeting.done)
        return why

    def test_both_know_the_secret(self) -> None:
        """Both are done, in one exchange each way and a half."""
        one, other = connector(), listener()
        hello, challenge = one.begin(), other.begin()
        proof = one.feed(challenge)
        self.assertEqual(other.feed(hello), b"")
        welcome = other.feed(proof)
        self.assertTrue(other.done)
        self.assertFalse(one.done)
        self.assertEqual(one.feed(welcome), b"")
        self.assertTrue(one.done)
        self.assertEqual(
            [bodies(d) for d in (hello, challenge, proof, welcome)], [[160], [161], [162], [163]]
        )

    def test_byte_by_byte(self) -> None:
        """Frames may come in any pieces."""
        one, other = connector(), listener()
        proof = b"".join(one.feed(bytes([b])) for b in other.begin())
        welcome = b"".join(other.feed(bytes([b])) for b in one.begin() + proof)
        for b in welcome:
            one.feed(bytes([b]))
        self.assertTrue(one.done and other.done)
        self.assertEqual((one.rest, other.rest), (b"", b""))

    def test_what_comes_behind_is_kept(self) -> None:
        """The port's own dialogue may follow in the same read; it is not looked at."""
        one, other = connector(), listener()
        proof = one.feed(other.begin())
        welcome = other.feed(one.begin() + proof + b"\xff" * 5000)
        self.assertEqual(other.rest, b"\xff" * 5000)
        one.feed(welcome + b"\xfe\xfe")
        self.assertEqual(one.rest, b"\xfe\xfe")

    def test_another_secret(self) -> None:
        """The listener sees it first, and gives nothing away by which secrets could be tried."""
        one, other = connector(b"quite another secret"), listener()
        why = self.refused(other, one.begin() + one.feed(other.begin()))
        self.assertEqual(why.refusal, Refusal.OTHER_SECRET)
        self.assertIn("does not know our cluster secret", str(why))

    def test_a_listener_that_welcomes_everybody(self) -> None:
        """Is no listener of ours."""
        one = connector()
        one.begin()
        one.feed(LinkChallenge(port=1, nonce=CHALLENGE).frame(version=0))
        why = self.refused(one, LinkWelcome(proof=bytes(32)).frame(version=0))
        self.assertIn("does not know our cluster secret", str(why))

    def test_a_welcome_before_a_challenge(self) -> None:
        """Is refused, even if its proof is one of empty nonces."""
        one = connector()
        for nonce in (b"", bytes(32)):
            proof = proof_of(LISTENER, SECRET, Port.ROUTE, HELLO, nonce)
            self.refused(connector(), LinkWelcome(proof=proof).frame(version=0))
        self.assertFalse(one.done)

    def test_a_reflected_proof(self) -> None:
        """Our own proof, sent back, proves nothing: neither to us nor with our own nonce."""
        one = connector()
        one.begin()
        # The stranger even takes our nonce for its own.
        proof = one.feed(LinkChallenge(port=1, nonce=HELLO).frame(version=0))
        back = LinkWelcome(proof=proof[HEADER_SIZE:]).frame(version=0)
        self.refused(one, back)

    def test_a_proof_of_one_listener_for_another(self) -> None:
        """A listener's proof does not serve a stranger as a connecting side's."""
        made = proof_of(LISTENER, SECRET, Port.ROUTE, HELLO, CHALLENGE)
        hello = LinkHello(port=1, nonce=HELLO).frame(version=0)
        self.refused(listener(), hello + LinkProof(proof=made).frame(version=0))

    def test_a_replayed_proof(self) -> None:
        """The next connection has another nonce."""
        one, other = connector(), listener()
        recorded = one.begin() + one.feed(other.begin())
        other.feed(recorded)
        self.assertTrue(other.done)
        again = ListenerGreeting(Port.ROUTE, SECRET, b"d" * 32)
        self.assertEqual(self.refused(again, recorded).refusal, Refusal.OTHER_SECRET)

    def test_a_proof_for_another_port(self) -> None:
        """Is refused though the secret is the same; each end says what the port is to whom."""
        one, other = connector(port=Port.STORAGE_RPC), listener()
        why = self.refused(other, one.begin())
        self.assertEqual(why.refusal, Refusal.OTHER_PORT)
        self.assertEqual(str(why), "to it this is a port of kind STORAGE_RPC, to us ROUTE")
        why = self.refused(one, other.begin())
        self.assertEqual(str(why), "to it this is a port of kind ROUTE, to us STORAGE_RPC")
        # A stranger who says the right port has a proof for the wrong one.
        lying = LinkHello(port=Port.ROUTE, nonce=HELLO).frame(version=0)
        proof = connector(port=Port.STORAGE_RPC).feed(
            LinkChallenge(port=Port.STORAGE_RPC, nonce=CHALLENGE).frame(version=0)
        )
        self.assertEqual(self.refused(listener(), lying + proof).refusal, Refusal.OTHER_SECRET)
        self.assertIn("number 77", str(self.refused(listener(), _hello(77))))

    def test_garbage(self) -> None:
        """A command or a length that does not belong here is refused by the header alone."""
        for data in (
            encode_frame(130, bytes(17)),
            encode_frame(162, bytes(32)),
            encode_frame(161, bytes(33)),
            b"GET / HTTP/1.1\r\n",
            b"\0\0\0\x41\0\0\0\0\xa0\0\0\0",
            b"\xff\xff\xff\xff\0\0\0\0\xa0\0\0\0",
            encode_frame(160, bytes(32)),
            _hello(1) + _hello(1),
        ):
            self.assertEqual(self.refused(listener(), data).refusal, Refusal.NO_GREETING, data)

    @given(binary(max_size=200), binary(max_size=200))
    def test_any_bytes(self, one: bytes, other: bytes) -> None:
        """However they are cut, they are waited on or refused; nobody gets in by them."""
        for greeting in (listener(), connector()):
            try:
                greeting.feed(one)
                greeting.feed(other)
            except GreetingError:
                pass
            self.assertFalse(greeting.done)

    def test_tls_on_a_plain_port(self) -> None:
        """Is called by its name, at both ends."""
        self.assertIn("speaks TLS", str(self.refused(listener(), b"\x16\x03\x01\x02\x00")))
        self.assertIn("speaks TLS", str(self.refused(connector(), b"\x15\x03\x03\x00\x02\x02\x46")))

    def test_a_listener_says_why(self) -> None:
        """In words of ours, whatever it sends."""
        for refusal in Refusal:
            why = self.refused(connector(), LinkRefused(reason=refusal).frame(version=0))
            self.assertTrue(str(why).startswith("it refuses us: "))
        self.assertEqual(said(99), "it refuses us: reason 99")
        one = connector()
        one.feed(listener().begin())
        self.refused(one, LinkRefused(reason=3).frame(version=0))


def _hello(port: int) -> bytes:
    return LinkHello(port=port, nonce=HELLO).frame(version=0)

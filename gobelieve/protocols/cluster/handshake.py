"""The greeting of two of our daemons, without sockets and clocks: bytes in, bytes out.

`gobelieve.wire.cluster` describes the dialogue. A peer that does not follow it raises
`GreetingError`, whose text is for the log. `rest` has the bytes that came after the greeting.
"""

from hmac import compare_digest

from gobelieve.errors import BodyError, GobelieveError
from gobelieve.wire.cluster import (
    CONNECTOR,
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
from gobelieve.wire.frames import HEADER, HEADER_SIZE
from gobelieve.wire.message import MESSAGES, Message

MAX_GREETING_BYTES = 64
"""The longest body of a greeting, in bytes."""
TLS_CLIENT, TLS_SERVER = b"\x16\x03", b"\x15\x03"
"""The first bytes of TLS: of a client on a plain port, and of an alert to a plain client."""

SAID = {
    Refusal.NO_GREETING: "it did not understand our greeting",
    Refusal.OTHER_PORT: "that port is for something else",
    Refusal.OTHER_SECRET: "it has another cluster secret, or only one of us has one",
    Refusal.TOO_LATE: "we were too slow to prove that we know its cluster secret",
    Refusal.NOTHING_HERE: "it has no cluster secret",
    Refusal.TOO_MANY: "others pressed in that do not prove to know its cluster secret",
}
"""The words that a connecting daemon logs for each reason of REFUSED."""


class GreetingError(GobelieveError):
    """The peer is refused. `refusal` is the reason that it may know."""

    def __init__(self, why: str, refusal: Refusal = Refusal.NO_GREETING) -> None:
        super().__init__(why)
        self.refusal = refusal


class Greeting:
    """One side of a greeting. `nonce` is fresh random bytes, never used before."""

    def __init__(self, port: Port, secret: bytes, nonce: bytes) -> None:
        self.done = False
        """True when the peer has proved that it knows the secret."""
        self.rest = b""
        self._port = port
        self._secret = secret
        self._nonce = nonce
        self._held = b""

    def begin(self) -> bytes:
        """Return the bytes to send first."""
        raise NotImplementedError

    def feed(self, data: bytes) -> bytes:
        """Handle bytes of the peer, and return the bytes to send. Raises `GreetingError`."""
        self._held += data
        answers: list[bytes] = []
        while not self.done:
            frame = self._next()
            if frame is None:
                return b"".join(answers)
            answers.append(self._take(frame))
        self.rest, self._held = self._held, b""
        return b"".join(answers)

    def _next(self) -> Message | None:
        """Return one frame. The bytes after the last frame belong to the port's own protocol."""
        held = self._held
        if held[:2] in (TLS_CLIENT, TLS_SERVER):
            raise GreetingError("it speaks TLS, which we do not here: see [cluster]")
        if len(held) < HEADER_SIZE:
            return None
        length, _, cmd, version, _, _ = HEADER.unpack_from(held)
        if not 0 <= length <= MAX_GREETING_BYTES or not self._expects(cmd):
            raise GreetingError("it sends something else than our greeting: has it a secret?")
        end = HEADER_SIZE + length
        if len(held) < end:
            return None
        self._held = held[end:]
        try:
            return MESSAGES[cmd].decode(held[HEADER_SIZE:end], version)
        except BodyError as why:
            raise GreetingError(f"its greeting makes no sense: {why}") from None

    def _expects(self, cmd: int) -> bool:
        raise NotImplementedError

    def _take(self, frame: Message) -> bytes:
        raise NotImplementedError

    def _check_port(self, port: int) -> None:
        if port != self._port:
            name = Port(port).name if port in set(Port) else f"number {port}"
            why = f"to it this is a port of kind {name}, to us {self._port.name}"
            raise GreetingError(why, Refusal.OTHER_PORT)

    def _check(self, came: bytes, wanted: bytes) -> None:
        if not compare_digest(came, wanted):
            raise GreetingError("it does not know our cluster secret", Refusal.OTHER_SECRET)


class ListenerGreeting(Greeting):
    """The greeting of the side that listens."""

    _hello: bytes | None = None

    def begin(self) -> bytes:
        return LinkChallenge(port=self._port, nonce=self._nonce).frame(version=0)

    def _expects(self, cmd: int) -> bool:
        return cmd == (LinkHello if self._hello is None else LinkProof).number

    def _take(self, frame: Message) -> bytes:
        if isinstance(frame, LinkHello):
            self._check_port(frame.port)
            self._hello = frame.nonce
            return b""
        assert isinstance(frame, LinkProof) and self._hello is not None
        about = (self._secret, self._port, self._hello, self._nonce)
        self._check(frame.proof, proof_of(CONNECTOR, *about))
        self.done = True
        return LinkWelcome(proof=proof_of(LISTENER, *about)).frame(version=0)


class ConnectorGreeting(Greeting):
    """The greeting of the side that connects."""

    _challenge: bytes | None = None

    def begin(self) -> bytes:
        return LinkHello(port=self._port, nonce=self._nonce).frame(version=0)

    def _expects(self, cmd: int) -> bool:
        wanted = LinkChallenge if self._challenge is None else LinkWelcome
        return cmd in (wanted.number, LinkRefused.number)

    def _take(self, frame: Message) -> bytes:
        if isinstance(frame, LinkRefused):
            raise GreetingError(said(frame.reason))
        if isinstance(frame, LinkChallenge):
            self._check_port(frame.port)
            self._challenge = frame.nonce
            proof = proof_of(CONNECTOR, self._secret, self._port, self._nonce, frame.nonce)
            return LinkProof(proof=proof).frame(version=0)
        assert isinstance(frame, LinkWelcome) and self._challenge is not None
        about = (self._secret, self._port, self._nonce, self._challenge)
        self._check(frame.proof, proof_of(LISTENER, *about))
        self.done = True
        return b""


def said(reason: int) -> str:
    """Return the words for the reason of a REFUSED."""
    known = reason in set(Refusal)
    return f"it refuses us: {SAID[Refusal(reason)] if known else f'reason {reason}'}"

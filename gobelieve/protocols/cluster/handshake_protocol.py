"""The greeting on a connection between our daemons, before the port's own protocol.

The port's own protocol is built when the peer has proved that it knows the cluster secret (and,
with TLS, that it has a certificate). So no byte of a stranger reaches it, and a connecting daemon
does not count as connected before. After the greeting the transport calls that protocol directly.

Without a configured secret, a `MismatchDetector` forwards everything from the first byte. It logs a
peer that wants a greeting, or that speaks TLS.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHandshakeListener, IProtocol, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gobelieve.interfaces import Cancellable, Time
from gobelieve.protocols.cluster.handshake import TLS_CLIENT, TLS_SERVER, Greeting, GreetingError
from gobelieve.protocols.tls import tls_trouble
from gobelieve.wire.cluster import (
    NONCE_SIZE,
    LinkChallenge,
    LinkHello,
    LinkRefused,
    Refusal,
)
from gobelieve.wire.frames import HEADER, HEADER_SIZE

GREETING_TIMEOUT = 5.0
"""Seconds that a greeting may take, including TLS."""
REFUSAL_TIMEOUT = 1.0
"""Seconds that a refused peer has to disconnect by itself."""


@implementer(IHandshakeListener)
class HandshakeProtocol(Protocol):
    """The greeting on one connection.

    `build` makes the protocol that follows. `ended` is called once, with that protocol or with the
    error. `tls` is True if the greeting begins after the TLS handshake. `refuses` is True for the
    side that listens: it sends the reason of a refusal.
    """

    def __init__(
        self,
        greeting: Greeting,
        build: Callable[[], IProtocol | None],
        ended: Callable[["HandshakeProtocol", IProtocol | GreetingError], None],
        time: Time,
        *,
        tls: bool,
        refuses: bool,
    ) -> None:
        self._greeting = greeting
        self._build = build
        self._ended = ended
        self._time = time
        self._tls = tls
        self._refuses = refuses
        self._begun = False
        self._over = False
        self._timer: Cancellable | None = None

    def give_up(self, why: GreetingError) -> None:
        """End the greeting with this error."""
        if not self._over:
            self._fail(why)

    def abort(self) -> None:
        """End the connection now, without a call of `ended`."""
        self._over = True
        transport: Any = self.transport
        transport.abortConnection()

    # --- called by Twisted

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        self._timer = self._time.callLater(GREETING_TIMEOUT, self._late)
        if not self._tls:
            self._begin()

    def handshakeCompleted(self) -> None:
        """Begin the greeting; called by Twisted after the TLS handshake."""
        self._begin()

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        try:
            answer = self._greeting.feed(data)
        except GreetingError as why:
            self._fail(why)
            return
        if answer:
            self._write(answer)
        if self._greeting.done:
            self._step_aside()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        if not self._over:
            self._over = True
            why = (
                tls_trouble(reason)
                or "it hung up during our greeting: are secret and TLS the same there?"
            )
            self._ended(self, GreetingError(why))

    # --- the course of it

    def _begin(self) -> None:
        self._begun = True
        if not self._over:
            self._write(self._greeting.begin())

    def _write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def _step_aside(self) -> None:
        self._over = True
        self._stop_timer()
        transport: Any = self.transport
        real = self._build()
        if real is None:
            transport.abortConnection()
            self._ended(self, GreetingError("nobody is here for it"))
            return
        self.dataReceived = real.dataReceived  # type: ignore[method-assign]
        self.connectionLost = real.connectionLost  # type: ignore
        real.makeConnection(transport)
        self._ended(self, real)
        if self._greeting.rest:
            real.dataReceived(self._greeting.rest)

    def _late(self) -> None:
        self._timer = None
        why = "no greeting came" if self._begun else "TLS was not agreed upon"
        why = f"{why} in {GREETING_TIMEOUT:.0f} s: are secret and TLS the same there?"
        self._fail(GreetingError(why, Refusal.TOO_LATE))

    def _fail(self, why: GreetingError) -> None:
        self._over = True
        self._stop_timer()
        transport: Any = self.transport
        self._ended(self, why)
        if not self._begun:
            transport.abortConnection()
            return
        if self._refuses:
            self._write(LinkRefused(reason=why.refusal).frame(version=0))
        transport.loseConnection()
        self._timer = self._time.callLater(REFUSAL_TIMEOUT, self._part)

    def _part(self) -> None:
        self._timer = None
        self.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class MismatchDetector(Protocol):
    """Checks the first bytes of a connection for a greeting or TLS.

    `seen` is called with the reason if something is wrong. `listens` is True for the side that
    listens.
    """

    def __init__(
        self, real: IProtocol, seen: Callable[["MismatchDetector", str], None], listens: bool
    ):
        self.real = real
        self._seen = seen
        self._listens = listens
        self._head = b""

    def connectionMade(self) -> None:
        self.connectionLost = self.real.connectionLost  # type: ignore
        assert self.transport is not None
        self.real.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self._head = head = self._head + data[:HEADER_SIZE]
        wrong = self._wrong(head)
        if wrong or len(head) >= HEADER_SIZE:
            self.dataReceived = self.real.dataReceived  # type: ignore[method-assign]
        if not wrong:
            self.real.dataReceived(data)
            return
        self.dataReceived = _nothing  # type: ignore[method-assign]
        self._seen(self, wrong)
        transport: Any = self.transport
        if self._listens:
            transport.write(LinkRefused(reason=Refusal.NOTHING_HERE).frame(version=0))
            transport.loseConnection()
        else:
            transport.abortConnection()

    def _wrong(self, head: bytes) -> str:
        if head[:2] == (TLS_CLIENT if self._listens else TLS_SERVER):
            return "it speaks TLS, and no [cluster] certificate is configured here"
        if len(head) >= HEADER_SIZE:
            length, _, cmd, *_ = HEADER.unpack_from(head)
            if length == 1 + NONCE_SIZE and cmd == _GREETS[self._listens]:
                return "it wants to be greeted, and no cluster secret is configured here"
        return ""


_GREETS = {True: LinkHello.number, False: LinkChallenge.number}


def _nothing(data: bytes) -> None:
    """Ignore the bytes of a peer that is being disconnected."""

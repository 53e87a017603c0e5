"""Factories and endpoints of the links between our daemons, with or without a greeting.

`AuthenticatedFactory` and `AuthenticatedEndpoint` build the port's own protocol after a
`HandshakeProtocol`. `PlainFactory` and `PlainEndpoint` build it after a `MismatchDetector`. Refused
peers are counted and logged. The log is throttled, so that a scan of the port does not fill it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from zope.interface import implementer

from gobelieve.interfaces import Log, Time
from gobelieve.metrics import Counters
from gobelieve.protocols.cluster.handshake import (
    ConnectorGreeting,
    Greeting,
    GreetingError,
    ListenerGreeting,
)
from gobelieve.protocols.cluster.handshake_protocol import HandshakeProtocol, MismatchDetector
from gobelieve.wire.cluster import Port, Refusal

MAX_PENDING_HANDSHAKES = 128
"""The connections of one port that may be in their greeting. A new one replaces the oldest."""
LOG_SECONDS = 60.0
"""Seconds between two log lines about one host."""
MAX_HOSTS = 1000
"""The number of hosts that the log remembers."""
REFUSED, NOT_MADE = "links_refused", "links_not_made"
"""The names of the counters: for our ports, and for our connections to others."""


@dataclass(frozen=True)
class LinkSecurity:
    """The security of all links of a daemon.

    `secret` returns the present secret, and `nonce` returns fresh random bytes. `greets` is True if
    there is a greeting, and `tls` if the links use TLS.
    """

    secret: Callable[[], bytes]
    nonce: Callable[[], bytes]
    time: Time
    counters: Counters
    log: Log
    greets: bool
    tls: bool


class RefusalLog:
    """Counts and logs refused peers, with at most one line per host and minute.

    `event` is the name of the counter, and `what` is the beginning of the line.
    """

    def __init__(self, security: LinkSecurity, event: str, what: str) -> None:
        self._security = security
        self._event = event
        self._what = what
        self._told: dict[str, float] = {}
        self._untold = 0

    def refused(self, peer: Any, why: str) -> None:
        """Count a peer that is refused now, and log it if a line is due."""
        security = self._security
        security.counters.add(self._event)
        now, host = security.time.seconds(), str(getattr(peer, "host", peer))
        if len(self._told) >= MAX_HOSTS:
            self._told = {h: at for h, at in self._told.items() if now - at < LOG_SECONDS}
        if len(self._told) >= MAX_HOSTS or now - self._told.get(host, -LOG_SECONDS) < LOG_SECONDS:
            self._untold += 1
            return
        self._told[host] = now
        more, self._untold = self._untold, 0
        security.log.warn(
            "{what} {host}:{number}: {why}{more}",
            what=self._what,
            host=host,
            number=getattr(peer, "port", ""),
            why=why,
            more=f" ({more} were refused since the last such line)" if more else "",
        )


class Listener(Factory):
    """A factory around the port's own factory, which starts and stops with it."""

    noisy = False

    def __init__(self, factory: Factory, port: Port, security: LinkSecurity) -> None:
        self.factory = factory
        self._port = port
        self._security = security
        self._refused = RefusalLog(security, REFUSED, f"port {port.name} refuses")

    def doStart(self) -> None:
        self.factory.doStart()
        super().doStart()

    def doStop(self) -> None:
        super().doStop()
        self.factory.doStop()

    def logPrefix(self) -> str:
        """Return the name of the port's own factory."""
        return type(self.factory).__name__


class PlainFactory(Listener):
    """The factory of a port for which no greeting is configured."""

    def buildProtocol(self, addr: IAddress | None) -> MismatchDetector | None:
        real = self.factory.buildProtocol(addr)
        return None if real is None else MismatchDetector(real, self._seen, listens=True)

    def _seen(self, lookout: MismatchDetector, wrong: str) -> None:
        assert lookout.transport is not None
        self._refused.refused(lookout.transport.getPeer(), wrong)


class AuthenticatedFactory(Listener):
    """The factory of a port with a greeting. The port's own protocol is built after it."""

    def __init__(self, factory: Factory, port: Port, security: LinkSecurity) -> None:
        super().__init__(factory, port, security)
        self.strangers: dict[HandshakeProtocol, IAddress | None] = {}
        """Connections whose greeting is not complete, oldest first."""

    def buildProtocol(self, addr: IAddress | None) -> HandshakeProtocol:
        if len(self.strangers) >= MAX_PENDING_HANDSHAKES:
            oldest = next(iter(self.strangers))
            oldest.give_up(GreetingError("others came after it", Refusal.TOO_MANY))
        security = self._security
        handshake = HandshakeProtocol(
            ListenerGreeting(self._port, security.secret(), security.nonce()),
            lambda: self.factory.buildProtocol(addr),
            self._ended,
            security.time,
            tls=security.tls,
            refuses=True,
        )
        self.strangers[handshake] = addr
        return handshake

    def stopFactory(self) -> None:
        """Abort all greetings, since the daemon is about to stop."""
        strangers, self.strangers = self.strangers, {}
        for handshake in strangers:
            handshake.abort()

    def _ended(self, handshake: HandshakeProtocol, outcome: IProtocol | GreetingError) -> None:
        addr = self.strangers.pop(handshake, None)
        if isinstance(outcome, GreetingError):
            self._refused.refused(addr, str(outcome))


class _HandshakeFactory(Factory):
    """Builds a `HandshakeProtocol` for each connection that we make."""

    noisy = False

    def __init__(self, build: Callable[[IAddress], IProtocol | None]) -> None:
        self._build = build

    def buildProtocol(self, addr: Any) -> Any:
        return self._build(addr)


@implementer(IStreamClientEndpoint)
class AuthenticatedEndpoint:
    """An endpoint that is connected when the peer has proved that it knows the secret."""

    def __init__(self, endpoint: IStreamClientEndpoint, port: Port, security: LinkSecurity) -> None:
        self._endpoint = endpoint
        self._port = port
        self._security = security

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect. Fails with `GreetingError`; cancelling ends the connection."""

        def build(addr: IAddress) -> HandshakeProtocol:
            security = self._security
            greeting: Greeting = ConnectorGreeting(self._port, security.secret(), security.nonce())
            handshake = HandshakeProtocol(
                greeting,
                lambda: protocolFactory.buildProtocol(addr),
                ended,
                security.time,
                tls=security.tls,
                refuses=False,
            )
            handshakes.append(handshake)
            return handshake

        def ended(handshake: HandshakeProtocol, outcome: IProtocol | GreetingError) -> None:
            if isinstance(outcome, GreetingError):
                self._security.counters.add(NOT_MADE)
                greeted.errback(outcome)
            else:
                greeted.callback(outcome)

        handshakes: list[HandshakeProtocol] = []
        greeted: Deferred[IProtocol] = Deferred(lambda _: handshakes[-1].abort())
        connecting = self._endpoint.connect(_HandshakeFactory(build))
        return connecting.addCallback(lambda _: greeted)


@implementer(IStreamClientEndpoint)
class PlainEndpoint:
    """An endpoint without a greeting. It logs a peer that wants one."""

    def __init__(self, endpoint: IStreamClientEndpoint, port: Port, security: LinkSecurity) -> None:
        self._endpoint = endpoint
        self._refused = RefusalLog(security, NOT_MADE, f"no link to port {port.name} of")

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, without waiting for any byte of the peer."""

        def build(addr: IAddress) -> MismatchDetector | None:
            real = protocolFactory.buildProtocol(addr)
            return None if real is None else MismatchDetector(real, self._seen, listens=False)

        connecting: Deferred[Any] = self._endpoint.connect(_HandshakeFactory(build))
        return connecting.addCallback(lambda lookout: lookout.real)

    def _seen(self, lookout: MismatchDetector, wrong: str) -> None:
        assert lookout.transport is not None
        self._refused.refused(lookout.transport.getPeer(), wrong)

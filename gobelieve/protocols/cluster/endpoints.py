"""Factories and endpoints of our own daemons' links, with a greeting or without.

`Greeted` and `GreetedEndpoint` build the port's own protocol behind a `Guard`, `Open` and
`OpenEndpoint` behind a `Lookout`. What is refused is counted, and logged in moderation: a scan of
the port must not fill the log.
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
from gobelieve.metrics import Tally
from gobelieve.protocols.cluster.guard import Guard, Lookout
from gobelieve.protocols.cluster.handshake import (
    ConnectorGreeting,
    Greeting,
    GreetingError,
    ListenerGreeting,
)
from gobelieve.wire.cluster import Port, Refusal

MOST_STRANGERS = 128
"""So many connections of a port may be in their greeting; the oldest makes room for the next."""
QUIET = 60.0
"""Seconds between two lines of the log about one host."""
MOST_HOSTS = 1000
"""More hosts than this are not told apart."""
REFUSED, NOT_MADE = "links_refused", "links_not_made"
"""What is counted: at ports, and of connections to others."""


@dataclass(frozen=True)
class Terms:
    """What a daemon's links have in common.

    `secret` gives the present one; `nonce` fresh random bytes. `greets`: whether there is a
    greeting at all; `tls`: whether it runs under TLS.
    """

    secret: Callable[[], bytes]
    nonce: Callable[[], bytes]
    time: Time
    tally: Tally
    log: Log
    greets: bool
    tls: bool


class Refused:
    """Counts and logs ends that are refused: of each host at most a line a minute.

    `event` is the name of the count, `what` how the line begins.
    """

    def __init__(self, terms: Terms, event: str, what: str) -> None:
        self._terms = terms
        self._event = event
        self._what = what
        self._told: dict[str, float] = {}
        self._untold = 0

    def refused(self, peer: Any, why: str) -> None:
        """This end was refused just now."""
        terms = self._terms
        terms.tally.add(self._event)
        now, host = terms.time.seconds(), str(getattr(peer, "host", peer))
        if len(self._told) >= MOST_HOSTS:
            self._told = {h: at for h, at in self._told.items() if now - at < QUIET}
        if len(self._told) >= MOST_HOSTS or now - self._told.get(host, -QUIET) < QUIET:
            self._untold += 1
            return
        self._told[host] = now
        more, self._untold = self._untold, 0
        terms.log.warn(
            "{what} {host}:{number}: {why}{more}",
            what=self._what,
            host=host,
            number=getattr(peer, "port", ""),
            why=why,
            more=f" ({more} were refused since the last such line)" if more else "",
        )


class Listener(Factory):
    """A factory of a port of ours around the port's own; it starts and stops with it."""

    noisy = False

    def __init__(self, factory: Factory, port: Port, terms: Terms) -> None:
        self.factory = factory
        self._port = port
        self._terms = terms
        self._refused = Refused(terms, REFUSED, f"port {port.name} refuses")

    def doStart(self) -> None:
        self.factory.doStart()
        super().doStart()

    def doStop(self) -> None:
        super().doStop()
        self.factory.doStop()

    def logPrefix(self) -> str:
        """As the port's own factory is called."""
        return type(self.factory).__name__


class Open(Listener):
    """Where no greeting is configured."""

    def buildProtocol(self, addr: IAddress | None) -> Lookout | None:
        real = self.factory.buildProtocol(addr)
        return None if real is None else Lookout(real, self._seen, listens=True)

    def _seen(self, lookout: Lookout, wrong: str) -> None:
        assert lookout.transport is not None
        self._refused.refused(lookout.transport.getPeer(), wrong)


class Greeted(Listener):
    """Where one is: the port's own factory is asked for a protocol when it is over."""

    def __init__(self, factory: Factory, port: Port, terms: Terms) -> None:
        super().__init__(factory, port, terms)
        self.strangers: dict[Guard, IAddress | None] = {}
        """Those that have not proved anything yet, oldest first."""

    def buildProtocol(self, addr: IAddress | None) -> Guard:
        if len(self.strangers) >= MOST_STRANGERS:
            oldest = next(iter(self.strangers))
            oldest.give_up(GreetingError("others came after it", Refusal.TOO_MANY))
        terms = self._terms
        guard = Guard(
            ListenerGreeting(self._port, terms.secret(), terms.nonce()),
            lambda: self.factory.buildProtocol(addr),
            self._ended,
            terms.time,
            tls=terms.tls,
            refuses=True,
        )
        self.strangers[guard] = addr
        return guard

    def stopFactory(self) -> None:
        """Nobody is let in any more: what is behind the port is about to stop."""
        strangers, self.strangers = self.strangers, {}
        for guard in strangers:
            guard.abort()

    def _ended(self, guard: Guard, outcome: IProtocol | GreetingError) -> None:
        addr = self.strangers.pop(guard, None)
        if isinstance(outcome, GreetingError):
            self._refused.refused(addr, str(outcome))


class _Guarding(Factory):
    """Builds a guard for each connection of a connecting side."""

    noisy = False

    def __init__(self, build: Callable[[IAddress], IProtocol | None]) -> None:
        self._build = build

    def buildProtocol(self, addr: Any) -> Any:
        return self._build(addr)


@implementer(IStreamClientEndpoint)
class GreetedEndpoint:
    """An endpoint that is connected when the other end has proved to know the secret."""

    def __init__(self, endpoint: IStreamClientEndpoint, port: Port, terms: Terms) -> None:
        self._endpoint = endpoint
        self._port = port
        self._terms = terms

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fails with `GreetingError` if it has not; a cancelled attempt ends its connection."""

        def build(addr: IAddress) -> Guard:
            terms = self._terms
            greeting: Greeting = ConnectorGreeting(self._port, terms.secret(), terms.nonce())
            guard = Guard(
                greeting,
                lambda: protocolFactory.buildProtocol(addr),
                ended,
                terms.time,
                tls=terms.tls,
                refuses=False,
            )
            guards.append(guard)
            return guard

        def ended(guard: Guard, outcome: IProtocol | GreetingError) -> None:
            if isinstance(outcome, GreetingError):
                self._terms.tally.add(NOT_MADE)
                greeted.errback(outcome)
            else:
                greeted.callback(outcome)

        guards: list[Guard] = []
        greeted: Deferred[IProtocol] = Deferred(lambda _: guards[-1].abort())
        connecting = self._endpoint.connect(_Guarding(build))
        return connecting.addCallback(lambda _: greeted)


@implementer(IStreamClientEndpoint)
class OpenEndpoint:
    """An endpoint without a greeting, that sees when the other end wants one."""

    def __init__(self, endpoint: IStreamClientEndpoint, port: Port, terms: Terms) -> None:
        self._endpoint = endpoint
        self._refused = Refused(terms, NOT_MADE, f"no link to port {port.name} of")

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connected at once."""

        def build(addr: IAddress) -> Lookout | None:
            real = protocolFactory.buildProtocol(addr)
            return None if real is None else Lookout(real, self._seen, listens=False)

        connecting: Deferred[Any] = self._endpoint.connect(_Guarding(build))
        return connecting.addCallback(lambda lookout: lookout.real)

    def _seen(self, lookout: Lookout, wrong: str) -> None:
        assert lookout.transport is not None
        self._refused.refused(lookout.transport.getPeer(), wrong)

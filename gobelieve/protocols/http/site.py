"""Our HTTP servers, with limits: whoever is slow, large or many is sent away.

A request, from its first byte on, has `REQUEST_SECONDS` to be here whole; a connection on which
nothing happens ends after `IDLE_SECONDS`. A body beyond the limit is not kept, nor a large one when
there are too many of them: it is read to its end, so that the client gets to see the 413 or 503
that says so, unless that takes too long. When the server stops, what it was asked for is answered,
and connections are kept no longer.
"""

from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

REQUEST_SECONDS = 30.0
IDLE_SECONDS = 60
BODY_LIMIT = 2 << 20
"""Bytes of a request's body."""
SMALL = 64 << 10
"""A larger body needs one of the `LARGE_AT_ONCE` places: with as many as there may be connections
whoever connects could fill the memory, without a key too."""
LARGE_AT_ONCE = 32
MAX_CONNECTIONS = 1000
"""Of one server at once; further ones are closed at once."""
LOG_SECONDS = 60.0
"""One complaint of a kind in so many seconds is logged: anybody can cause them."""


class LimitedRequest(Request):
    """A request that knows whether its body is kept: not if it is too long, or if there were too
    many large ones."""

    channel: "LimitedChannel"
    too_long = False
    crowded = False
    _large: "set[LimitedRequest] | None" = None
    """Those that have a place."""

    def gotLength(self, length: int | None) -> None:
        """The headers are here; the length is None for a chunked body."""
        self._taken = 0
        self._large = self.channel.factory.large
        self.too_long = length is not None and length > BODY_LIMIT
        # Not Twisted's: that would be a temporary file for a long one.
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a piece of the body, or not."""
        self._taken += len(data)
        if self._taken > BODY_LIMIT:
            self.too_long = True
        elif self._taken > SMALL and not self.too_long:
            self.crowded = self.crowded or not self._has_place()
        if not self.too_long and not self.crowded:
            super().handleContentChunk(data)
        else:
            self.content = BytesIO()
            self._leave()

    def _has_place(self) -> bool:
        large = self.channel.factory.large
        if self not in large and len(large) >= LARGE_AT_ONCE:
            return False
        large.add(self)
        return True

    def _leave(self) -> None:
        if self._large is not None:
            self._large.discard(self)

    def finish(self) -> None:
        self._leave()
        super().finish()

    def connectionLost(self, reason: Failure) -> None:
        self._leave()
        super().connectionLost(reason)

    def process(self) -> None:
        """It is here whole."""
        self.channel.is_whole()
        super().process()


class LimitedChannel(HTTPChannel):
    """One connection."""

    factory: "LimitedSite"
    _due: IDelayedCall | None = None
    _answering = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.connections.add(self)

    def dataReceived(self, data: bytes) -> None:
        if self._due is None and not self._answering:
            self._due = self.callLater(REQUEST_SECONDS, self._too_slow)
        super().dataReceived(data)

    def is_whole(self) -> None:
        """The request is here, in time."""
        self._answering = True
        self._forget_due()

    def requestDone(self, request: Request) -> None:
        self._answering = False
        super().requestDone(request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.connections.discard(self)
        self._forget_due()
        super().connectionLost(reason)

    def finish(self) -> None:
        """End when the request that is here is answered; at once if none is."""
        if self._answering:
            self.persistent = False
        else:
            self.loseConnection()

    def _forget_due(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _too_slow(self) -> None:
        self._due = None
        self.factory.log_slow(self)
        transport: Any = self.transport
        transport.abortConnection()


class LimitedSite(Site):
    """A server. It writes no line for each request."""

    protocol: Any = LimitedChannel
    noisy = False
    logger = Logger("gobelieve.http")

    def __init__(self, root: IResource, reactor: IReactorTime | None = None) -> None:
        # A form's fields are no parameters: those are in the URL.
        super().__init__(
            root,
            LimitedRequest,
            timeout=IDLE_SECONDS,
            reactor=reactor,
            parsePOSTFormSubmission=False,
        )
        self.connections: set[LimitedChannel] = set()
        self.large: set[LimitedRequest] = set()
        self._complained: dict[str, float] = {}
        """What, and when."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """None, which closes it, if there are too many."""
        if len(self.connections) >= MAX_CONNECTIONS:
            self._complain("{count} connections are too many", count=MAX_CONNECTIONS)
            return None
        return super().buildProtocol(addr)

    def stopFactory(self) -> None:
        """Nobody is listened to any more: those who are connected are not kept either."""
        super().stopFactory()
        for channel in list(self.connections):
            channel.finish()

    def log(self, request: Any) -> None:
        """Not at info, and not into a file: nothing."""

    def log_slow(self, channel: LimitedChannel) -> None:
        """A client took too long."""
        self._complain("a request of {peer} was too slow", peer=channel.getPeer())

    def _complain(self, what: str, **facts: object) -> None:
        now = self.reactor.seconds()
        if now - self._complained.get(what, float("-inf")) >= LOG_SECONDS:
            self._complained[what] = now
            self.logger.warn(what, **facts)

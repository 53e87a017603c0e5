"""HTTP servers with limits on time, size and number.

A request must arrive within `REQUEST_SECONDS` of its first byte; an idle connection ends after
`IDLE_SECONDS`. A body over the limit is not kept, nor a large one while there are too many of
them. It is still read to its end, within the time, so that the client sees the 413 or 503.

When the server stops, requests that arrived are answered. Then their connections end, and idle ones
end at once.
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

from gobelieve.support.throttled_log import ThrottledLog

REQUEST_SECONDS = 30.0
IDLE_SECONDS = 60
MAX_BODY_BYTES = 2 << 20
SMALL_BODY_BYTES = 64 << 10
"""A larger body needs one of the `MAX_LARGE_BODIES` places. Otherwise clients could fill the
memory, even without a key."""
MAX_LARGE_BODIES = 32
MAX_CONNECTIONS = 1000
"""Connections of one server. Further ones are closed as soon as they are accepted."""


class LimitedRequest(Request):
    """A request that does not keep a body that is too long, or one large body too many."""

    channel: "LimitedChannel"
    too_long = False
    crowded = False
    _large: "set[LimitedRequest] | None" = None
    """The server's requests that have a place for a large body."""

    def gotLength(self, length: int | None) -> None:
        """Prepare for the body. The length is None for a chunked one."""
        self._received = 0
        self._large = self.channel.factory.large
        self.too_long = length is not None and length > MAX_BODY_BYTES
        # Twisted would use a temporary file for a long body.
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a piece of the body, unless the body is too long or one too many."""
        self._received += len(data)
        if self._received > MAX_BODY_BYTES:
            self.too_long = True
        elif self._received > SMALL_BODY_BYTES and not self.too_long:
            self.crowded = self.crowded or not self._take_place()
        if not self.too_long and not self.crowded:
            super().handleContentChunk(data)
        else:
            self.content = BytesIO()
            self._free_place()

    def _take_place(self) -> bool:
        large = self.channel.factory.large
        if self not in large and len(large) >= MAX_LARGE_BODIES:
            return False
        large.add(self)
        return True

    def _free_place(self) -> None:
        if self._large is not None:
            self._large.discard(self)

    def finish(self) -> None:
        self._free_place()
        super().finish()

    def connectionLost(self, reason: Failure) -> None:
        self._free_place()
        super().connectionLost(reason)

    def process(self) -> None:
        """Answer the request, which is complete."""
        self.channel.request_complete()
        super().process()


class LimitedChannel(HTTPChannel):
    """A connection with a time limit for each request."""

    factory: "LimitedSite"
    _timeout_call: IDelayedCall | None = None
    _answering = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.connections.add(self)

    def dataReceived(self, data: bytes) -> None:
        if self._timeout_call is None and not self._answering:
            self._timeout_call = self.callLater(REQUEST_SECONDS, self._too_slow)
        super().dataReceived(data)

    def request_complete(self) -> None:
        """Stop the time limit: the request has arrived."""
        self._answering = True
        self._cancel_timeout()

    def requestDone(self, request: Request) -> None:
        self._answering = False
        super().requestDone(request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.connections.discard(self)
        self._cancel_timeout()
        super().connectionLost(reason)

    def finish(self) -> None:
        """End after the answer to the current request; at once if there is none."""
        if self._answering:
            self.persistent = False
        else:
            self.loseConnection()

    def _cancel_timeout(self) -> None:
        if self._timeout_call is not None:
            self._timeout_call.cancel()
            self._timeout_call = None

    def _too_slow(self) -> None:
        self._timeout_call = None
        self.factory.log_slow(self)
        transport: Any = self.transport
        transport.abortConnection()


class LimitedSite(Site):
    """An HTTP server that writes no log line per request."""

    protocol: Any = LimitedChannel
    noisy = False
    logger = Logger("gobelieve.http")

    def __init__(self, root: IResource, reactor: IReactorTime | None = None) -> None:
        # The fields of a form are not parameters: those stand in the URL.
        super().__init__(
            root,
            LimitedRequest,
            timeout=IDLE_SECONDS,
            reactor=reactor,
            parsePOSTFormSubmission=False,
        )
        self.connections: set[LimitedChannel] = set()
        self.large: set[LimitedRequest] = set()
        # Any client can cause these lines.
        self._throttled = ThrottledLog(self.logger, self.reactor)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return a channel; None, which closes the connection, if there are too many."""
        if len(self.connections) >= MAX_CONNECTIONS:
            self._throttled.warn(
                "connections", "{count} connections are too many", count=MAX_CONNECTIONS
            )
            return None
        return super().buildProtocol(addr)

    def stopFactory(self) -> None:
        """End the connections when the port is closed."""
        super().stopFactory()
        for channel in list(self.connections):
            channel.finish()

    def log(self, request: Any) -> None:
        """Log nothing, where Twisted would log the request."""

    def log_slow(self, channel: LimitedChannel) -> None:
        """Log that a request did not arrive in time."""
        peer = channel.getPeer()
        self._throttled.warn("slow", "a request of {peer} was too slow", peer=peer)

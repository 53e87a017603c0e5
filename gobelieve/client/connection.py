"""Keeps a client's core connected: logs in, ends connections with overdue answers, reconnects."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, Self

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.client.dialogue.core import ClientCore
from gobelieve.client.events import Broken, Event, LoggedIn, LoginRefused, Overdue
from gobelieve.client.link import Link, LinkFactory
from gobelieve.config import parse_address
from gobelieve.errors import LoginRefusedError
from gobelieve.interfaces import Turn
from gobelieve.wire import client

CLOSE_TIMEOUT = 5.0
"""Seconds until a connection that does not close is aborted."""
MAX_REFUSALS = 3
"""Refused logins in a row, after which a client that was logged in before gives up."""


class Credentials(NamedTuple):
    """The content of the client's login."""

    token: str
    platform: int
    device_id: str

    @classmethod
    def checked(cls, token: str, platform: int, device_id: str) -> Self:
        """Return credentials that fit into a frame. Raises `BodyError` if they are too long."""
        message = client.AuthToken(
            platform=platform, token=token.encode(), device_id=device_id.encode()
        )
        message.encode()
        return cls(token, platform, device_id)


class ConnectionOwner(Protocol):
    """The owner of a `Connection`, as the connection sees it."""

    def events_happened(self, events: list[Event]) -> None:
        """Handle the core's events of one read or one tick."""

    def second_passed(self) -> None:
        """Do the work of every second, connected or not."""

    def disconnected(self) -> None:
        """Note that the connection is lost. The client reconnects."""

    def closed(self, why: Exception) -> None:
        """Note that the client does not reconnect."""


class Connection:
    """A series of connections that use the same core, one after another.

    `address` is ``host:port`` or an endpoint. `retry` gives the seconds before a try, from the
    number of tries that failed.
    """

    log = Logger()

    def __init__(
        self,
        owner: ConnectionOwner,
        core: ClientCore,
        credentials: Credentials,
        *,
        reactor: IReactorTime,
        address: str | IStreamClientEndpoint,
        turn: Turn,
        retry: Callable[[int], float] | None,
    ) -> None:
        if isinstance(address, str):
            address = HostnameEndpoint(reactor, *parse_address(address))
        self._owner = owner
        self._core = core
        self._credentials = credentials
        self._reactor = reactor
        self._service = ClientService(
            address,
            LinkFactory(self, turn),
            retryPolicy=retry or backoffPolicy(initialDelay=0.5, maxDelay=10.0),
            clock=reactor,
        )
        self._ticker = LoopingCall(self._tick)
        self._ticker.clock = reactor
        self._link: Link | None = None
        self._refusals = 0
        self._first_login: Deferred[None] | None = None
        self.room = 0
        """The room to enter after every login; 0 for none."""

    async def open(self) -> None:
        """Connect and log in. Does nothing after the first call. An error here is final."""
        if self._service.running:
            return
        first: Deferred[None] = Deferred()
        self._first_login = first
        self._service.startService()
        self._ticker.start(1.0, now=False)
        try:
            await self._service.whenConnected(failAfterFailures=1)
            await first
        except Exception as why:
            # The service reports its failure from inside, and cannot be stopped there.
            await deferLater(self._reactor, 0)
            await self.close(why)
            raise
        finally:
            self._first_login = None

    async def close(self, why: Exception) -> None:
        """Send the frames that wait, close the connection for good, and wait for its end."""
        if self._ticker.running:
            self._ticker.stop()
        link = self._link
        if link is not None:
            self.flush()
            link.flush()
        stopping = self._service.stopService()
        aborting = self._reactor.callLater(CLOSE_TIMEOUT, _abort, link)
        self._owner.closed(why)
        await stopping
        if aborting.active():
            aborting.cancel()

    def flush(self) -> None:
        """Send the core's frames. Without a connection they are dropped."""
        frames = self._core.frames_to_send()
        if self._link is not None:
            self._link.send(frames)

    # --- called by the link

    def connected(self, link: Link) -> None:
        """Send the login and the syncs together; the server answers in order."""
        self._link = link
        self._core.connect()
        self._core.log_in(*self._credentials)
        if self.room:
            self._core.enter_room(self.room)
        if not self._core.holding:
            self._core.sync_all()
        self.flush()

    def received(self, link: Link, data: bytes) -> None:
        """Give bytes from the server to the core."""
        if link is self._link:
            self._handle(self._core.receive_data(data))

    def disconnected(self, link: Link, reason: Failure) -> None:
        """Report that the connection is lost. The service reconnects."""
        self._link = None
        self._owner.disconnected()
        if self._first_login is not None and not self._first_login.called:
            self._first_login.errback(reason)

    # --- inside

    def _tick(self) -> None:
        self._owner.second_passed()
        self.flush()
        if self._link is not None:
            self._handle(self._core.tick())

    def _handle(self, events: list[Event]) -> None:
        self._owner.events_happened(events)
        self.flush()
        for event in events:
            match event:
                case LoggedIn():
                    self._logged_in()
                case LoginRefused(status):
                    self._refused(LoginRefusedError(status))
                case Overdue(what):
                    self._abort(f"{what} is overdue")
                case Broken(why):
                    self._abort(why)

    def _logged_in(self) -> None:
        self._refusals = 0
        if self._first_login is not None and not self._first_login.called:
            self._first_login.callback(None)

    def _refused(self, refused: LoginRefusedError) -> None:
        self._refusals += 1
        if self._first_login is not None and not self._first_login.called:
            self._first_login.errback(refused)
        elif self._refusals >= MAX_REFUSALS:
            self.log.warn("{uid} stops reconnecting: {why}", uid=self._core.uid, why=refused)
            Deferred.fromCoroutine(self.close(refused))
        else:
            # The Go server also refuses logins while its Redis is away.
            self._abort("login refused")

    def _abort(self, why: str) -> None:
        self.log.warn("{uid} ends its connection: {why}", uid=self._core.uid, why=why)
        _abort(self._link)


def _abort(link: Link | None) -> None:
    if link is not None:
        link.abort()

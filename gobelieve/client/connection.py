"""Keeping a client's core connected: logging in, noticing what is overdue, coming back."""

from collections.abc import Callable
from typing import Protocol

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.client.core import ClientCore
from gobelieve.client.events import Broken, Event, LoggedIn, LoginRefused, Overdue
from gobelieve.client.link import Link, LinkFactory
from gobelieve.errors import LoginRefusedError
from gobelieve.interfaces import Turn

CLOSE_TIMEOUT = 5.0
"""Seconds until a connection that does not close is cut."""
REFUSALS = 3
"""Logins refused one after another until a client that was logged in before gives up."""


class User(Protocol):
    """What a `Connection` asks of who uses it."""

    def happened(self, events: list[Event]) -> None:
        """Events of the core, of one read or one tick."""

    def ticked(self) -> None:
        """A second has passed, connected or not."""

    def lost(self) -> None:
        """The connection is gone; another will be tried for."""

    def ended(self, why: Exception) -> None:
        """There will be no other."""


class Connection:
    """One connection after another, with a core that outlives them all."""

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        endpoint: IStreamClientEndpoint,
        core: ClientCore,
        identity: tuple[str, int, str],
        user: User,
        turn: Turn,
        retry: Callable[[int], float] | None,
    ) -> None:
        self._reactor = reactor
        self._core = core
        self._identity = identity
        self._user = user
        self._service = ClientService(
            endpoint,
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
        """The room to be in after every login; 0 for none."""

    async def open(self) -> None:
        """Connect and log in; without effect if that was done. What fails here is final."""
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
            # The service tells of its failure from within, and cannot be stopped there.
            await deferLater(self._reactor, 0)
            await self.close(why)
            raise
        finally:
            self._first_login = None

    async def close(self, why: Exception) -> None:
        """Send what waits, end the connection for good, wait until it is gone."""
        if self._ticker.running:
            self._ticker.stop()
        link = self._link
        if link is not None:
            self.flush()
            link.flush()
        stopping = self._service.stopService()
        cut = self._reactor.callLater(CLOSE_TIMEOUT, _abort, link)
        self._user.ended(why)
        await stopping
        if cut.active():
            cut.cancel()

    def flush(self) -> None:
        """Send what the core has to say. Without a connection it is forgotten."""
        frames = self._core.frames_to_send()
        if self._link is not None:
            self._link.send(frames)

    # --- called by the link

    def connected(self, link: Link) -> None:
        """Say everything at once; the server answers in order."""
        self._link = link
        self._core.connect()
        self._core.log_in(*self._identity)
        if self.room:
            self._core.enter_room(self.room)
        if not self._core.holding:
            self._core.sync_all()
        self.flush()

    def received(self, link: Link, data: bytes) -> None:
        """Bytes came."""
        if link is self._link:
            self._tell(self._core.receive_data(data))

    def disconnected(self, link: Link, reason: Failure) -> None:
        """What comes next is up to the service."""
        self._link = None
        self._user.lost()
        if self._first_login is not None and not self._first_login.called:
            self._first_login.errback(reason)

    # --- inside

    def _tick(self) -> None:
        self._user.ticked()
        self.flush()
        if self._link is not None:
            self._tell(self._core.tick())

    def _tell(self, events: list[Event]) -> None:
        self._user.happened(events)
        self.flush()
        for event in events:
            match event:
                case LoggedIn():
                    self._logged_in()
                case LoginRefused(status):
                    self._refused(LoginRefusedError(status))
                case Overdue(what):
                    self._give_up(f"{what} is overdue")
                case Broken(why):
                    self._give_up(why)

    def _logged_in(self) -> None:
        self._refusals = 0
        if self._first_login is not None and not self._first_login.called:
            self._first_login.callback(None)

    def _refused(self, refused: LoginRefusedError) -> None:
        self._refusals += 1
        if self._first_login is not None and not self._first_login.called:
            self._first_login.errback(refused)
        elif self._refusals >= REFUSALS:
            self.log.warn("{uid} gives up: {why}", uid=self._core.uid, why=refused)
            Deferred.fromCoroutine(self.close(refused))
        else:
            # Upstream refuses a login for a Redis that is away, too.
            self._give_up("login refused")

    def _give_up(self, why: str) -> None:
        self.log.warn("{uid} gives its connection up: {why}", uid=self._core.uid, why=why)
        if self._link is not None:
            self._link.abort()


def _abort(link: Link | None) -> None:
    if link is not None:
        link.abort()

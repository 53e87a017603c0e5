"""The connection to Redis that a daemon keeps, and calls that never wait for ever.

One connection: commands of many callers are pipelined on it by themselves, and one is faster than
ten. Here: connecting again, who may wait and how long. Not here: what the keys mean, which is
`gobelieve.backends.redis.keys`, and the protocol, which is `gobelieve.backends.redis.link`.

A call is answered, or fails with a `BackendError`, within ``config.timeout`` seconds, whatever
Redis does. A call that failed may have been carried out all the same.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha1
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError, gatherResults, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.backends.redis.link import ErrorReply, Link, link_class
from gobelieve.config import RedisConfig, parse_address
from gobelieve.errors import BackendError
from gobelieve.event_loop.connecting import QuietClientService, ReportingEndpoint
from gobelieve.support.backoff import Backoff

MAX_CALLS_IN_FLIGHT = 20_000
"""Calls under way at once. One process gets about as many answers in a second."""

FIRST_DELAY, LONGEST_DELAY = 0.05, 2.0
"""Seconds before connecting again; doubled with each failure."""


@cache
def _sha1(lua: str) -> str:
    return sha1(lua.encode()).hexdigest()


class RedisSubscriber(Protocol):
    """Who has a connection to himself, and sets something up on it each time it is made."""

    def connected(self) -> None:
        """Calls work from now on."""

    def disconnected(self) -> None:
        """What was set up is gone."""

    def published(self, channel: bytes, content: bytes) -> None:
        """A message of a channel that was subscribed to."""


class RedisService(Service):
    """Connects when started, in the background, and again whenever the connection is lost.

    With a `subscriber` the connection may subscribe; from then on nothing but SUBSCRIBE and PING is
    asked on it.
    """

    log = Logger()

    def __init__(
        self,
        config: RedisConfig,
        reactor: IReactorTime,
        max_in_flight: int = MAX_CALLS_IN_FLIGHT,
        subscriber: RedisSubscriber | None = None,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._most = max_in_flight
        self._subscriber = subscriber
        self._link: Link | None = None
        self._waiting: dict[Deferred[Any], tuple[Any, ...]] = {}
        # Counted here: the client service forgets failures as soon as TCP is connected.
        self._backoff = Backoff(FIRST_DELAY, LONGEST_DELAY)
        host, port = parse_address(config.address, "redis.address")
        # Only after the attempt delay does the endpoint say that the last address has failed.
        endpoint = HostnameEndpoint(
            reactor, host or "127.0.0.1", port, timeout=config.timeout, attemptDelay=0.05
        )
        self._endpoint = ReportingEndpoint(endpoint, f"Redis at {config.address}", self.log)
        self._client = QuietClientService(
            self._endpoint, _Links(self), lambda attempt: self._backoff.next(), reactor
        )

    @property
    def trouble(self) -> str:
        """Why it cannot be asked now; "" if it can."""
        return "" if self._link is not None else f"redis: {self._endpoint.why}"

    # --- calls

    async def call(self, *args: Any) -> Any:
        """One command: numbers and str (as UTF-8) are made bytes. Replies are bytes, int, list
        or None. All failures are `BackendError`."""
        if not self.running:
            raise BackendError("Redis is not in use: the service is stopped")
        return await self._call(args)

    async def script(self, lua: str, keys: Sequence[Any], args: Sequence[Any] = ()) -> Any:
        """Run a Lua script; its text is sent only if Redis does not know it."""
        try:
            return await self.call("EVALSHA", _sha1(lua), len(keys), *keys, *args)
        except ErrorReply as error:
            if not error.reply.startswith("NOSCRIPT"):
                raise
        return await self.call("EVAL", lua, len(keys), *keys, *args)

    async def _call(self, args: tuple[Any, ...]) -> Any:
        link = self._link
        if len(self._waiting) + (link.outstanding if link else 0) >= self._most:
            raise BackendError(f"Redis: {self._most} calls are under way already")
        answer: Deferred[Any] = Deferred(self._given_up)
        if link is None:
            self._waiting[answer] = args
        else:
            self._send(link, args, answer)
        try:
            return await answer.addTimeout(self._config.timeout, self._reactor)
        except TimeoutError:
            raise BackendError(self._late()) from None

    def _given_up(self, answer: Deferred[Any]) -> None:
        self._waiting.pop(answer, None)

    def _late(self) -> str:
        if self._link is None:
            return f"Redis at {self._config.address} is away: {self._endpoint.why}"
        return f"Redis at {self._config.address} did not answer in {self._config.timeout:g} s"

    def _send(self, link: Link, args: tuple[Any, ...], answer: Deferred[Any]) -> None:
        # The caller may give up; the reply is awaited all the same, to stay in step.
        try:
            link.ask(args).addBoth(_hand_over, answer)
        except Exception as why:  # an argument that cannot be encoded
            answer.errback(BackendError(f"Redis: the command cannot be sent: {why}"))

    # --- the connection

    def startService(self) -> None:
        super().startService()
        self._client.startService()

    def stopService(self) -> Deferred[None]:
        """What was asked before is answered first; whoever waits for a connection is refused."""
        if not self.running:
            return succeed(None)
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for answer in waiting:
            answer.errback(BackendError("Redis is not in use: the service is stopped"))
        if self._link is not None:
            with suppress(BackendError):
                await self._call(("PING",))
        if self._link is not None:
            # Not loseConnection: that waits for a Redis which takes nothing.
            self._link.drop("the service is stopped")
        await self._client.stopService()

    def linked(self, link: Link) -> None:
        """Log in. The connection counts when Redis has answered: a frozen or a loading one, or a
        wrong password, must not."""
        greeting: list[tuple[Any, ...]] = []
        if self._config.password:
            greeting.append(("AUTH", self._config.password))
        if self._config.db:
            greeting.append(("SELECT", self._config.db))
        greeting.append(("PING",))
        answers = gatherResults([link.ask(args) for args in greeting], consumeErrors=True)
        answers.addCallbacks(lambda _: self._ready(link), lambda why: self._rejected(link, why))

    def _rejected(self, link: Link, failure: Failure) -> None:
        first = failure.value
        why = getattr(first, "subFailure", failure).getErrorMessage()
        link.drop(why)

    def _ready(self, link: Link) -> None:
        self._link = link
        self._backoff.reset()
        self._endpoint.works()
        self.log.info("Redis at {address} is connected", address=self._config.address)
        waiting, self._waiting = self._waiting, {}
        for answer, args in waiting.items():
            self._send(link, args, answer)
        if self._subscriber is not None:
            self._subscriber.connected()

    def link_lost(self, link: Link, why: str) -> None:
        """The connection is gone; the client service makes another."""
        if self._link is link:
            self._link = None
            if self._subscriber is not None:
                self._subscriber.disconnected()
        if self.running:
            self._endpoint.failed(why)

    def published(self, channel: bytes, content: bytes) -> None:
        """From the connection, for the guest."""
        if self._subscriber is not None:
            self._subscriber.published(channel, content)

    def drop(self, why: str) -> None:
        """End the connection now, whatever is outstanding on it. While the service runs another
        one is made."""
        if self._link is not None:
            self._link.drop(why)

    def build_link(self) -> Any:
        """A protocol for a new connection."""
        kind = link_class(subscribed=self._subscriber is not None)
        return kind(self, self._config.timeout, self._reactor)


def _hand_over(result: Any, answer: Deferred[Any]) -> None:
    if not answer.called:
        answer.callback(result)


class _Links(Factory):
    noisy = False

    def __init__(self, service: RedisService) -> None:
        self._service = service

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._service.build_link()

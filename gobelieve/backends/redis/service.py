"""The connection to Redis that a daemon keeps, and calls that always end in time.

There is one connection. The commands of many callers are pipelined on it, and one connection is
faster than ten. This module reconnects, and limits how many calls wait, and how long. The protocol
is in `gobelieve.backends.redis.link`, the meaning of the keys in the modules beside this one.

A call is answered, or fails with a `BackendError`, within ``config.timeout`` seconds, whatever
Redis does. Redis may have carried out a call that failed.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha1
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError, gatherResults, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.backends.redis.link import RedisLink, ReplyError
from gobelieve.config import RedisConfig, parse_address
from gobelieve.errors import BackendError
from gobelieve.event_loop.connecting import QuietClientService, ReportingEndpoint
from gobelieve.support.backoff import Backoff

MAX_CALLS_IN_FLIGHT = 20_000
"""The most calls in flight. One process gets about that many replies per second."""

FIRST_DELAY, LONGEST_DELAY = 0.05, 2.0
"""Seconds before the next attempt to connect; doubled with each failure."""


@cache
def _sha1(lua: str) -> str:
    return sha1(lua.encode()).hexdigest()


class RedisSubscriber(Protocol):
    """The one user of a connection, who subscribes to channels each time it is made."""

    def connected(self) -> None:
        """Begin: calls work from now on."""

    def disconnected(self) -> None:
        """Stop: the connection and its subscriptions are lost."""

    def published(self, channel: bytes, content: bytes) -> None:
        """Handle a message of a channel to which the connection is subscribed."""


class RedisService(Service):
    """Connects in the background when it is started, and again whenever the connection is lost.

    With a `subscriber` the connection may subscribe to channels. After that it may send no other
    commands than SUBSCRIBE and PING.
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
        self._max_in_flight = max_in_flight
        self._subscriber = subscriber
        self._link: RedisLink | None = None
        self._waiting: dict[Deferred[Any], tuple[Any, ...]] = {}
        # Ours, since the client service forgets its failures as soon as TCP is connected.
        self._backoff = Backoff(FIRST_DELAY, LONGEST_DELAY)
        host, port = parse_address(config.address, "redis.address")
        # The endpoint waits this delay after the last address too before it reports a failure.
        endpoint = HostnameEndpoint(
            reactor, host or "127.0.0.1", port, timeout=config.timeout, attemptDelay=0.05
        )
        self._endpoint = ReportingEndpoint(endpoint, f"Redis at {config.address}", self.log)
        factory = Factory.forProtocol(self._new_link)
        factory.noisy = False
        self._client = QuietClientService(
            self._endpoint, factory, lambda attempt: self._backoff.next(), reactor
        )

    @property
    def timeout(self) -> float:
        """Seconds after which a call fails."""
        return self._config.timeout

    @property
    def trouble(self) -> str:
        """Why calls cannot be answered now; "" if they can."""
        return "" if self._link is not None else f"redis: {self._endpoint.why}"

    # --- calls

    async def call(self, *args: Any) -> Any:
        """Send one command and return the reply: bytes, int, list or None.

        Numbers and str are sent as bytes, str as UTF-8. All failures are `BackendError`.
        """
        if not self.running:
            raise BackendError("Redis is not in use: the service is stopped")
        return await self._call(args)

    async def script(self, lua: str, keys: Sequence[Any], args: Sequence[Any] = ()) -> Any:
        """Run a Lua script and return its reply. The text is sent only if Redis lacks it."""
        try:
            return await self.call("EVALSHA", _sha1(lua), len(keys), *keys, *args)
        except ReplyError as error:
            if not error.reply.startswith("NOSCRIPT"):
                raise
        return await self.call("EVAL", lua, len(keys), *keys, *args)

    async def _call(self, args: tuple[Any, ...]) -> Any:
        link = self._link
        if len(self._waiting) + (link.outstanding if link else 0) >= self._max_in_flight:
            raise BackendError(f"Redis: {self._max_in_flight} calls are in flight already")
        answer: Deferred[Any] = Deferred(self._cancelled)
        if link is None:
            self._waiting[answer] = args
        else:
            self._send(link, args, answer)
        try:
            return await answer.addTimeout(self._config.timeout, self._reactor)
        except TimeoutError:
            raise BackendError(self._why_late()) from None

    def _cancelled(self, answer: Deferred[Any]) -> None:
        self._waiting.pop(answer, None)

    def _why_late(self) -> str:
        if self._link is None:
            return f"Redis at {self._config.address} is unreachable: {self._endpoint.why}"
        return f"Redis at {self._config.address} did not answer in {self._config.timeout:g} s"

    def _send(self, link: RedisLink, args: tuple[Any, ...], answer: Deferred[Any]) -> None:
        # The caller may give up. The link still waits for the reply, so that replies stay in step.
        try:
            link.ask(args).addBoth(_forward, answer)
        except Exception as why:  # an argument that cannot be encoded
            answer.errback(BackendError(f"Redis: the command cannot be sent: {why}"))

    # --- the connection

    def startService(self) -> None:
        super().startService()
        self._client.startService()

    def stopService(self) -> Deferred[None]:
        """Stop when the earlier calls are answered. Calls that wait for a connection fail."""
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
            # loseConnection would wait for a Redis that reads nothing.
            self._link.drop("the service is stopped")
        await self._client.stopService()

    def link_opened(self, link: RedisLink) -> None:
        """Log in on a new connection.

        It is used only after Redis has answered: Redis may be frozen or loading, or the password
        may be wrong.
        """
        greeting: list[tuple[Any, ...]] = []
        if self._config.password:
            greeting.append(("AUTH", self._config.password))
        if self._config.db:
            greeting.append(("SELECT", self._config.db))
        greeting.append(("PING",))
        answers = gatherResults([link.ask(args) for args in greeting], consumeErrors=True)
        answers.addCallbacks(lambda _: self._ready(link), lambda why: self._rejected(link, why))

    def _rejected(self, link: RedisLink, failure: Failure) -> None:
        first = failure.value
        why = getattr(first, "subFailure", failure).getErrorMessage()
        link.drop(why)

    def _ready(self, link: RedisLink) -> None:
        self._link = link
        self._backoff.reset()
        self._endpoint.works()
        self.log.info("Redis at {address} is connected", address=self._config.address)
        waiting, self._waiting = self._waiting, {}
        for answer, args in waiting.items():
            self._send(link, args, answer)
        if self._subscriber is not None:
            self._subscriber.connected()

    def link_lost(self, link: RedisLink, why: str) -> None:
        """Tell the subscriber and the log. The client service makes a new connection."""
        if self._link is link:
            self._link = None
            if self._subscriber is not None:
                self._subscriber.disconnected()
        if self.running:
            self._endpoint.failed(why)

    def published(self, channel: bytes, content: bytes) -> None:
        """Forward a message of a channel to the subscriber."""
        if self._subscriber is not None:
            self._subscriber.published(channel, content)

    def drop(self, why: str) -> None:
        """Close the connection now; its outstanding calls fail.

        While the service runs it then makes a new connection.
        """
        if self._link is not None:
            self._link.drop(why)

    def _new_link(self) -> RedisLink:
        subscribes = self._subscriber is not None
        return RedisLink(self, self._config.timeout, self._reactor, subscribes)


def _forward(result: Any, answer: Deferred[Any]) -> None:
    if not answer.called:
        answer.callback(result)

"""The changes that the app's server publishes to channels, as the Go servers did in 2018.

Messages that are published while there is no connection are lost, and Redis may drop messages of a
slow reader. So the counter is read after subscribing, and again every `CHECK_SECONDS`: a script
publishes it to a channel of this process alone. So the counter arrives at its place between the
changes.
"""

from collections.abc import Iterable
from contextlib import suppress

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from gobelieve.backends.redis.events import CHECK_SECONDS, newest_action
from gobelieve.backends.redis.service import RedisService
from gobelieve.errors import BackendError
from gobelieve.interfaces import EventSink

PING_SECONDS = 10.0
"""Seconds between two PINGs, which notice a connection that died silently."""

_CHECK = """
redis.call('PUBLISH', ARGV[1], redis.call('GET', KEYS[1]) or '')
return 1
"""


class Subscription:
    """Channels as a source: see `gobelieve.backends.redis.events.Source`.

    `redis` is a connection for scripts, which a subscribed connection cannot run. `counter` is a
    key of Redis. `own_channel` is a channel of this process alone.
    """

    def __init__(
        self,
        sink: EventSink,
        reactor: IReactorTime,
        *,
        redis: RedisService,
        channels: Iterable[str],
        counter: str,
        own_channel: str,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._sink = sink
        self._reactor = reactor
        self._redis = redis
        self._channels = tuple(channels)
        self._counter = counter
        self._own_channel = own_channel.encode()
        self._check_seconds = check_seconds
        self._counter_arrives: Deferred[bytes] | None = None

    async def follow(self, own: RedisService) -> None:
        """See `gobelieve.backends.redis.events.Source`."""
        for channel in (*self._channels, self._own_channel):
            await own.call("SUBSCRIBE", channel)
        while True:
            newest_action(await self._check())
            checked_at = self._reactor.seconds()
            while self._reactor.seconds() - checked_at < self._check_seconds:
                await deferLater(self._reactor, min(PING_SECONDS, self._check_seconds))
                await own.call("PING")

    async def _check(self) -> bytes:
        """Publish the counter to the own channel; return it when it has arrived there."""
        arrives: Deferred[bytes] = Deferred()
        self._counter_arrives = arrives
        try:
            await self._redis.script(_CHECK, [self._counter], [self._own_channel])
            return await arrives.addTimeout(self._redis.timeout, self._reactor)
        except TimeoutError:
            raise BackendError("Redis: published messages do not arrive") from None
        finally:
            self._counter_arrives = None

    def published(self, channel: bytes, content: bytes) -> None:
        """See `gobelieve.backends.redis.events.Source`."""
        if channel != self._own_channel:
            self._sink.published(channel.decode("utf-8", "replace"), content)
            return
        arrives, self._counter_arrives = self._counter_arrives, None
        if arrives is not None:
            # `follow` gets the content too, and raises the error of a malformed counter.
            with suppress(BackendError):
                self._sink.checked(newest_action(content))
            arrives.callback(content)

    def interrupted(self) -> None:
        """See `gobelieve.backends.redis.events.Source`."""
        self._sink.interrupted()

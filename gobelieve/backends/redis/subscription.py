"""The changes that the app's server publishes to channels, as it did in 2018.

What is published while we are away is gone, and Redis may lose messages to one who reads slowly.
So the counter is looked at once we have subscribed, and again every `CHECK_SECONDS`: a script
publishes it to a channel that only this process listens to, and thus it comes at its place between
the changes.
"""

from collections.abc import Iterable
from contextlib import suppress

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from gobelieve.backends.redis.events import CHECK_SECONDS, newest_action
from gobelieve.backends.redis.service import RedisService
from gobelieve.config import RedisConfig
from gobelieve.errors import BackendError
from gobelieve.interfaces import EventSink

PING_SECONDS = 10.0
"""So often the connection is tried; one that is dead without a word is noticed by that."""

_CHECK = """
redis.call('PUBLISH', ARGV[1], redis.call('GET', KEYS[1]) or '')
return 1
"""


class Subscription:
    """`gobelieve.backends.redis.events.Source`. `ping` is a channel for this process alone;
    `redis` is a connection for scripts, since a subscribed one takes none."""

    def __init__(
        self,
        redis: RedisService,
        config: RedisConfig,
        channels: Iterable[str],
        counter: str,
        ping: str,
        sink: EventSink,
        reactor: IReactorTime,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._redis = redis
        self._timeout = config.timeout
        self._channels = tuple(channels)
        self._counter = counter
        self._ping = ping.encode()
        self._sink = sink
        self._reactor = reactor
        self._check_seconds = check_seconds
        self._heard: Deferred[bytes] | None = None

    async def follow(self, own: RedisService) -> None:
        """See `gobelieve.backends.redis.events.Source`."""
        for channel in (*self._channels, self._ping):
            await own.call("SUBSCRIBE", channel)
        while True:
            newest_action(await self._check())
            checked = self._reactor.seconds()
            while self._reactor.seconds() - checked < self._check_seconds:
                await deferLater(self._reactor, min(PING_SECONDS, self._check_seconds))
                await own.call("PING")

    async def _check(self) -> bytes:
        """Have the counter come by its channel; what it says."""
        heard: Deferred[bytes] = Deferred()
        self._heard = heard
        try:
            await self._redis.script(_CHECK, [self._counter], [self._ping])
            return await heard.addTimeout(self._timeout, self._reactor)
        except TimeoutError:
            raise BackendError("Redis: what is published does not come back") from None
        finally:
            self._heard = None

    def published(self, channel: bytes, content: bytes) -> None:
        """See `gobelieve.backends.redis.events.Source`."""
        if channel != self._ping:
            self._sink.published(channel.decode("utf-8", "replace"), content)
            return
        heard, self._heard = self._heard, None
        if heard is not None:
            # What is no counter is told by `follow`, which gets it too.
            with suppress(BackendError):
                self._sink.checked(newest_action(content))
            heard.callback(content)

"""The channels ``speak_forbidden`` and ``sessions_ended``, whose messages have no numbers.

On the first the app's backend says which users may not speak in rooms. On the second a gateway says
which user's connections must end.

Messages that are published while there is no connection are lost. So the listener is notified each
time messages begin to arrive, and then looks for what it has missed.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from gobelieve.backends.redis.service import RedisService
from gobelieve.backends.redis.subscription import PING_SECONDS

CHANNEL = "speak_forbidden"


class SpeakForbidden:
    """One channel as a source: see `gobelieve.backends.redis.events.Source`.

    `listening()` is called each time messages begin to arrive, `announced(content)` per message.
    """

    def __init__(
        self,
        listening: Callable[[], None],
        announced: Callable[[bytes], None],
        reactor: IReactorTime,
        channel: str = CHANNEL,
    ) -> None:
        self._listening = listening
        self._announced = announced
        self._reactor = reactor
        self._channel = channel

    async def follow(self, own: RedisService) -> None:
        """See `gobelieve.backends.redis.events.Source`."""
        await own.call("SUBSCRIBE", self._channel)
        self._listening()
        while True:
            await deferLater(self._reactor, PING_SECONDS)
            await own.call("PING")

    def published(self, channel: bytes, content: bytes) -> None:
        """See `gobelieve.backends.redis.events.Source`."""
        self._announced(content)

    def interrupted(self) -> None:
        """Do nothing: nobody waits for a message."""

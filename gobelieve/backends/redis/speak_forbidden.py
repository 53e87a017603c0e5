"""The channel ``speak_forbidden``, on which the app's backend says who may not speak in rooms.

And ``sessions_ended``, on which a gateway says whose connections are to end; by a second one.

Messages have no numbers, and what is published while we are away is gone: whoever listens is told
when it begins to come, and looks then for what was missed.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from gobelieve.backends.redis.service import RedisService
from gobelieve.backends.redis.subscription import PING_SECONDS

CHANNEL = "speak_forbidden"


class SpeakForbidden:
    """`gobelieve.backends.redis.events.Source`. `listening()` is called whenever announcements
    begin to come, `announced(content)` for each."""

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
        """There is nobody who waits for what does not come."""

"""The channel ``speak_forbidden`` of a real Redis, which may be killed."""

from typing import Any

from twisted.internet import reactor  # noqa: TID253
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from gobelieve.backends.redis.events import RedisEvents
from gobelieve.backends.redis.speak_forbidden import SpeakForbidden
from gobelieve.config import RedisConfig
from tests.servers import RedisServer, missing

LISTENING = b"listening"


class SpeakForbiddenTests(TestCase):
    """Somebody who listens."""

    skip = missing("redis-server")
    timeout = 30

    def setUp(self) -> None:
        self.server = RedisServer()
        self.server.start()
        self.addCleanup(self.server.stop)
        self.told: list[bytes] = []
        self.waiting: list[tuple[int, Deferred[None]]] = []
        source = SpeakForbidden(lambda: self.tell(LISTENING), self.tell, reactor)
        config = RedisConfig(self.server.address, timeout=0.5)
        clock: Any = reactor
        self.service = RedisEvents(config, clock, source)
        self.service.startService()
        self.addCleanup(self.service.stopService)

    def tell(self, what: bytes) -> None:
        """Keep it."""
        self.told.append(what)
        for count, waited in self.waiting[:]:
            if len(self.told) >= count:
                self.waiting.remove((count, waited))
                waited.callback(None)

    async def until(self, count: int) -> list[bytes]:
        """What was told, when it is so many."""
        if len(self.told) < count:
            waited: Deferred[None] = Deferred()
            self.waiting.append((count, waited))
            await waited
        return self.told

    def publish(self, content: str) -> str:
        """As the app's backend does; the reply has the number of those who listen."""
        return self.server.run("PUBLISH", "speak_forbidden", content)

    async def test_what_is_published_comes_in_order(self) -> None:
        """As soon as it is said that it does."""
        await self.until(1)
        self.assertEqual(self.publish("7,1,1"), ":1\r\n")
        self.publish("7,1,0")
        self.assertEqual(await self.until(3), [LISTENING, b"7,1,1", b"7,1,0"])

    async def test_after_redis_was_away(self) -> None:
        """It is said again: what came meanwhile was missed."""
        await self.until(1)
        self.server.kill()
        self.server.start()
        await self.until(2)
        self.publish("7,1,1")
        self.assertEqual(await self.until(3), [LISTENING, LISTENING, b"7,1,1"])

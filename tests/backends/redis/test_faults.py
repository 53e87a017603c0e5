"""Redis killed, frozen, away, wrong: every call ends in time, and all is well again afterwards."""

from typing import Any

from twisted.internet import reactor  # noqa: TID253
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from gobelieve.backends.redis.service import RedisService
from gobelieve.config import RedisConfig
from gobelieve.errors import BackendError
from tests.ports import free_port
from tests.servers import RedisServer, missing

TIMEOUT = 0.3
SLACK = 1.0
"""What a busy machine may add."""


class Faulty(TestCase):
    """A service, and a server of its own that may suffer."""

    skip = missing("redis-server")
    timeout = 30

    def server(self, password: str = "") -> RedisServer:
        server = RedisServer(password)
        self.addCleanup(server.stop)
        return server

    def started(self, config: RedisConfig, max_in_flight: int = 1000) -> RedisService:
        service = RedisService(config, reactor, max_in_flight)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def connected(
        self, server: RedisServer, timeout: float = TIMEOUT, max_in_flight: int = 1000
    ) -> RedisService:
        server.start()
        return self.started(RedisConfig(server.address, timeout=timeout), max_in_flight)

    async def outcomes(self, service: RedisService, count: int) -> list[Any]:
        """Of so many calls at once: replies and failures."""
        asked = [Deferred.fromCoroutine(service.call("PING")) for _ in range(count)]
        return [outcome for _, outcome in await DeferredList(asked, consumeErrors=True)]

    def assert_failed(self, outcomes: list[Any], text: str) -> None:
        for outcome in outcomes:
            self.assertIsInstance(outcome, Failure)
            self.assertIs(outcome.type, BackendError, outcome)
            self.assertRegex(str(outcome.value), text)

    async def until_answered(self, service: RedisService) -> None:
        """Calls wait for a connection, each up to the timeout, or are refused at once."""
        while True:
            try:
                await service.call("PING")
                return
            except BackendError:
                await deferLater(reactor, 0)


class RedisKilledTests(Faulty):
    """The server process dies."""

    async def test_calls_in_flight_fail_at_once_and_later_ones_work(self) -> None:
        server = self.server()
        service = self.connected(server, timeout=20)
        await self.until_answered(service)
        server.freeze()
        asked = [Deferred.fromCoroutine(service.call("PING")) for _ in range(500)]
        begun = reactor.seconds()
        server.kill()
        outcomes = [o for _, o in await DeferredList(asked, consumeErrors=True)]
        self.assert_failed(outcomes, "Lost connection")
        self.assertLess(reactor.seconds() - begun, 5)
        server.start()
        # Asked while it was away: answered by the new one.
        self.assertEqual(await self.outcomes(service, 10), [b"PONG"] * 10)

    async def test_the_log_tells_once_that_it_went_and_once_that_it_came_back(self) -> None:
        server = self.server()
        service = self.connected(server)
        await self.until_answered(service)
        with capturedLogs() as events:
            server.kill()
            for _ in range(2):
                self.assert_failed(
                    await self.outcomes(service, 3), "Lost connection|is unreachable"
                )
            server.start()
            await self.until_answered(service)
        ours = [
            (event["log_level"].name, event.get("why", ""))
            for event in events
            if event["log_namespace"] == RedisService.__module__ + ".RedisService"
        ]
        self.assertEqual(ours[0], ("warn", "the connection was closed"))
        self.assertIn("refused", ours[1][1])
        self.assertEqual([level for level, _ in ours], ["warn", "warn", "info"])


class RedisFrozenTests(Faulty):
    """The server process stands still: nothing is answered, nothing closed."""

    async def test_calls_fail_within_the_timeout_and_work_after_the_thaw(self) -> None:
        server = self.server()
        service = self.connected(server)
        await self.until_answered(service)
        server.freeze()
        begun = reactor.seconds()
        self.assert_failed(await self.outcomes(service, 100), "did not answer|Lost|is unreachable")
        self.assertLess(reactor.seconds() - begun, TIMEOUT + SLACK)
        begun = reactor.seconds()
        self.assert_failed(await self.outcomes(service, 100), "did not answer|Lost|is unreachable")
        self.assertLess(reactor.seconds() - begun, TIMEOUT + SLACK)
        server.thaw()
        await self.until_answered(service)
        self.assertEqual(await self.outcomes(service, 10), [b"PONG"] * 10)

    async def test_beyond_the_bound_calls_fail_at_once(self) -> None:
        server = self.server()
        service = self.connected(server, max_in_flight=5)
        await self.until_answered(service)
        server.freeze()
        asked = [Deferred.fromCoroutine(service.call("PING")) for _ in range(5)]
        refused = [Deferred.fromCoroutine(service.call("PING")) for _ in range(5)]
        for one in refused:
            self.failureResultOf(one, BackendError)
        server.thaw()
        self.assertEqual(await gatherResults(asked), [b"PONG"] * 5)
        self.assertEqual(await service.call("PING"), b"PONG")

    async def test_callers_that_give_up_still_count_until_redis_is_dropped(self) -> None:
        server = self.server()
        service = self.connected(server, max_in_flight=5)
        await self.until_answered(service)
        server.freeze()
        for _ in range(5):
            given_up: Deferred[Any] = Deferred.fromCoroutine(service.call("PING"))
            given_up.addErrback(lambda _: None)
            given_up.cancel()
        self.failureResultOf(Deferred.fromCoroutine(service.call("PING")), BackendError)
        server.thaw()
        await self.until_answered(service)

    async def test_the_service_stops_all_the_same(self) -> None:
        server = self.server()
        service = self.connected(server)
        await self.until_answered(service)
        server.freeze()
        begun = reactor.seconds()
        await service.stopService()
        self.assertLess(reactor.seconds() - begun, TIMEOUT + SLACK)

    async def test_one_that_was_frozen_before_it_was_connected_does_not_count(self) -> None:
        server = self.server()
        server.start()
        server.freeze()
        service = self.started(RedisConfig(server.address, timeout=TIMEOUT))
        self.assert_failed(await self.outcomes(service, 3), "Lost connection|is unreachable")
        server.thaw()
        await self.until_answered(service)


class RedisAwayTests(Faulty):
    """Nobody listens, or not the right one."""

    async def test_away_at_the_start_and_there_later(self) -> None:
        server = self.server()
        server.port = free_port()
        service = self.started(RedisConfig(server.address, timeout=TIMEOUT))
        begun = reactor.seconds()
        self.assert_failed(await self.outcomes(service, 3), "is unreachable: .*refused")
        self.assertLess(reactor.seconds() - begun, TIMEOUT + SLACK)
        server.start()
        await self.until_answered(service)

    async def test_calls_made_while_connecting_are_answered(self) -> None:
        service = self.connected(self.server())
        self.assertEqual(await self.outcomes(service, 100), [b"PONG"] * 100)

    async def test_who_waits_for_a_connection_is_refused_when_the_service_stops(self) -> None:
        service = self.started(RedisConfig(f"127.0.0.1:{free_port()}", timeout=20))
        asked = [Deferred.fromCoroutine(service.call("PING")) for _ in range(3)]
        await service.stopService()
        for one in asked:
            self.assertIn("stopped", str(self.failureResultOf(one, BackendError).value))

    async def test_the_bound_counts_those_that_wait_for_a_connection(self) -> None:
        service = self.started(RedisConfig(f"127.0.0.1:{free_port()}", timeout=TIMEOUT), 5)
        outcomes = await self.outcomes(service, 8)
        self.assert_failed(outcomes[:5], "is unreachable")
        self.assert_failed(outcomes[5:], "in flight already")
        self.assert_failed(await self.outcomes(service, 1), "is unreachable")

    async def test_password_and_database_are_used(self) -> None:
        server = self.server("s3cret")
        server.start()
        service = self.started(RedisConfig(server.address, "s3cret", 3, TIMEOUT))
        await service.call("SET", "here", 1)
        server.password = "s3cret"
        self.assertIn("db3:keys=1", server.tell("INFO", "keyspace"))

    async def test_a_wrong_password_is_told_and_may_be_put_right_in_redis(self) -> None:
        server = self.server("s3cret")
        server.start()
        service = self.started(RedisConfig(server.address, "other", timeout=TIMEOUT))
        with capturedLogs() as events:
            self.assert_failed(await self.outcomes(service, 2), "is unreachable: .*WRONGPASS")
        self.assertNotIn("other", str(events))
        server.tell("CONFIG", "SET", "requirepass", "other")
        await self.until_answered(service)

    async def test_something_else_that_listens_there_is_told(self) -> None:
        service = await self.answered_by(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assert_failed(await self.outcomes(service, 2), "is unreachable: .*not Redis")

    async def test_a_redis_that_is_still_loading_is_asked_again(self) -> None:
        service = await self.answered_by(b"-LOADING dataset in memory\r\n", b"+PONG\r\n")
        self.assertEqual(await self.outcomes(service, 1), [b"PONG"])

    async def test_a_service_stops_while_a_silent_server_is_being_greeted(self) -> None:
        service = await self.answered_by()
        self.assert_failed(await self.outcomes(service, 1), "is unreachable")
        await service.stopService()

    async def answered_by(self, *answers: bytes) -> RedisService:
        """A service on a server that gives these answers, the last for ever."""
        left = list(answers)

        class Double(Protocol):
            def dataReceived(self, data: bytes) -> None:
                if left:
                    assert self.transport is not None
                    self.transport.write(left.pop(0) if len(left) > 1 else left[0])

        listening = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            Factory.forProtocol(Double)
        )
        self.addCleanup(listening.stopListening)
        address = f"127.0.0.1:{listening.getHost().port}"
        return self.started(RedisConfig(address, timeout=TIMEOUT))

"""A Redis that is killed, frozen, away or wrong: each call ends in time, and later calls work.

A busy machine adds some seconds to anything. So a test uses `TIMEOUT` only where it expects a call
to reach it, and then compares with `ADDED_UP`.
"""

import re
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
NEVER_SECONDS = 60.0
"""The timeout of calls that are answered, or fail for another reason."""
CALLS = 100
ADDED_UP = CALLS * TIMEOUT / 2
"""Seconds that `CALLS` calls at once take if their limits add up, and that no busy machine adds."""


class Faulty(TestCase):
    """Tests with a service, and a server of its own that may suffer."""

    skip = missing("redis-server")
    timeout = 90

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
        self, server: RedisServer, timeout: float = NEVER_SECONDS, max_in_flight: int = 1000
    ) -> RedisService:
        server.start()
        return self.started(RedisConfig(server.address, timeout=timeout), max_in_flight)

    async def outcomes(self, service: RedisService, count: int) -> list[Any]:
        """Make so many calls at once, and return the replies and failures."""
        asked = [Deferred.fromCoroutine(service.call("PING")) for _ in range(count)]
        return [outcome for _, outcome in await DeferredList(asked, consumeErrors=True)]

    def assert_failed(self, outcomes: list[Any], text: str) -> None:
        for outcome in outcomes:
            self.assertIsInstance(outcome, Failure)
            self.assertIs(outcome.type, BackendError, outcome)
            self.assertRegex(str(outcome.value), text)

    async def until_answered(self, service: RedisService, count: int = 1) -> None:
        """Repeat until all of so many calls at once are answered."""
        while await self.outcomes(service, count) != [b"PONG"] * count:
            await deferLater(reactor, 0)

    async def until_error(self, service: RedisService, text: str) -> None:
        """Repeat a call that fails until its error is this one."""
        while True:
            outcomes = await self.outcomes(service, 1)
            self.assert_failed(outcomes, "is unreachable")
            if re.search(text, str(outcomes[0].value)):
                return


class RedisKilledTests(Faulty):
    """The server process dies."""

    async def test_calls_in_flight_fail_at_once_and_later_ones_work(self) -> None:
        server = self.server()
        service = self.connected(server)
        await self.until_answered(service)
        server.freeze()
        asked = [Deferred.fromCoroutine(service.call("PING")) for _ in range(500)]
        server.kill()
        outcomes = [o for _, o in await DeferredList(asked, consumeErrors=True)]
        self.assert_failed(outcomes, "Lost connection")
        server.start()
        # Asked while it was away: answered by the new one.
        self.assertEqual(await self.outcomes(service, 10), [b"PONG"] * 10)

    async def test_the_log_has_each_reason_once_and_one_line_when_redis_is_back(self) -> None:
        server = self.server()
        service = self.connected(server, TIMEOUT)
        await self.until_answered(service)
        with capturedLogs() as events:
            server.kill()
            for _ in range(2):
                self.assert_failed(
                    await self.outcomes(service, 3), "Lost connection|is unreachable"
                )
            await self.until_error(service, "refused")
            server.start()
            await self.until_answered(service)
        ours = [
            (event["log_level"].name, event.get("why", ""))
            for event in events
            if event["log_namespace"] == RedisService.__module__ + ".RedisService"
        ]
        self.assertEqual(ours[0], ("warn", "the connection was closed"))
        self.assertIn("refused", ours[1][1])
        levels = [level for level, _ in ours]
        # A busy machine may add that an attempt took too long.
        self.assertEqual(levels, ["warn"] * (len(ours) - 1) + ["info"])
        self.assertEqual(len(set(ours)), len(ours))


class RedisFrozenTests(Faulty):
    """The server process stands still: it answers nothing and closes nothing."""

    async def test_calls_fail_within_the_timeout_and_work_after_the_thaw(self) -> None:
        server = self.server()
        service = self.connected(server, TIMEOUT)
        await self.until_answered(service)
        server.freeze()
        for _ in range(2):
            begun = reactor.seconds()
            outcomes = await self.outcomes(service, CALLS)
            self.assertLess(reactor.seconds() - begun, ADDED_UP)
            self.assert_failed(outcomes, "did not answer|Lost|is unreachable")
        server.thaw()
        await self.until_answered(service, 10)

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

    async def test_cancelled_calls_count_until_the_connection_is_dropped(self) -> None:
        server = self.server()
        service = self.connected(server, TIMEOUT, max_in_flight=5)
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
        service = self.connected(server, TIMEOUT)
        await self.until_answered(service)
        server.freeze()
        begun = reactor.seconds()
        await service.stopService()
        self.assertLess(reactor.seconds() - begun, ADDED_UP)

    async def test_one_that_was_frozen_before_it_was_connected_does_not_count(self) -> None:
        server = self.server()
        server.start()
        server.freeze()
        service = self.started(RedisConfig(server.address, timeout=TIMEOUT))
        self.assert_failed(await self.outcomes(service, 3), "Lost connection|is unreachable")
        server.thaw()
        await self.until_answered(service)


class RedisAwayTests(Faulty):
    """Nothing listens on the port, or something other than the Redis of the configuration."""

    async def test_away_at_the_start_and_there_later(self) -> None:
        server = self.server()
        server.port = free_port()
        service = self.started(RedisConfig(server.address, timeout=TIMEOUT))
        await self.until_error(service, "refused")
        server.start()
        await self.until_answered(service)

    async def test_calls_made_while_connecting_are_answered(self) -> None:
        service = self.connected(self.server())
        self.assertEqual(await self.outcomes(service, 100), [b"PONG"] * 100)

    async def test_calls_that_wait_for_a_connection_fail_when_the_service_stops(self) -> None:
        service = self.started(RedisConfig(f"127.0.0.1:{free_port()}", timeout=NEVER_SECONDS))
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
        service = self.started(RedisConfig(server.address, "s3cret", 3, NEVER_SECONDS))
        await service.call("SET", "here", 1)
        server.password = "s3cret"
        self.assertIn("db3:keys=1", server.run("INFO", "keyspace"))

    async def test_a_wrong_password_is_reported_and_may_be_corrected_in_redis(self) -> None:
        server = self.server("s3cret")
        server.start()
        service = self.started(RedisConfig(server.address, "other", timeout=TIMEOUT))
        with capturedLogs() as events:
            await self.until_error(service, "WRONGPASS")
        self.assertNotIn("other", str(events))
        server.run("CONFIG", "SET", "requirepass", "other")
        await self.until_answered(service)

    async def test_something_else_that_listens_there_is_reported(self) -> None:
        service = await self.answered_by(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await self.until_error(service, "not Redis")

    async def test_a_redis_that_is_still_loading_is_asked_again(self) -> None:
        answers = b"-LOADING dataset in memory\r\n", b"+PONG\r\n"
        service = await self.answered_by(*answers, call_timeout=NEVER_SECONDS)
        self.assertEqual(await self.outcomes(service, 1), [b"PONG"])

    async def test_a_service_stops_while_a_silent_server_is_being_greeted(self) -> None:
        service = await self.answered_by()
        self.assert_failed(await self.outcomes(service, 1), "is unreachable")
        await service.stopService()

    async def answered_by(self, *answers: bytes, call_timeout: float = TIMEOUT) -> RedisService:
        """Return a service for a server that gives these answers, and repeats the last one."""
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
        return self.started(RedisConfig(address, timeout=call_timeout))

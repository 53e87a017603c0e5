"""MariaDB killed, frozen, away, wrong: every question ends in time, and all is well again after."""

import atexit
import threading
from functools import cache
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from gobelieve.backends.mysql import service as mysql
from gobelieve.backends.mysql.datasource import parse_datasource
from gobelieve.backends.mysql.service import MysqlService
from gobelieve.errors import BackendError
from gobelieve.event_loop.reactor import installed_reactor
from tests.ports import free_port
from tests.servers import MariaServer, missing, shared_maria

SILENCE = 0.5
SLACK = 1.5
"""What a busy machine may add."""


def one(connection: Any) -> int:
    """A question whose answer is 1."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        (answer,) = cursor.fetchone()
    return int(answer)


class Faulty(TestCase):
    """A service, and what it connects to."""

    skip = missing("mariadbd", "mariadb-install-db")
    timeout = 60

    def started(self, port: int, login: str = "root", silence: float = SILENCE) -> MysqlService:
        """On a database at this port; silence counts as an end soon."""
        times = f"timeout={silence}s&readTimeout={silence}s"
        return self.service(f"{login}@tcp(127.0.0.1:{port})/gobelieve?{times}")

    def service(self, source: str) -> MysqlService:
        service = MysqlService(parse_datasource(source), installed_reactor())
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def outcomes(self, service: MysqlService, count: int) -> list[Any]:
        """Of so many questions at once: answers and failures."""
        asked = [Deferred.fromCoroutine(service.read(one)) for _ in range(count)]
        return [outcome for _, outcome in await DeferredList(asked, consumeErrors=True)]

    async def assert_fail(self, service: MysqlService, count: int, text: str) -> None:
        """In time, with an error of the backend."""
        begun = installed_reactor().seconds()
        outcomes = await self.outcomes(service, count)
        self.assertLess(installed_reactor().seconds() - begun, SILENCE + SLACK)
        for outcome in outcomes:
            self.assertIsInstance(outcome, Failure)
            self.assertIs(outcome.type, BackendError, outcome)
            self.assertRegex(str(outcome.value), text)

    async def until_answered(self, service: MysqlService) -> None:
        """It recovers by itself."""
        while True:
            try:
                await service.read(one)
                return
            except BackendError:
                await deferLater(installed_reactor(), 0.01)


@cache
def victim() -> MariaServer:
    """The one of this process that may suffer; each test leaves it running."""
    server = MariaServer()
    server.start()
    atexit.register(server.stop)
    return server


class OwnServerTests(Faulty):
    """A server that suffers."""

    def setUp(self) -> None:
        self.server = victim()
        self.db = self.started(self.server.port)

    async def test_killed_and_started_again(self) -> None:
        """Questions in flight fail at once; afterwards no old connection is noticed."""
        self.assertEqual(await self.outcomes(self.db, 20), [1] * 20)
        self.server.freeze()
        asked: list[Deferred[Any]]
        asked = [Deferred.fromCoroutine(self.db.read(one)) for _ in range(4)]
        self.server.kill()
        for _, outcome in await DeferredList(asked, consumeErrors=True):
            self.assertIs(outcome.type, BackendError)
        await self.assert_fail(self.db, 10, "Can't connect")
        self.server.start()
        self.assertEqual(await self.outcomes(self.db, 20), [1] * 20)

    async def test_a_restart_between_two_questions_is_not_noticed(self) -> None:
        """Each thread has an old connection."""
        self.assertEqual(await self.outcomes(self.db, 20), [1] * 20)
        self.server.kill()
        self.server.start()
        self.assertEqual(await self.outcomes(self.db, 20), [1] * 20)

    async def test_connections_that_the_server_closed_are_not_noticed(self) -> None:
        """It does so with those that are idle for some hours."""
        self.assertEqual(await self.outcomes(self.db, 20), [1] * 20)
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = 'gobelieve'")
            for (number,) in cursor.fetchall():
                if number != connection.thread_id():
                    cursor.execute(f"KILL {number}")
        self.assertEqual(await self.outcomes(self.db, 20), [1] * 20)

    async def test_frozen(self) -> None:
        """Those on the threads and those behind them fail in time; it works after the thaw."""
        self.patch(mysql, "WAITING_SECONDS", SILENCE)
        await self.until_answered(self.db)
        self.server.freeze()
        for _ in range(2):
            await self.assert_fail(self.db, 30, "timed out|older questions|Lost")
        self.server.thaw()
        await self.until_answered(self.db)
        self.assertEqual(await self.outcomes(self.db, 20), [1] * 20)

    async def test_frozen_it_stops_long_before_the_silence_ends(self) -> None:
        """Whoever waits is told, on a connection, for one, and for a thread."""
        db = self.started(self.server.port, silence=20)
        await self.until_answered(db)
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        asked: list[Deferred[Any]]
        asked = [Deferred.fromCoroutine(db.read(one)) for _ in range(30)]
        begun = installed_reactor().seconds()
        await db.stopService()
        self.assertLess(installed_reactor().seconds() - begun, mysql.STOP_SECONDS + SLACK)
        self.server.thaw()
        for _, outcome in await DeferredList(asked, consumeErrors=True):
            self.assertIs(outcome.type, BackendError)


class SharedServerTests(Faulty):
    """A server that is well."""

    def setUp(self) -> None:
        self.server = shared_maria()
        self.db = self.started(self.server.port)

    async def test_one_who_gives_up_holds_no_thread_for_ever(self) -> None:
        """More of them than there are threads."""
        for _ in range(3 * mysql.THREADS):
            given_up = Deferred.fromCoroutine(self.db.read(one))
            given_up.addErrback(lambda _: None)
            given_up.cancel()
        self.assertEqual(await self.outcomes(self.db, 20), [1] * 20)

    async def test_an_error_of_sql_is_a_backend_error_and_the_next_question_works(self) -> None:
        """Its connection is not used again."""

        def wrong(connection: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT nonsense")

        for _ in range(3 * mysql.THREADS):
            with self.assertRaisesRegex(BackendError, r"nonsense.*\(1054\)"):
                await self.db.read(wrong)
        self.assertEqual(await self.db.read(one), 1)

    async def test_an_error_of_ours_is_not_hidden(self) -> None:
        """And the next question works."""

        def defect(connection: Any) -> None:
            raise RuntimeError("a defect")

        with self.assertRaises(RuntimeError):
            await self.db.read(defect)
        self.assertEqual(await self.outcomes(self.db, 20), [1] * 20)

    async def test_only_so_many_wait(self) -> None:
        """Beyond that they fail at once."""
        self.patch(mysql, "MAX_WAITING_QUERIES", 5)
        await self.until_answered(self.db)
        outcomes = await self.outcomes(self.db, mysql.THREADS + 8)
        self.assertEqual(outcomes[: mysql.THREADS + 5], [1] * (mysql.THREADS + 5))
        for outcome in outcomes[mysql.THREADS + 5 :]:
            self.assertIn("wait already", str(outcome.value))

    async def test_a_question_is_read_in_one_transaction(self) -> None:
        """What is written meanwhile is not seen by half."""
        connection = self.server.connect()
        self.addCleanup(connection.close)
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE moment (n INT) ENGINE = InnoDB")
            self.addCleanup(self.server_says, "DROP TABLE moment")

            def twice(reader: Any) -> tuple[int, int]:
                counts = []
                for _ in range(2):
                    with reader.cursor() as rows:
                        rows.execute("SELECT COUNT(*) FROM moment")
                        counts.append(rows.fetchone()[0])
                    cursor.execute("INSERT INTO moment VALUES (1)")
                return counts[0], counts[1]

            self.assertEqual(await self.db.read(twice), (0, 0))
            self.assertEqual(await self.db.read(twice), (2, 2))

    def server_says(self, sql: str) -> None:
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql)

    async def test_by_its_socket(self) -> None:
        """In the folder of the server."""
        service = self.service(f"root@unix({self.server.folder}/socket)/gobelieve")
        self.assertEqual(await service.read(one), 1)

    async def test_by_url(self) -> None:
        """The other form."""
        service = self.service(f"mysql://root@127.0.0.1:{self.server.port}/gobelieve")
        self.assertEqual(await service.read(one), 1)

    async def test_a_wrong_password_is_told_and_not_shown(self) -> None:
        """Nor is it in what the error came from."""
        service = self.started(self.server.port, "nobody:s3cret")
        with self.assertRaises(BackendError) as caught:
            await service.read(one)
        self.assertRegex(str(caught.exception), r"Access denied.*\(1045\)")
        self.assertNotIn("s3cret", str(caught.exception))

    async def test_a_stopped_service_answers_nobody(self) -> None:
        """And may be started again."""
        await self.until_answered(self.db)
        await self.db.stopService()
        with self.assertRaisesRegex(BackendError, "stopped"):
            await self.db.read(one)
        self.db.startService()
        self.assertEqual(await self.db.read(one), 1)


class Silent(Protocol):
    """Accepts, and waits for the other end to give up."""

    ended: list[Deferred[None]] = []

    def connectionMade(self) -> None:
        self.end: Deferred[None] = Deferred()
        self.ended.append(self.end)

    def connectionLost(self, reason: object = None) -> None:
        self.end.callback(None)


class NoServerTests(Faulty):
    """Nobody is there, or nobody who speaks."""

    skip = None

    async def test_nobody_listens(self) -> None:
        """At the start."""
        await self.assert_fail(self.started(free_port()), 10, "Can't connect")

    async def silent(self) -> MysqlService:
        """A service on a port that accepts and never says a word."""
        listening = await TCP4ServerEndpoint(installed_reactor(), 0, interface="127.0.0.1").listen(
            Factory.forProtocol(Silent)
        )
        self.addCleanup(listening.stopListening)
        Silent.ended = []
        self.addCleanup(lambda: gatherResults(Silent.ended))
        return self.started(listening.getHost().port)

    async def test_one_who_does_not_speak(self) -> None:
        """As a frozen server, to one who connects."""
        self.patch(mysql, "WAITING_SECONDS", SILENCE)
        await self.assert_fail(await self.silent(), 30, "timed out|older questions|Lost")

    async def test_a_stop_does_not_wait_for_one_who_does_not_speak(self) -> None:
        """The thread is left behind, and holds nothing up."""
        self.patch(mysql, "STOP_SECONDS", 0.05)
        service = await self.silent()
        asked = Deferred.fromCoroutine(service.read(one))
        begun = installed_reactor().seconds()
        await service.stopService()
        self.assertLess(installed_reactor().seconds() - begun, SILENCE)
        left = [thread for thread in threading.enumerate() if "PoolThread" in thread.name]
        self.assertTrue(any(thread.daemon for thread in left))
        with self.assertRaises(BackendError):
            await asked

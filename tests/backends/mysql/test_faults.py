"""A MariaDB that is killed, frozen, away or wrong: each query ends in time, and later ones work.

No test measures a few seconds, since a busy machine adds some to anything. A test of a limit counts
the queries that reached a thread: if the limits of waiting queries added up, all of them would. In
every other test no limit but trial's own is reached, unless the service is wrong.
"""

import atexit
import threading
from functools import cache
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
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

SILENCE_SECONDS = 0.5
"""How long the server may be silent, and a query may wait for a thread, where a test expects it."""
NEVER_SECONDS = 60.0
"""The same limits in other tests: a test that reaches one is wrong or slow, and fails."""


def one(connection: Any) -> int:
    """Make a query whose answer is 1."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        (answer,) = cursor.fetchone()
    return int(answer)


class Faulty(TestCase):
    """Tests with a service whose limits are never reached."""

    skip = missing("mariadbd", "mariadb-install-db")
    timeout = 120

    def started(
        self, port: int, login: str = "root", silence: float = NEVER_SECONDS
    ) -> MysqlService:
        """Return a service for the database at this port.

        After `silence` seconds without a word from the server, a query fails.
        """
        self.patch(mysql, "WAITING_SECONDS", silence)
        times = f"timeout={silence}s&readTimeout={silence}s"
        return self.service(f"{login}@tcp(127.0.0.1:{port})/gobelieve?{times}")

    def service(self, source: str) -> MysqlService:
        service = MysqlService(parse_datasource(source), installed_reactor())
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def ask(self, service: MysqlService, count: int) -> list[Deferred[int]]:
        """Make so many queries at once."""
        return [Deferred.fromCoroutine(service.read(one)) for _ in range(count)]

    async def outcomes(self, queries: list[Deferred[int]]) -> list[Any]:
        """Return the answers and failures."""
        return [outcome for _, outcome in await DeferredList(queries, consumeErrors=True)]

    async def assert_answered(self, service: MysqlService, count: int = 20) -> None:
        """All of so many queries at once are answered."""
        self.assertEqual(await self.outcomes(self.ask(service, count)), [1] * count)

    async def until_answered(self, service: MysqlService, count: int = 1) -> None:
        """Repeat until all of so many queries at once are answered."""
        while await self.outcomes(self.ask(service, count)) != [1] * count:
            await deferLater(installed_reactor(), 0.01)

    def errors(self, outcomes: list[Any]) -> list[str]:
        """Return the texts of failures, all of which are errors of the backend."""
        for outcome in outcomes:
            self.assertIsInstance(outcome, Failure)
            self.assertIs(outcome.type, BackendError, outcome)
        return [str(outcome.value) for outcome in outcomes]

    async def assert_all_fail(self, queries: list[Deferred[int]], text: str) -> None:
        for error in self.errors(await self.outcomes(queries)):
            self.assertRegex(error, text)

    async def assert_limits_do_not_add_up(self, service: MysqlService) -> None:
        """Many queries to a silent server: two rounds of threads wait for it, the others fail.

        The second round begins if the first ends just before the others have waited long enough.
        """
        errors = self.errors(await self.outcomes(self.ask(service, 30)))
        on_threads = [error for error in errors if "older questions" not in error]
        self.assertIn(len(on_threads), range(mysql.THREADS, 2 * mysql.THREADS + 1), errors)
        for error in on_threads:
            self.assertRegex(error, "timed out|Lost")


@cache
def victim() -> MariaServer:
    """Return the server of this process that may suffer; each test leaves it running."""
    server = MariaServer()
    server.start()
    atexit.register(server.stop)
    return server


class OwnServerTests(Faulty):
    """Tests that kill or freeze the server."""

    def setUp(self) -> None:
        self.server = victim()
        self.db = self.started(self.server.port)

    async def test_killed_and_started_again(self) -> None:
        """Queries in flight fail at once; afterwards no old connection is noticed."""
        await self.assert_answered(self.db)
        self.server.freeze()
        queries = self.ask(self.db, mysql.THREADS)
        self.server.kill()
        for error in self.errors(await self.outcomes(queries)):
            self.assertNotIn("timed out", error)
        await self.assert_all_fail(self.ask(self.db, 10), "Can't connect.*refused")
        self.server.start()
        await self.assert_answered(self.db)

    async def test_a_restart_between_two_queries_is_not_noticed(self) -> None:
        """Each thread has a connection to the old server."""
        await self.assert_answered(self.db)
        self.server.kill()
        self.server.start()
        await self.assert_answered(self.db)

    async def test_connections_that_the_server_closed_are_not_noticed(self) -> None:
        """A server closes connections that are idle for some hours."""
        await self.assert_answered(self.db)
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = 'gobelieve'")
            for (number,) in cursor.fetchall():
                if number != connection.thread_id():
                    cursor.execute(f"KILL {number}")
        await self.assert_answered(self.db)

    async def test_frozen(self) -> None:
        """Queries on threads and queries behind them fail in time; they work after the thaw."""
        db = self.started(self.server.port, silence=SILENCE_SECONDS)
        await self.until_answered(db)
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        for _ in range(2):
            await self.assert_limits_do_not_add_up(db)
        self.server.thaw()
        await self.until_answered(db, 20)

    async def test_frozen_it_stops_long_before_the_silence_ends(self) -> None:
        """Queries that wait for an answer, for a connection or for a thread fail."""
        await self.until_answered(self.db)
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        queries = self.ask(self.db, 30)
        begun = installed_reactor().seconds()
        await self.db.stopService()
        self.assertLess(installed_reactor().seconds() - begun, NEVER_SECONDS / 2)
        for query in queries:
            self.assertIn("stopped", str(self.failureResultOf(query, BackendError).value))


class SharedServerTests(Faulty):
    """Tests that leave the server as it is."""

    def setUp(self) -> None:
        self.server = shared_maria()
        self.db = self.started(self.server.port)

    async def test_a_query_that_was_cancelled_holds_no_thread_for_ever(self) -> None:
        """More queries are cancelled than there are threads."""
        for _ in range(3 * mysql.THREADS):
            given_up = Deferred.fromCoroutine(self.db.read(one))
            given_up.addErrback(lambda _: None)
            given_up.cancel()
        await self.assert_answered(self.db)

    async def test_an_error_of_sql_is_a_backend_error_and_the_next_query_works(self) -> None:
        """A connection on which a query failed is not used again."""

        def wrong(connection: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT nonsense")

        for _ in range(3 * mysql.THREADS):
            with self.assertRaisesRegex(BackendError, r"nonsense.*\(1054\)"):
                await self.db.read(wrong)
        self.assertEqual(await self.db.read(one), 1)

    async def test_an_error_of_ours_is_not_hidden(self) -> None:
        """An error that is none of the database is raised as it is, and the next query works."""

        def defect(connection: Any) -> None:
            raise RuntimeError("a defect")

        with self.assertRaises(RuntimeError):
            await self.db.read(defect)
        await self.assert_answered(self.db)

    async def test_only_so_many_queries_wait(self) -> None:
        """Queries beyond `MAX_WAITING_QUERIES` fail at once."""
        self.patch(mysql, "MAX_WAITING_QUERIES", 5)
        await self.until_answered(self.db)
        outcomes = await self.outcomes(self.ask(self.db, mysql.THREADS + 8))
        self.assertEqual(outcomes[: mysql.THREADS + 5], [1] * (mysql.THREADS + 5))
        for outcome in outcomes[mysql.THREADS + 5 :]:
            self.assertIn("wait already", str(outcome.value))

    async def test_a_query_reads_in_one_transaction(self) -> None:
        """A query of two parts does not see what is written between them."""
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

    async def test_by_its_unix_socket(self) -> None:
        service = self.service(f"root@unix({self.server.folder}/socket)/gobelieve")
        self.assertEqual(await service.read(one), 1)

    async def test_by_url(self) -> None:
        service = self.service(f"mysql://root@127.0.0.1:{self.server.port}/gobelieve")
        self.assertEqual(await service.read(one), 1)

    async def test_a_wrong_password_is_reported_without_the_password(self) -> None:
        service = self.started(self.server.port, "nobody:s3cret")
        with self.assertRaises(BackendError) as caught:
            await service.read(one)
        self.assertRegex(str(caught.exception), r"Access denied.*\(1045\)")
        self.assertNotIn("s3cret", str(caught.exception))

    async def test_a_stopped_service_answers_no_query_until_it_is_started_again(self) -> None:
        await self.until_answered(self.db)
        await self.db.stopService()
        with self.assertRaisesRegex(BackendError, "stopped"):
            await self.db.read(one)
        self.db.startService()
        self.assertEqual(await self.db.read(one), 1)


class Silent(Protocol):
    """Accepts a connection, and never sends anything."""

    accepted: list["Silent"] = []

    def connectionMade(self) -> None:
        self.end: Deferred[None] = Deferred()
        self.accepted.append(self)

    def connectionLost(self, reason: object = None) -> None:
        self.end.callback(None)

    async def close(self) -> None:
        """Close the connection, and wait for its end."""
        assert self.transport is not None
        self.transport.loseConnection()
        await self.end


class NoServerTests(Faulty):
    """Tests with a port on which no database listens."""

    skip = None

    async def test_a_port_on_which_nothing_listens(self) -> None:
        await self.assert_all_fail(
            self.ask(self.started(free_port()), 10), "Can't connect.*refused"
        )

    async def silent_port(self) -> int:
        """Return a port that accepts connections and sends nothing."""
        listening = await TCP4ServerEndpoint(installed_reactor(), 0, interface="127.0.0.1").listen(
            Factory.forProtocol(Silent)
        )
        self.addCleanup(listening.stopListening)
        self.patch(Silent, "accepted", [])
        self.addCleanup(self.close_accepted)
        return int(listening.getHost().port)

    async def close_accepted(self) -> None:
        for connection in Silent.accepted:
            await connection.close()

    async def test_a_server_that_sends_nothing(self) -> None:
        """To a new connection it looks like a frozen server."""
        port = await self.silent_port()
        await self.assert_limits_do_not_add_up(self.started(port, silence=SILENCE_SECONDS))

    async def test_a_stop_does_not_wait_for_a_server_that_sends_nothing(self) -> None:
        """The thread is left behind, and holds nothing up."""
        self.patch(mysql, "STOP_SECONDS", 0.05)
        service = self.started(await self.silent_port())
        (query,) = self.ask(service, 1)
        begun = installed_reactor().seconds()
        await service.stopService()
        self.assertLess(installed_reactor().seconds() - begun, NEVER_SECONDS / 2)
        left = [thread for thread in threading.enumerate() if "PoolThread" in thread.name]
        self.assertTrue(any(thread.daemon for thread in left))
        self.failureResultOf(query, BackendError)

"""Reading and writing the app's MySQL or MariaDB, without ever waiting for it for ever.

PyMySQL blocks, so questions run on a few threads of `twisted.enterprise.adbapi`, each with a
connection of its own, made when it is needed. Known here: how long anything may take, what is
tried again, and how threads that hang are left behind. The SQL is given.

A question whose connection broke before it was answered is asked once more: nothing of it was
committed, since that comes after it. A commit whose answer is lost is not tried again; it may be
done or not, so whoever writes must be able to write the same once more.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from time import monotonic
from typing import Any, TypeVar

import pymysql
from twisted.application.service import Service
from twisted.enterprise import adbapi
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, TimeoutError

from gobelieve.backends.mysql.datasource import Datasource
from gobelieve.errors import BackendError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.event_loop.waiting import called_within
from gobelieve.support.when_empty import WhenEmpty

T = TypeVar("T")

THREADS = 4
MAX_WAITING_QUERIES = 1000
"""Questions that may wait for a thread."""
WAITING_SECONDS = 3.0
"""How long one may wait for a thread."""
ANSWER_SECONDS = 60.0
"""How long an answer may take in which the server is never silent for `Datasource.read_seconds`."""
STOP_SECONDS = 1.0

# Server gone away, connection lost, shut down, killed, ended for idleness.
_LOST = {2006, 2013, 2055, 1053, 1927, 4031}
_DEADLOCK = {1213}
_SOON = 1 / 3
"""Of a silence: a connection lost later than this after the question did not die of old age."""


class _Connection(adbapi.Connection):
    """Closed when anything failed on it: the thread makes another one when it needs it."""

    def rollback(self) -> None:
        pool = self._pool
        if pool.connections.get(pool.threadID()) is self._connection:
            pool.disconnect(self._connection)


class _Pool(adbapi.ConnectionPool):
    connectionFactory = _Connection


class MysqlService(Service):
    """Connects when something is asked for the first time."""

    def __init__(self, source: Datasource, reactor: Reactor) -> None:
        self._source = source
        self._reactor = reactor
        self._threads = DeferredSemaphore(THREADS)
        self._pool: _Pool | None = None
        self._busy: set[Deferred[Any]] = set()
        """Answers that threads work on."""
        self._when_idle = WhenEmpty(self._busy)

    async def read(self, question: Callable[[Any], T]) -> T:
        """`question(connection)` on a thread, in one transaction. Fails with `BackendError`."""
        self._check_running()
        if len(self._threads.waiting) >= MAX_WAITING_QUERIES:
            raise self._error(f"{MAX_WAITING_QUERIES} questions wait already")
        try:
            await self._threads.acquire().addTimeout(WAITING_SECONDS, self._reactor)
        except TimeoutError:
            raise self._error("it has not answered older questions") from None
        except CancelledError:
            self._check_running()
            raise
        try:
            return await self._answer(question)
        except pymysql.MySQLError as why:
            raise self._error(_text(why)) from None
        except OSError as why:
            raise self._error(str(why)) from None

    async def write(self, question: Callable[[Any], T]) -> T:
        """The same, and then a commit. After a `BackendError` it may be done or not."""
        return await self.read(question)

    async def _answer(self, question: Callable[[Any], T]) -> T:
        answer: Deferred[T] = Deferred()
        try:
            self._check_running()
            if self._pool is None:
                self._pool = self._open()
            asked = self._pool.runWithConnection(self._ask, question)
        except BaseException:
            self._threads.release()
            raise
        self._busy.add(answer)
        asked.addBoth(self._answered, answer)
        try:
            return await answer.addTimeout(ANSWER_SECONDS, self._reactor)
        except TimeoutError:
            raise self._error(f"no answer in {ANSWER_SECONDS:g} s") from None

    def _ask(self, connection: Any, question: Callable[[Any], T]) -> T:
        """Runs on a thread."""
        begun = monotonic()
        soon = _SOON * self._source.read_seconds
        try:
            return question(connection)
        except pymysql.MySQLError as why:
            number = why.args[0] if why.args else None
            lost = isinstance(why, pymysql.InterfaceError) or number in _LOST
            # After a silence, asking again would double it; and we may have hung up ourselves.
            again = (lost and monotonic() - begun <= soon) or number in _DEADLOCK
            if not again or not self.running:
                raise
        # Of a deadlock nothing is left, but a new connection is sure to know of none.
        connection.reconnect()
        return question(connection)

    def _answered(self, result: Any, answer: Deferred[Any]) -> None:
        # Only now is the thread free, however long ago the one who asked gave up.
        self._busy.discard(answer)
        self._threads.release()
        if not answer.called:
            answer.callback(result)
        self._when_idle.check()

    def _open(self) -> _Pool:
        pool = _Pool(
            "pymysql",
            **self._source.arguments(),
            cp_min=1,
            cp_max=THREADS,
            cp_reactor=self._reactor,
        )
        # One that hangs, in a look-up of the host's name for instance, must not hold the process.
        pool.threadpool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
        return pool

    def stopService(self) -> Deferred[None]:
        """At once: whoever waits gets an error."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        pool, self._pool = self._pool, None
        for waiting in list(self._threads.waiting):
            waiting.cancel()
        for answer in list(self._busy):
            if not answer.called:
                answer.errback(self._error("the service is stopped"))
        if pool is None:
            return
        for connection in list(pool.connections.values()):
            _hang_up(connection)
        if await called_within(STOP_SECONDS, self._reactor, self._when_idle):
            pool.close()
        elif pool.shutdownID is not None:
            # Closing would wait for the threads that hang; they end with the process.
            self._reactor.removeSystemEventTrigger(pool.shutdownID)

    def _check_running(self) -> None:
        if not self.running:
            raise self._error("the service is stopped")

    def _error(self, why: str) -> BackendError:
        return BackendError(f"MySQL at {self._source}: {why}")


def _text(why: pymysql.MySQLError) -> str:
    if len(why.args) == 2:
        number, text = why.args
        return f"{text or type(why).__name__} ({number})"
    return str(why) or type(why).__name__


def _hang_up(connection: Any) -> None:
    """Have a thread that waits for this connection fail now. Closing does not wake it."""
    sock = getattr(connection, "_sock", None)
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

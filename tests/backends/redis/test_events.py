"""Both forms of announcements from a real Redis, and what happens when it is killed or frozen."""

from typing import Any

from twisted.internet import reactor  # noqa: TID253
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from gobelieve.backends.redis.events import RedisEvents, Source, newest_action
from gobelieve.backends.redis.service import RedisService
from gobelieve.backends.redis.stream import Stream
from gobelieve.backends.redis.subscription import Subscription
from gobelieve.config import RedisConfig
from gobelieve.errors import BackendError
from gobelieve.groups import events
from tests.ports import free_port
from tests.servers import RedisServer, missing, shared_redis

TIMEOUT = 0.5
"""The timeout of Redis where a test expects that it is reached."""
NEVER_SECONDS = 60.0
"""The timeout in the other tests, which a busy machine does not reach."""
CHECK_SECONDS = 0.2


class Seen:
    """An `EventSink` that keeps what it is told, and a server that writes."""

    def __init__(self, server: RedisServer) -> None:
        self.told: list[Any] = []
        self.action = 0
        self._server = server
        self._waiting: list[tuple[Any, Deferred[None]]] = []

    def published(self, channel: str, content: bytes) -> None:
        self._tell((channel, content))

    def entered(self, fields: Any) -> None:
        self._tell((fields[b"name"].decode(), fields[b"action_id"]))

    def checked(self, action: int) -> None:
        self._tell(action)

    def moved(self, action: int) -> None:
        raise AssertionError("only a file moves without a word")

    def interrupted(self) -> None:
        self._tell("late")

    def _tell(self, what: Any) -> None:
        self.told.append(what)
        for wanted, waited in self._waiting[:]:
            if wanted == what:
                self._waiting.remove((wanted, waited))
                waited.callback(None)

    async def until(self, wanted: Any) -> None:
        """Until this is told, from now on."""
        waited: Deferred[None] = Deferred()
        self._waiting.append((wanted, waited))
        await waited

    def forget(self) -> None:
        """What was told so far."""
        self.told.clear()

    def announced(self) -> list[bytes]:
        """The numbers of the changes told, in their order."""
        numbers = []
        for what in self.told:
            if isinstance(what, tuple):
                numbers.append(what[1].split(b":")[1] if b":" in what[1] else what[1])
        return numbers

    def change(self, *, stream: bool, lost: bool = False) -> None:
        """As the app's server does it, in one transaction; `lost` without the announcement."""
        last, new = self.action, self.action + 1
        self.action = new
        if stream:
            say = (
                f"redis.call('XADD', 'group_manager_stream', '*', 'name', 'group_changed',"
                f" 'group_id', 5, 'previous_action_id', {last}, 'action_id', {new})"
            )
        else:
            say = f"redis.call('PUBLISH', 'group_member_add', '{last}:{new}:5,{new}')"
        count = f"redis.call('SET', 'groups_actions', '{last}:{new}')"
        self._server.run("EVAL", count if lost else f"{count} {say}", "0")


class Followed(TestCase):
    """A source on a server of its own, or on the shared one."""

    skip = missing("redis-server")
    timeout = 90
    stream: bool

    def setUp(self) -> None:
        self.server = shared_redis()

    def own_server(self, password: str = "") -> None:
        self.server = RedisServer(password)
        self.addCleanup(self.server.stop)

    async def follow(
        self,
        check_seconds: float = 100,
        password: str = "",
        redis_timeout: float = NEVER_SECONDS,
    ) -> None:
        """Begin, and wait for the first check."""
        self.begin(check_seconds, password, redis_timeout)
        await self.seen.until(self.seen.action)

    def begin(
        self,
        check_seconds: float = 100,
        password: str = "",
        redis_timeout: float = NEVER_SECONDS,
    ) -> None:
        self.seen = Seen(self.server)
        config = RedisConfig(self.server.address, password, timeout=redis_timeout)
        redis = RedisService(config, reactor)
        redis.startService()
        self.addCleanup(redis.stopService)
        self.service = RedisEvents(config, reactor, self.source(redis, check_seconds))
        self.service.startService()
        self.addCleanup(self.service.stopService)

    def source(self, redis: RedisService, check_seconds: float) -> Source:
        raise NotImplementedError

    def change(self, lost: bool = False) -> None:
        self.seen.change(stream=self.stream, lost=lost)


class FollowingContract:
    """What both forms do."""

    async def test_changes_come_in_order_after_the_check(self: Any) -> None:
        await self.follow()
        self.seen.forget()
        for _ in range(30):
            self.change()
        while len(self.seen.announced()) < 30:
            await deferLater(reactor, 0.01)
        self.assertEqual(self.seen.announced(), [b"%d" % n for n in range(1, 31)])
        self.assertEqual(len(self.seen.told), 30)

    async def test_at_the_start_the_counter_is_told(self: Any) -> None:
        self.server.run("SET", "groups_actions", "41:42")
        self.begin()
        await self.seen.until(42)
        self.assertEqual(self.seen.told, [42])

    async def test_a_change_that_nobody_announced_shows_in_the_next_check(self: Any) -> None:
        # A stream is read for up to half the timeout before the next check.
        await self.follow(CHECK_SECONDS, redis_timeout=4)
        self.seen.forget()
        self.change(lost=True)
        await self.seen.until(1)
        self.assertEqual(self.seen.announced(), [])
        self.assertNotIn("late", self.seen.told)

    async def test_checks_come_at_their_place_between_changes(self: Any) -> None:
        """However they are mixed, none is early or late: no gap is seen where there is none."""
        await self.follow(0.001)
        self.seen.forget()
        for _ in range(200):
            self.change()
            await deferLater(reactor, 0)
        await self.seen.until(200)
        last = 0
        checks = 0
        for what in self.seen.told:
            if isinstance(what, int):
                checks += 1
                self.assertEqual(what, last)
            else:
                last += 1
        self.assertEqual((last, checks > 5), (200, True))

    async def test_a_counter_that_is_none_is_told_and_may_be_put_right(self: Any) -> None:
        self.server.run("SET", "groups_actions", "nonsense")
        with capturedLogs() as logged:
            self.begin()
            await self.seen.until("late")
            await self.seen.until("late")
        told = [e for e in logged if "cannot be followed" in e.get("log_format", "")]
        self.assertEqual(len(told), 1)
        self.assertIn("nonsense", str(told[0]["why"]))
        self.assertNotIn(0, self.seen.told)
        self.server.run("SET", "groups_actions", "6:7")
        await self.seen.until(7)

    async def test_an_error_of_ours_does_not_make_it_deaf(self: Any) -> None:
        await self.follow()
        real = self.seen.published, self.seen.entered

        def broken(*args: object) -> None:
            self.seen.published, self.seen.entered = real
            raise RuntimeError("a defect")

        self.seen.published = self.seen.entered = broken
        self.change()
        await self.seen.until("late")
        await self.seen.until(1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.change()
        while self.seen.announced()[-1:] != [b"2"]:
            await deferLater(reactor, 0.01)

    async def test_killed_and_started_again_it_is_followed_again(self: Any) -> None:
        """A server that lost everything restarts its counter, and later changes are seen."""
        self.own_server()
        self.server.start()
        await self.follow()
        for _ in range(3):
            self.change()
        self.server.kill()
        await self.seen.until("late")
        self.server.start()
        await self.seen.until(0)
        self.assertEqual(self.seen.told[-1], 0)
        self.seen.action = 0
        self.change()
        while self.seen.announced()[-1:] != [b"1"]:
            await deferLater(reactor, 0.01)

    async def test_a_frozen_one_is_noticed_and_followed_again(self: Any) -> None:
        """A frozen server sends nothing and closes nothing."""
        self.own_server()
        self.server.start()
        await self.follow(CHECK_SECONDS, redis_timeout=TIMEOUT)
        self.server.freeze()
        await self.seen.until("late")
        self.server.thaw()
        await self.seen.until(0)
        self.assertEqual(self.seen.told[-1], 0)

    async def test_frozen_it_stops_at_once(self: Any) -> None:
        self.own_server()
        self.server.start()
        await self.follow()
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        begun = reactor.seconds()
        await self.service.stopService()
        self.assertLess(reactor.seconds() - begun, NEVER_SECONDS / 2)

    async def test_away_at_the_start_and_there_later(self: Any) -> None:
        self.own_server()
        self.server.port = free_port()
        self.begin()
        await deferLater(reactor, 0.1)
        self.assertEqual(self.seen.told, [])
        self.server.start()
        await self.seen.until(0)

    async def test_a_password_is_used(self: Any) -> None:
        self.own_server("s3cret")
        self.server.start()
        await self.follow(password="s3cret")
        self.change()
        await self.until_told()
        self.assertEqual(self.seen.announced(), [b"1"])

    async def until_told(self: Any) -> None:
        while not self.seen.announced():
            await deferLater(reactor, 0.01)


class SubscriptionTests(FollowingContract, Followed):
    """Channels."""

    stream = False

    def source(self, redis: RedisService, check_seconds: float) -> Source:
        return Subscription(
            self.seen,
            reactor,
            redis=redis,
            channels=events.CHANNELS,
            counter=events.COUNTER,
            own_channel="ping_test",
            check_seconds=check_seconds,
        )

    async def test_each_channel_is_heard(self) -> None:
        """The five of 2018, and the one of muting."""
        await self.follow()
        for channel in events.CHANNELS:
            self.server.run("PUBLISH", channel, "1:2:3")
            await self.seen.until((channel, b"1:2:3"))
        self.assertEqual(len(events.CHANNELS), 6)

    async def test_what_was_published_while_it_was_away_shows_in_the_counter(self) -> None:
        """Its own connection is cut, and Redis lives on."""
        await self.follow()
        await self.service.stopService()
        self.change()
        self.service.startService()
        await self.seen.until(1)
        self.assertEqual(self.seen.announced(), [])


class StreamTests(FollowingContract, Followed):
    """The stream."""

    stream = True

    def source(self, redis: RedisService, check_seconds: float) -> Source:
        return Stream(
            self.seen,
            reactor,
            stream=events.STREAM,
            counter=events.COUNTER,
            check_seconds=check_seconds,
        )

    async def test_what_was_there_before_the_start_is_not_told(self) -> None:
        """Nothing is cached yet."""
        self.seen = Seen(self.server)
        for _ in range(3):
            self.change()
        self.begin()
        self.seen.action = 3
        await self.seen.until(3)
        self.change()
        await self.until_told()
        self.assertEqual(self.seen.told, [3, ("group_changed", b"4")])

    async def test_after_an_interruption_it_goes_on_where_it_was(self) -> None:
        """Before the check, which then finds nothing missing."""
        await self.follow()
        self.change()
        await self.until_told()
        self.seen.forget()
        await self.service.stopService()
        for _ in range(2500):
            self.change()
        self.service.startService()
        await self.seen.until(2501)
        self.assertEqual(self.seen.told[0], "late")
        self.assertEqual(self.seen.announced(), [b"%d" % n for n in range(2, 2502)])
        self.assertEqual([t for t in self.seen.told if isinstance(t, int)], [2501])

    async def test_entries_that_were_cut_off_show_as_a_gap(self) -> None:
        """The next one names a predecessor that never came; or the counter tells."""
        await self.follow()
        await self.service.stopService()
        for _ in range(5):
            self.change()
        self.server.run("XTRIM", "group_manager_stream", "MAXLEN", "1")
        self.service.startService()
        await self.seen.until(5)
        self.assertEqual(self.seen.announced(), [b"5"])
        await self.service.stopService()
        self.seen.forget()
        self.change()
        self.server.run("DEL", "group_manager_stream")
        self.service.startService()
        await self.seen.until(6)
        self.assertEqual(self.seen.announced(), [])


class CounterTests(TestCase):
    """``prev:id``."""

    def test_the_newest_action(self) -> None:
        self.assertEqual(newest_action(None), 0)
        self.assertEqual(newest_action(b""), 0)
        self.assertEqual(newest_action(b"41:42"), 42)
        for bad in (b"42", b":", b"1:", b":2", b"1:2:3", b"a:b", b"1:2\n", b"1:" + b"9" * 20):
            self.assertRaises(BackendError, newest_action, bad)

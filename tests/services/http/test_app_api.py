"""What the app's server ordered: in turn, to its end, and heard of by this gateway."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.groups import events
from gobelieve.interfaces import Change, Group
from gobelieve.services.http.app_api import PATIENCE, Orders
from gobelieve.services.http.group_announcements import (
    HEARD_SECONDS,
    DirectAnnouncer,
    FollowedAnnouncer,
)
from tests.groups.support import ManagerTestCase

ADDED = Change(events.MEMBER_ADD, 5, uid=3)


class OrdersTests(SynchronousTestCase):
    """Changes that take their time."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.orders = Orders(self.clock)
        self.orders.startService()
        self.begun: list[str] = []
        self.ends: dict[str, Deferred[str]] = {}

    def order(self, key: object, name: str) -> Deferred[str]:
        """Something that ends when `ends[name]` fires."""

        async def work() -> str:
            self.begun.append(name)
            return await self.ends.setdefault(name, Deferred())

        return Deferred.fromCoroutine(self.orders.do(key, work))

    def test_those_of_one_group_come_one_after_another(self) -> None:
        """Others do not wait for them."""
        first, second, other = self.order(5, "a"), self.order(5, "b"), self.order(6, "c")
        self.assertEqual(self.begun, ["a", "c"])
        self.ends["a"].callback("done")
        self.assertEqual(self.successResultOf(first), "done")
        self.assertEqual(self.begun, ["a", "c", "b"])
        self.ends["b"].errback(ValueError())
        self.failureResultOf(second, ValueError)
        self.ends["c"].callback("too")
        self.assertEqual(self.successResultOf(other), "too")
        self.order(5, "d")
        self.assertEqual(self.begun[-1], "d")

    def test_who_hangs_up_does_not_stop_it(self) -> None:
        """Neither what runs nor what waits for its turn."""
        first, second = self.order(5, "a"), self.order(5, "b")
        first.cancel()
        second.cancel()
        for given_up in (first, second):
            self.failureResultOf(given_up)
        self.assertFalse(self.ends["a"].called)
        self.ends["a"].callback("done")
        self.assertEqual(self.begun, ["a", "b"])
        self.ends["b"].errback(ValueError("nobody hears of this but the log"))

    def test_a_stop_waits_for_what_was_ordered(self) -> None:
        """What waits for its turn too."""
        self.order(5, "a")
        self.order(5, "b")
        stopped = self.orders.stopService()
        for name in ("a", "b"):
            self.assertNoResult(stopped)
            self.ends[name].callback("done")
        self.successResultOf(stopped)

    def test_a_stop_does_not_wait_for_ever(self) -> None:
        """A database may stand still."""
        self.order(5, "a")
        stopped = self.orders.stopService()
        self.clock.advance(PATIENCE - 0.1)
        self.assertNoResult(stopped)
        self.clock.advance(0.1)
        self.successResultOf(stopped)


class AnnouncerTests(ManagerTestCase):
    """This gateway knows too when it is answered. Group 5 has 1 and 2."""

    def setUp(self) -> None:
        super().setUp()
        self.announced: list[Change] = []
        self.manager.ask(5, lambda group, error: None)

    async def announce(self, changes: list[Change]) -> int:
        """As Redis does: number 11."""
        self.announced += changes
        return 11

    def kept(self) -> Group | None:
        return self.manager.loaded(5)

    def test_alone_a_gateway_is_told_directly(self) -> None:
        """Of every kind of change."""
        direct = DirectAnnouncer(self.manager)
        group = self.kept()
        assert group is not None
        self.successResultOf(Deferred.fromCoroutine(direct.announce([ADDED])))
        self.assertIn(3, group)
        muted = Change(events.MEMBER_MUTE, 5, uid=3, muted=True)
        removed = Change(events.MEMBER_REMOVE, 5, uid=1)
        upgraded = Change(events.UPGRADE, 5, 7, True)
        done = Deferred.fromCoroutine(direct.announce([muted, removed, upgraded]))
        self.successResultOf(done)
        self.assertEqual((group.muted(3), 1 in group, group.super), (True, False, True))
        gone = Deferred.fromCoroutine(direct.announce([Change(events.DISBAND, 5)]))
        self.successResultOf(gone)
        self.assertIsNone(self.kept())

    def test_it_waits_until_it_has_heard_of_it(self) -> None:
        """From Redis, as the others do; then the change is applied."""
        follower = FollowedAnnouncer(self, self.manager, self.clock)  # type: ignore[arg-type]
        done = Deferred.fromCoroutine(follower.announce([ADDED]))
        self.assertNoResult(done)
        seen: list[bool] = []
        done.addCallback(lambda _: seen.append(3 in (self.kept() or ())))
        self.manager.published("group_member_add", b"10:11:5,3")
        self.assertEqual(seen, [True])

    def test_it_may_have_heard_of_it_already(self) -> None:
        """The answer of Redis may be the slower one."""
        self.manager.published("group_member_add", b"10:11:5,3")
        follower = FollowedAnnouncer(self, self.manager, self.clock)  # type: ignore[arg-type]
        self.successResultOf(Deferred.fromCoroutine(follower.announce([ADDED])))

    def test_it_does_not_wait_for_ever(self) -> None:
        """Then the group is read again, in which the change is."""
        follower = FollowedAnnouncer(self, self.manager, self.clock)  # type: ignore[arg-type]
        done = Deferred.fromCoroutine(follower.announce([ADDED]))
        self.clock.advance(HEARD_SECONDS)
        self.successResultOf(done)
        self.assertIsNone(self.kept())
        self.manager.published("group_member_add", b"10:11:5,3")

    def test_it_waits_for_nothing_while_nothing_is_heard(self) -> None:
        """What comes later is in the group that is read again."""
        self.manager.interrupted()
        follower = FollowedAnnouncer(self, self.manager, self.clock)  # type: ignore[arg-type]
        self.successResultOf(Deferred.fromCoroutine(follower.announce([ADDED])))
        self.assertIsNone(self.manager.loaded(5))

    def test_a_check_tells_as_well(self) -> None:
        """Of a change whose announcement was lost."""
        follower = FollowedAnnouncer(self, self.manager, self.clock)  # type: ignore[arg-type]
        done = Deferred.fromCoroutine(follower.announce([ADDED]))
        self.manager.checked(11)
        self.successResultOf(done)

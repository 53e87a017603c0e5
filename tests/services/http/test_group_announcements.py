"""Changes of groups that this gateway announced itself, and their arrival here."""

from twisted.internet.defer import Deferred

from gobelieve.groups import events
from gobelieve.interfaces import Change, Group
from gobelieve.services.http.group_announcements import (
    ANNOUNCED_SECONDS,
    DirectAnnouncer,
    FollowedAnnouncer,
)
from tests.groups.support import ManagerTestCase

ADDED = Change(events.MEMBER_ADD, 5, uid=3)


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
        self.clock.advance(ANNOUNCED_SECONDS)
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

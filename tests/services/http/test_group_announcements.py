"""Announcements of changes of groups, and their arrival at the same gateway."""

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
    """The announcer of a gateway. Group 5 has the members 1 and 2."""

    def setUp(self) -> None:
        super().setUp()
        self.announced: list[Change] = []
        self.manager.ask(5, lambda group, error: None)

    async def announce(self, changes: list[Change]) -> int:
        """Return the number 11, as Redis would."""
        self.announced += changes
        return 11

    def kept(self) -> Group | None:
        return self.manager.loaded(5)

    def test_a_single_gateway_applies_changes_directly(self) -> None:
        """A gateway without others applies each kind of change at once."""
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

    def test_the_gateway_waits_for_its_announcement(self) -> None:
        """A change is applied when the announcement arrives from Redis."""
        follower = FollowedAnnouncer(self, self.manager, self.clock)  # type: ignore[arg-type]
        done = Deferred.fromCoroutine(follower.announce([ADDED]))
        self.assertNoResult(done)
        seen: list[bool] = []
        done.addCallback(lambda _: seen.append(3 in (self.kept() or ())))
        self.manager.published("group_member_add", b"10:11:5,3")
        self.assertEqual(seen, [True])

    def test_the_announcement_arrives_first(self) -> None:
        """The announcement may arrive before the answer of Redis."""
        self.manager.published("group_member_add", b"10:11:5,3")
        follower = FollowedAnnouncer(self, self.manager, self.clock)  # type: ignore[arg-type]
        self.successResultOf(Deferred.fromCoroutine(follower.announce([ADDED])))

    def test_the_announcement_does_not_arrive(self) -> None:
        """After `ANNOUNCED_SECONDS` the group is read again, with the change."""
        follower = FollowedAnnouncer(self, self.manager, self.clock)  # type: ignore[arg-type]
        done = Deferred.fromCoroutine(follower.announce([ADDED]))
        self.clock.advance(ANNOUNCED_SECONDS)
        self.successResultOf(done)
        self.assertIsNone(self.kept())
        self.manager.published("group_member_add", b"10:11:5,3")

    def test_no_wait_while_announcements_do_not_arrive(self) -> None:
        """While announcements do not arrive, the group is read again without a wait."""
        self.manager.interrupted()
        follower = FollowedAnnouncer(self, self.manager, self.clock)  # type: ignore[arg-type]
        self.successResultOf(Deferred.fromCoroutine(follower.announce([ADDED])))
        self.assertIsNone(self.manager.loaded(5))

    def test_a_check_replaces_a_lost_announcement(self) -> None:
        """A regular check of the counter also ends the wait for a lost announcement."""
        follower = FollowedAnnouncer(self, self.manager, self.clock)  # type: ignore[arg-type]
        done = Deferred.fromCoroutine(follower.announce([ADDED]))
        self.manager.checked(11)
        self.successResultOf(done)

"""Changes of groups: what is written, told and announced, in which order, and what fails."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BackendError
from gobelieve.groups import events
from gobelieve.groups.changes import (
    GroupChanges,
    HalfDoneError,
    NoGroupError,
    NoMemberError,
    Person,
    TakenError,
)
from gobelieve.interfaces import Change, NewGroup
from gobelieve.metrics import Counters
from gobelieve.names import GroupReader
from tests.fakes.app import MemoryGroupAdmin, MemoryTelling, MemoryUserAdmin
from tests.fakes.backends import Memory
from tests.protocols.logs import Events

NOW = 1_700_000_000
NEW = NewGroup(7, 1, "g", False, (1, 2))


class ChangesCase(SynchronousTestCase):
    """With a group of 1 and 2."""

    def setUp(self) -> None:
        self.admin, self.telling, self.memory = MemoryGroupAdmin(), MemoryTelling(), Memory()
        self.counters, clock = Counters(), Clock()
        clock.advance(NOW + 0.7)
        self.changes = GroupChanges(
            self.admin,
            self.telling,
            self.telling,
            MemoryUserAdmin(self.memory),
            time=clock,
            counters=self.counters,
            log=Events().log(),
        )
        self.group = self.done(self.changes.create(NEW, [1, {"uid": 2, "name": "Bob"}]))
        self.created, self.telling.told = self.telling.told, []

    def done(self, change: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(change))

    def fails(self, change: Any, why: type[Exception]) -> Exception:
        found: Exception = self.failureResultOf(Deferred.fromCoroutine(change), why).value
        return found

    def told(self) -> list[Any]:
        """What was told since the last call; notifications as (what, content, others)."""
        told, self.telling.told = self.telling.told, []
        return [self.shown(one) for one in told]

    def shown(self, one: Any) -> Any:
        if isinstance(one, Change):
            return one
        appid, group, _, others, text = one
        ((what, content),) = json.loads(text).items()
        self.assertEqual((appid, group), (7, content.pop("group_id")))
        self.assertEqual(content.pop("timestamp"), NOW)
        return what, content, others


class OrderTests(ChangesCase):
    """The order is upstream's."""

    def test_create(self) -> None:
        """Apps see members as the app's server named them."""
        *announced, notified = [self.shown(one) for one in self.created]
        self.assertEqual(
            announced,
            [
                Change(events.CREATE, self.group, 7, False),
                Change(events.MEMBER_ADD, self.group, uid=1),
                Change(events.MEMBER_ADD, self.group, uid=2),
            ],
        )
        shown = {"master": 1, "name": "g", "members": [1, {"uid": 2, "name": "Bob"}]}
        self.assertEqual(notified, ("create", shown, [1, 2]))

    def test_create_with_more_members_than_a_message_has_room_for(self) -> None:
        """They are not shown."""
        uids = range(10**9, 10**9 + 5000)
        group = self.done(self.changes.create(NEW._replace(members=uids), uids))
        (what, content), others = self.big(self.telling.told[-1])
        self.assertEqual((what, content["members"], others), ("create", [], list(uids)))
        self.assertEqual(len(self.admin.members[group]), 5000)

    def big(self, notified: Any) -> Any:
        _, _, _, others, text = notified
        self.assertLess(len(text), 1000)
        return next(iter(json.loads(text).items())), others

    def test_disband(self) -> None:
        """Those who were members hear of it, and then it is gone for gateways."""
        self.done(self.changes.disband(7, self.group))
        self.assertEqual(
            self.told(),
            [("disband", {"group_name": "g"}, ("each", 1, 2)), Change(events.DISBAND, self.group)],
        )
        self.done(self.changes.disband(7, self.group))
        self.assertEqual(self.told(), [Change(events.DISBAND, self.group)], "once more")

    def test_upgrade(self) -> None:
        """Members are notified in their own queues: they do not read the group's yet."""
        self.done(self.changes.upgrade(7, self.group))
        wanted = Change(events.UPGRADE, self.group, 7, True)
        about = {"group_name": "g", "super": 1}
        self.assertEqual(self.told(), [wanted, ("upgrade", about, "each member")])

    def test_names_are_for_apps_alone(self) -> None:
        """Gateways do not care."""
        self.done(self.changes.rename(7, self.group, "new"))
        self.done(self.changes.set_notice(7, self.group, "read"))
        self.done(self.changes.nickname(7, self.group, 2, "Bobby"))
        nickname = {"group_name": "new", "nickname": "Bobby", "member_id": 2}
        self.assertEqual(
            self.told(),
            [
                ("update_name", {"name": "new"}, []),
                ("update_notice", {"notice": "read"}, []),
                ("update_member_nickname", nickname, []),
            ],
        )

    def test_add(self) -> None:
        """One after another; the sync key of before is forgotten."""
        self.memory.sync_keys[GroupReader(7, 3, self.group)] = 50
        people = [Person(3, {"name": "Cat", "avatar": "a"}), Person(4)]
        self.done(self.changes.add(7, self.group, people, {"uid": 1, "name": "Ann"}))
        about = {"group_name": "g", "inviter": {"uid": 1, "name": "Ann"}}
        self.assertEqual(
            self.told(),
            [
                ("add_member", {**about, "member_id": 3, "name": "Cat", "avatar": "a"}, [3]),
                Change(events.MEMBER_ADD, self.group, uid=3),
                ("add_member", {**about, "member_id": 4}, [4]),
                Change(events.MEMBER_ADD, self.group, uid=4),
            ],
        )
        self.assertEqual(self.memory.sync_keys, {})
        self.assertEqual(list(self.admin.members[self.group]), [1, 2, 3, 4])

    def test_remove(self) -> None:
        """Who goes is told too."""
        self.done(self.changes.remove(7, self.group, [Person(2)]))
        self.assertEqual(
            self.told(),
            [
                ("quit_group", {"group_name": "g", "member_id": 2}, [2]),
                Change(events.MEMBER_REMOVE, self.group, uid=2),
            ],
        )

    def test_remove_from_a_super_group(self) -> None:
        """Who goes can no longer read its queue."""
        self.done(self.changes.upgrade(7, self.group))
        self.told()
        self.done(self.changes.remove(7, self.group, [Person(2)]))
        about = {"group_name": "g", "member_id": 2}
        self.assertEqual(
            self.told(),
            [
                Change(events.MEMBER_REMOVE, self.group, uid=2),
                ("quit_group", about, []),
                ("quit_group", about, ("each", 2)),
            ],
        )

    def test_mute(self) -> None:
        """Apps are not told."""
        self.done(self.changes.mute(7, self.group, 2, True))
        self.assertEqual(self.told(), [Change(events.MEMBER_MUTE, self.group, uid=2, muted=True)])


class FailureTests(ChangesCase):
    """What does not work is said, and nothing is hidden."""

    def every(self) -> list[Any]:
        changes, group = self.changes, self.group
        return [
            changes.create(NEW._replace(id=group), [1, 2]),
            changes.rename(7, group, "g"),
            changes.upgrade(7, group),
            changes.add(7, group, [Person(3)]),
            changes.remove(7, group, [Person(3)]),
            changes.mute(7, group, 2, True),
            changes.nickname(7, group, 2, "B"),
            changes.disband(7, group),
        ]

    def test_when_the_database_is_away_nothing_is_told(self) -> None:
        """And whoever ordered it knows."""
        self.admin.away = True
        for change in self.every():
            self.fails(change, BackendError)
        self.assertEqual(self.told(), [])

    def test_what_could_not_be_announced_is_notified_all_the_same(self) -> None:
        """The error says so; ordered again, it is announced."""
        self.telling.failing = {"announcer"}
        why = self.fails(self.changes.add(7, self.group, [Person(3)]), HalfDoneError)
        self.assertEqual(why.group_id, self.group)  # type: ignore[attr-defined]
        self.assertIn("was not announced: Redis is away", str(why))
        self.assertEqual([one[0] for one in self.told()], ["add_member"])
        self.telling.failing = set()
        self.done(self.changes.add(7, self.group, [Person(3)]))
        self.assertEqual(self.told()[1], Change(events.MEMBER_ADD, self.group, uid=3))
        self.assertEqual(self.counters["group_changes_half_done"], 1)

    def test_what_is_away_is_asked_once(self) -> None:
        """Each ask may take seconds until it fails, and a change may have a thousand members."""
        people = [Person(uid) for uid in range(10, 20)]
        for what in ("announcer", "notifier"):
            for change in (self.changes.add, self.changes.remove):
                self.telling.failing, self.telling.failed = {what}, 0
                self.fails(change(7, self.group, people), HalfDoneError)
                self.assertEqual(self.telling.failed, 1, what)

    def test_what_could_not_be_notified_is_announced_all_the_same(self) -> None:
        """Of every change that is announced at all."""
        self.telling.failing = {"notifier"}
        counts = []
        for change in self.every():
            done = Deferred.fromCoroutine(change)
            if isinstance(done.result, Failure):
                why = self.failureResultOf(done, HalfDoneError)
                self.assertIn("not all members were notified", why.getErrorMessage())
                counts.append((len(self.told()), "half done"))
            else:
                counts.append((len(self.told()), "done"))
        half = "half done"
        self.assertEqual(counts[:4], [(3, half), (0, half), (1, half), (1, half)])
        self.assertEqual(counts[4:], [(1, half), (1, "done"), (0, half), (1, half)])

    def test_a_new_group_that_was_not_announced_has_its_number(self) -> None:
        """With which it can be ordered again: there is one."""
        self.telling.failing = {"announcer"}
        why = self.fails(self.changes.create(NEW, [1, 2]), HalfDoneError)
        self.telling.failing = set()
        again = NEW._replace(id=why.group_id)  # type: ignore[attr-defined]
        self.assertEqual(self.done(self.changes.create(again, [1, 2])), again.id)
        self.assertEqual(len(self.admin.cards), 2)

    def test_what_is_not_there(self) -> None:
        """A group, a group of this app, a member."""
        for appid, group in ((7, 99), (8, self.group)):
            for change in (
                self.changes.rename(appid, group, "x"),
                self.changes.set_notice(appid, group, "x"),
                self.changes.upgrade(appid, group),
                self.changes.add(appid, group, [Person(3)]),
                self.changes.remove(appid, group, [Person(1)]),
                self.changes.mute(appid, group, 1, True),
                self.changes.nickname(appid, group, 1, "x"),
                self.changes.show(appid, group),
            ):
                self.fails(change, NoGroupError)
        self.fails(self.changes.disband(8, self.group), NoGroupError)
        self.fails(self.changes.mute(7, self.group, 9, True), NoMemberError)
        self.fails(self.changes.nickname(7, self.group, 9, "x"), NoMemberError)
        self.fails(self.changes.create(NEW._replace(id=self.group, name="x"), []), TakenError)
        self.assertEqual(self.told(), [])

"""What the group manager knows, and what events make of it."""

from gobelieve.errors import BackendError
from gobelieve.interfaces import membership
from tests.groups.support import ManagerTestCase


class LoadTests(ManagerTestCase):
    """Groups come from the store when somebody asks for them."""

    def test_a_group_is_loaded_when_asked_for(self) -> None:
        """And is at hand from then on."""
        self.assertIsNone(self.manager.loaded(5))
        group = self.group()
        self.assertEqual((group.id, group.appid, group.super), (5, 7, False))
        self.assertEqual(sorted(group.members), [1, 2])
        self.assertIs(self.manager.loaded(5), group)
        self.assertIs(self.group(), group)
        self.assertEqual(self.store.loads, [5])

    def test_many_who_ask_at_once_share_a_load(self) -> None:
        """Each is answered once."""
        self.store.held = True
        asked = [self.ask() for _ in range(100)]
        self.assertEqual(self.store.loads, [5])
        self.assertEqual(asked, [[]] * 100)
        self.store.answer()
        self.assertEqual([len(answers) for answers in asked], [1] * 100)
        self.assertEqual(len({id(answers[0]) for answers in asked}), 1)

    def test_a_group_that_does_not_exist_is_asked_for_once_in_five_seconds(self) -> None:
        """So that many messages to it are not many queries."""
        for _ in range(50):
            self.assertEqual(self.ask(6), [None])
        self.assertEqual(self.store.loads, [6])
        self.clock.advance(5)
        self.assertEqual(self.ask(6), [None])
        self.assertEqual(self.store.loads, [6, 6])

    def test_a_group_that_is_created_is_there_at_once(self) -> None:
        """Though it was missing a moment ago; with the members that the store has."""
        self.assertEqual(self.ask(6), [None])
        self.store.put(6, 9)
        self.publish("group_create", "6,7,0")
        self.assertEqual(self.members(6), [9])

    def test_any_event_about_it_says_that_a_group_may_be_there(self) -> None:
        """Also if that of its creation was lost, and also while it is being loaded."""
        self.assertEqual(self.ask(6), [None])
        self.store.put(6, 9)
        self.publish("group_member_add", "6,9")
        self.assertEqual(self.members(6), [9])
        self.store.held = True
        asked = self.ask(7)
        self.store.put(7, 9)
        self.publish("group_member_add", "7,9")
        self.store.answer()
        self.assertEqual(asked, [None])
        self.store.held = False
        self.assertEqual(self.members(7), [9])

    def test_memory_of_missing_groups_is_bounded(self) -> None:
        """However many ids somebody tries."""
        for group_id in range(100, 10_200):
            self.ask(group_id)
        self.assertLessEqual(len(self.manager._cache._missing), 10_000)

    def test_while_the_store_is_away_who_asks_gets_an_error(self) -> None:
        """And the log says so once, and once that it is over."""
        self.store.away = True
        for _ in range(3):
            (answer,) = self.ask()
            self.assertIsInstance(answer, BackendError)
        self.store.away = False
        self.assertEqual(self.members(), [1, 2])
        self.assertEqual(
            self.events.texts(),
            ["groups cannot be loaded: the store is away", "groups can be loaded again"],
        )
        self.assertEqual(self.counters["groups_not_loaded"], 3)

    def test_an_error_of_ours_leaves_nobody_without_an_answer(self) -> None:
        """And the next one who asks starts anew."""

        async def broken(group_id: int) -> None:
            raise RuntimeError("a defect")

        self.patch(self.manager._cache, "_read", broken)
        (answer,) = self.ask()
        self.assertIsInstance(answer, BackendError)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.patch(self.manager._cache, "_read", self.store.load)
        self.assertEqual(self.members(), [1, 2])

    def test_what_is_not_used_for_an_hour_is_dropped(self) -> None:
        """What is used stays."""
        self.store.put(6, 3)
        self.group(5), self.group(6)
        for _ in range(12):
            self.manager.loaded(5)
            self.manager.sweep()
        self.assertEqual(len(self.manager), 2)
        self.manager.loaded(5)
        self.manager.sweep()
        self.assertIsNotNone(self.manager.loaded(5))
        self.assertIsNone(self.manager.loaded(6))

    def test_at_the_stop_who_waits_is_told(self) -> None:
        """And nobody waits afterwards; a load that ends later changes nothing."""
        self.store.held = True
        waiting = self.ask()
        self.manager.close()
        self.assertIn("stopped", str(waiting[0]))
        self.store.answer()
        self.assertEqual(len(waiting), 1)
        self.assertIn("stopped", str(self.ask()[0]))
        self.assertIsNone(self.manager.loaded(5))


class EventTests(ManagerTestCase):
    """What an event does to a group that is at hand."""

    def setUp(self) -> None:
        super().setUp()
        self.kept = self.group()

    def test_members_come_and_go(self) -> None:
        """Who comes joined just now, and may speak."""
        self.publish("group_member_add", "5,3")
        self.publish("group_member_remove", "5,1")
        self.assertEqual(sorted(self.kept.members), [2, 3])
        self.assertEqual(self.kept.joined(3), 1000)
        self.assertFalse(self.kept.muted(3))
        self.assertIs(self.manager.loaded(5), self.kept)

    def test_a_member_is_muted_and_unmuted(self) -> None:
        """And keeps the time of joining."""
        self.publish("group_member_mute", "5,1,1")
        self.assertEqual((self.kept.muted(1), self.kept.joined(1)), (True, 1))
        self.assertFalse(self.kept.muted(2))
        self.publish("group_member_mute", "5,1,0")
        self.assertEqual((self.kept.muted(1), self.kept.joined(1)), (False, 1))

    def test_who_is_added_again_stays_muted(self) -> None:
        """And did not join anew; unless removed in between."""
        self.publish("group_member_mute", "5,1,1")
        self.publish("group_member_add", "5,1")
        self.assertEqual(self.kept.members[1], membership(1, True))
        self.publish("group_member_remove", "5,1")
        self.publish("group_member_add", "5,1")
        self.assertEqual(self.kept.members[1], membership(1000, False))

    def test_to_mute_or_remove_nobody_does_nothing(self) -> None:
        """The event may be older than what was loaded."""
        self.publish("group_member_mute", "5,9,1")
        self.publish("group_member_remove", "5,9")
        self.assertEqual(sorted(self.kept.members), [1, 2])

    def test_an_upgrade_makes_it_super(self) -> None:
        """For good."""
        self.publish("group_upgrade", "5,7,1")
        self.assertTrue(self.kept.super)

    def test_a_disbanded_group_is_no_more(self) -> None:
        """At once, and in the store."""
        del self.store.rows[5]
        self.publish("group_disband", "5")
        self.assertIsNone(self.manager.loaded(5))
        self.assertEqual(self.ask(), [None])

    def test_created_changed_or_something_unknown_means_to_load_it_again(self) -> None:
        """Not to replace its members by nobody, as upstream does at a creation."""
        entries = [
            {b"name": name, b"group_id": b"5", b"app_id": b"7", b"super": b"0"}
            for name in (b"group_create", b"group_changed", b"group_of_2031")
        ]
        for number, entry in enumerate(entries):
            self.store.put(5, number + 10)
            ids = {
                b"previous_action_id": b"%d" % self.last,
                b"action_id": b"%d" % (self.last + 1),
            }
            self.manager.entered(entry | ids)
            self.last += 1
            self.assertEqual(self.members(), [number + 10])

    def test_other_groups_are_left_alone(self) -> None:
        """Also those that are not at hand: an event loads nothing."""
        for channel in ("group_member_add", "group_member_remove"):
            self.publish(channel, "6,1")
        self.publish("group_disband", "6")
        self.assertEqual(self.store.loads, [5])
        self.assertEqual(sorted(self.kept.members), [1, 2])
        self.assertEqual(self.counters["group_events"], 3)

    def test_the_stream_s_form_does_the_same(self) -> None:
        """With its own fields."""
        self.manager.entered(
            {
                b"group_id": b"5",
                b"member_id": b"4",
                b"name": b"group_member_add",
                b"previous_action_id": b"10",
                b"action_id": b"11",
            }
        )
        self.assertIn(4, self.kept)
        self.assertIs(self.manager.loaded(5), self.kept)

    def test_what_makes_no_sense_is_counted_and_told_once_a_minute(self) -> None:
        """And nothing else happens; what comes behind it shows the gap."""
        for _ in range(100):
            self.manager.published("group_member_add", b"10:11:5")
            self.manager.entered({b"name": b"group_member_add"})
        self.assertEqual(self.counters["group_events_malformed"], 200)
        self.assertEqual(len(self.events), 1)
        self.assertIs(self.manager.loaded(5), self.kept)
        self.clock.advance(60)
        self.manager.published("group_member_add", b"")
        self.assertEqual(len(self.events), 2)
        self.manager.published("group_member_add", b"11:12:5,8")
        self.assertEqual(self.counters["group_events_gaps"], 1)
        self.assertIsNone(self.manager.loaded(5))


class WhileLoadingTests(ManagerTestCase):
    """Events that come while a group is being loaded: the store was read before them."""

    def setUp(self) -> None:
        super().setUp()
        self.store.held = True
        self.asked = self.ask()

    def test_a_change_is_in_what_was_loaded(self) -> None:
        """Whether or not the store had it already."""
        self.publish("group_member_add", "5,3")
        self.publish("group_member_add", "5,1")
        self.publish("group_member_remove", "5,2")
        self.publish("group_upgrade", "5,7,1")
        self.publish("group_member_mute", "5,3,1")
        self.store.answer()
        group = self.manager.loaded(5)
        assert group is not None
        self.assertEqual(group.members, {1: membership(1, False), 3: membership(1000, True)})
        self.assertTrue(group.super)
        self.assertEqual(self.asked, [group])
        self.assertEqual(self.store.loads, [5])

    def test_disbanded_meanwhile_is_no_group(self) -> None:
        """Whatever was read."""
        self.publish("group_disband", "5")
        self.store.answer()
        self.assertEqual(self.asked, [None])
        self.assertIsNone(self.manager.loaded(5))

    def test_what_an_event_does_not_say_is_read_again(self) -> None:
        """Before anybody is answered."""
        self.store.put(5, 8)
        self.publish("group_create", "5,7,0")
        self.store.answer()
        self.assertEqual(self.asked, [])
        self.assertEqual(self.store.loads, [5, 5])
        self.store.answer()
        self.assertEqual(self.members(), [8])

    def test_after_a_gap_it_is_read_again(self) -> None:
        """Nobody knows what the missed event was."""
        self.store.put(5, 8)
        self.last += 1
        self.publish("group_member_add", "6,1")
        self.store.answer()
        self.assertEqual(self.asked, [])
        self.store.answer()
        self.assertEqual(self.members(), [8])

    def test_one_that_changes_all_the_time_is_answered_all_the_same(self) -> None:
        """With what was read last, which is not kept."""
        for round_ in range(3):
            self.assertEqual(self.asked, [])
            self.store.put(5, round_ + 20)
            self.publish("group_create", "5,7,0")
            self.store.answer()
        (answer,) = self.asked
        assert not isinstance(answer, BackendError)
        assert answer is not None
        self.assertEqual(list(answer.members), [21])
        self.assertIsNone(self.manager.loaded(5))

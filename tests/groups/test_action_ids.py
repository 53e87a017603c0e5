"""Missed events, and events that are late: how long something untrue may be served."""

from tests.groups.support import ManagerTestCase


class GapTests(ManagerTestCase):
    """Action ids tell that something was missed."""

    def setUp(self) -> None:
        super().setUp()
        self.group()
        self.store.put(5, 1, 2, 3)

    def test_without_a_gap_nothing_is_loaded_again(self) -> None:
        """However often it is checked."""
        self.publish("group_member_add", "5,3")
        self.manager.checked(11)
        self.manager.checked(11)
        self.group()
        self.assertEqual(self.store.loads, [5])
        self.assertEqual(self.counters["group_events_gaps"], 0)

    def test_a_missed_event_shows_in_the_next_one(self) -> None:
        """All is forgotten at once: nobody knows which group it was about."""
        self.last += 1
        self.publish("group_member_add", "6,1")
        self.assertEqual(self.members(), [1, 2, 3])
        self.assertEqual(self.counters["group_events_gaps"], 1)
        self.assertEqual(
            self.events.texts(),
            ["group events were missed: 10 was seen last, and then there was 11"],
        )

    def test_a_missed_event_shows_in_the_check(self) -> None:
        """If it was the last one."""
        self.manager.checked(11)
        self.assertEqual(self.members(), [1, 2, 3])
        self.manager.checked(11)
        self.assertEqual(self.store.loads, [5, 5])

    def test_numbers_that_begin_again_are_a_gap(self) -> None:
        """Redis lost what it had."""
        self.manager.checked(0)
        self.assertEqual(self.members(), [1, 2, 3])
        self.last = 0
        self.publish("group_member_add", "5,4")
        self.assertEqual(self.members(), [1, 2, 3, 4])
        self.assertEqual(self.counters["group_events_gaps"], 1)

    def test_a_flood_of_gaps_loads_once_in_ten_seconds(self) -> None:
        """So that a server which misnumbers does no harm; and nothing is older than that."""
        for second in range(40):
            self.last += 7
            self.publish("group_member_add", "6,1")
            self.store.put(5, second)
            self.clock.advance(1)
            shown = self.members()[0]
            self.assertGreaterEqual(shown, second - 10)
        self.assertLessEqual(len(self.store.loads), 6)
        self.assertGreaterEqual(len(self.store.loads), 4)
        self.assertEqual(self.counters["group_events_gaps"], 40)
        self.assertLessEqual(len(self.events), 5)
        self.manager.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LateTests(ManagerTestCase):
    """While the connection to Redis is away."""

    def setUp(self) -> None:
        super().setUp()
        self.kept = self.group()
        self.store.put(5, 1, 2, 3)
        self.clock.advance(100)
        self.manager.interrupted()

    def test_what_is_kept_is_good_for_ten_more_seconds(self) -> None:
        """Then it is loaded again, as often."""
        self.clock.advance(9.9)
        self.assertIs(self.manager.loaded(5), self.kept)
        self.clock.advance(0.1)
        self.assertIsNone(self.manager.loaded(5))
        self.assertEqual(self.members(), [1, 2, 3])
        self.store.put(5, 4)
        self.clock.advance(9.9)
        self.assertEqual(self.members(), [1, 2, 3])
        self.clock.advance(0.1)
        self.assertEqual(self.members(), [4])

    def test_with_the_store_away_too_there_is_no_answer(self) -> None:
        """Rather than one that may be wrong."""
        self.store.away = True
        self.clock.advance(10)
        self.assertIn("away", str(self.ask()[0]))

    def test_if_nothing_happened_all_is_good_again(self) -> None:
        """The check says so."""
        self.clock.advance(1000)
        self.assertIsNone(self.manager.loaded(5))
        self.manager.checked(10)
        self.manager.checked(10)
        self.assertIs(self.manager.loaded(5), self.kept)
        self.assertEqual(self.events.texts(), ["group events are followed"])

    def test_if_something_happened_all_is_loaded_again(self) -> None:
        """Published events of that time do not come any more."""
        self.clock.advance(1000)
        self.manager.checked(11)
        self.assertEqual(self.members(), [1, 2, 3])

    def test_late_events_are_applied_to_what_is_older_than_they_are(self) -> None:
        """A stream goes on where it stopped."""
        self.clock.advance(1000)
        self.publish("group_member_add", "5,3")
        self.manager.checked(11)
        self.assertIs(self.manager.loaded(5), self.kept)
        self.assertIn(3, self.kept)

    def test_what_was_loaded_meanwhile_is_loaded_again_when_a_late_event_is_about_it(self) -> None:
        """It may be newer than the event: here 3 was added, removed, and added again."""
        self.clock.advance(1000)
        joined = self.group().joined(3)
        self.publish("group_member_add", "5,3")
        self.publish("group_member_remove", "5,3")
        self.publish("group_member_add", "5,3")
        self.manager.checked(13)
        self.assertEqual(self.group().joined(3), joined)
        self.assertEqual(self.counters["group_events_gaps"], 0)

    def test_a_late_event_during_a_load_reads_again(self) -> None:
        """For the same reason."""
        self.clock.advance(1000)
        self.store.held = True
        asked = self.ask()
        self.publish("group_member_remove", "5,3")
        self.store.answer()
        self.assertEqual(asked, [])
        self.store.answer()
        self.assertEqual(self.members(), [1, 2, 3])


class StartTests(ManagerTestCase):
    """Before Redis was heard for the first time."""

    def test_groups_are_there_and_not_trusted_for_long(self) -> None:
        """The daemon runs without Redis."""
        self.manager = self.new_manager()
        self.assertEqual(self.members(), [1, 2])
        self.store.put(5, 9)
        self.clock.advance(9)
        self.assertEqual(self.members(), [1, 2])
        self.clock.advance(1)
        self.assertEqual(self.members(), [9])

    def test_what_was_loaded_before_the_first_check_is_forgotten(self) -> None:
        """It may have changed while nobody listened."""
        self.manager = self.new_manager()
        self.group()
        self.store.put(5, 9)
        self.manager.checked(33)
        self.assertEqual(self.members(), [9])
        self.clock.advance(1000)
        self.assertIsNotNone(self.manager.loaded(5))
        self.assertEqual(self.counters["group_events_gaps"], 0)

    def test_an_event_before_the_first_check_is_no_gap(self) -> None:
        """One subscribes first, and then looks at the number."""
        self.manager = self.new_manager()
        self.last = 20
        self.publish("group_member_add", "5,3")
        self.manager.checked(21)
        self.publish("group_member_add", "5,4")
        self.manager.checked(22)
        self.assertEqual(self.counters["group_events_gaps"], 0)

"""Relations of users: loaded once a pair, and changed by what the app's server announces."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BackendError
from gobelieve.groups import relations as module
from gobelieve.groups.cache import STALE_SECONDS, SWEEP_SECONDS, UNUSED_SWEEPS
from gobelieve.groups.relations import RelationManager
from gobelieve.interfaces import (
    IN_MY_BLACKLIST,
    IN_YOUR_BLACKLIST,
    MY_FRIEND,
    YOUR_FRIEND,
    mirrored,
)
from gobelieve.metrics import Counters
from gobelieve.names import User
from gobelieve.services.process.options import Coroutines
from tests.fakes.relations import MemoryRelationStore
from tests.protocols.logs import Events

ANN, BOB = User(7, 1001), User(7, 1002)
BOTH = MY_FRIEND | YOUR_FRIEND


class RelationTests(SynchronousTestCase):
    """Events come in time from action 10 on."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.store = MemoryRelationStore()
        self.counters = Counters()
        self.events = Events()
        self.manager = RelationManager(
            self.store,
            time=self.clock,
            tasks=Coroutines(),
            counters=self.counters,
            log=self.events.log(),
        )
        self.manager.checked(10)
        self.last = 10

    def ask(self, user: User, peer: User) -> list[int | BackendError | None]:
        """What is answered, once it is."""
        answers: list[int | BackendError | None] = []
        self.manager.ask(user, peer.uid, lambda found, error: answers.append(error or found))
        return answers

    def relation(self, user: User, peer: User) -> int:
        """One that is answered."""
        (answer,) = self.ask(user, peer)
        assert isinstance(answer, int), answer
        return answer

    def enter(self, **fields: object) -> None:
        """An event with the next action id."""
        fields = {"app_id": 7, **fields}
        fields |= {"previous_action_id": self.last, "action_id": self.last + 1}
        self.last += 1
        self.manager.entered({key.encode(): str(value).encode() for key, value in fields.items()})

    def test_a_pair_is_loaded_once_for_both(self) -> None:
        """Each sees it from the own side."""
        self.store.put(ANN, BOB.uid, MY_FRIEND | IN_YOUR_BLACKLIST)
        self.assertIsNone(self.manager.loaded(ANN, BOB.uid))
        self.assertEqual(self.relation(BOB, ANN), YOUR_FRIEND | IN_MY_BLACKLIST)
        self.assertEqual(self.relation(ANN, BOB), MY_FRIEND | IN_YOUR_BLACKLIST)
        self.assertEqual(self.manager.loaded(ANN, BOB.uid), MY_FRIEND | IN_YOUR_BLACKLIST)
        self.assertEqual(self.manager.loaded(BOB, ANN.uid), YOUR_FRIEND | IN_MY_BLACKLIST)
        self.assertEqual(self.store.loads, [(ANN, BOB.uid)])

    def test_no_relation_is_kept_too(self) -> None:
        """It is what most strangers are."""
        self.assertEqual(self.relation(ANN, BOB), 0)
        self.assertEqual(self.manager.loaded(BOB, ANN.uid), 0)
        self.assertEqual(len(self.store.loads), 1)

    def test_mirrored(self) -> None:
        """Twice is once around."""
        for relation in range(16):
            self.assertEqual(mirrored(mirrored(relation)), relation)
        self.assertEqual(mirrored(MY_FRIEND), YOUR_FRIEND)
        self.assertEqual(mirrored(IN_YOUR_BLACKLIST), IN_MY_BLACKLIST)

    def test_an_error_is_no_relation_and_not_kept(self) -> None:
        """The next one who asks has it loaded."""
        self.store.away = True
        (answer,) = self.ask(ANN, BOB)
        self.assertIsInstance(answer, BackendError)
        self.store.away = False
        self.store.put(ANN, BOB.uid, BOTH)
        self.assertEqual(self.relation(BOB, ANN), BOTH)

    def test_changes_of_either_side(self) -> None:
        """Set and taken back, in all four directions."""
        self.relation(ANN, BOB)
        for name, user, peer, seen, other in (
            ("friend", ANN, BOB, MY_FRIEND, YOUR_FRIEND),
            ("friend", BOB, ANN, YOUR_FRIEND, MY_FRIEND),
            ("blacklist", ANN, BOB, IN_MY_BLACKLIST, IN_YOUR_BLACKLIST),
            ("blacklist", BOB, ANN, IN_YOUR_BLACKLIST, IN_MY_BLACKLIST),
        ):
            self.enter(name=name, uid=user.uid, friend_uid=peer.uid, **{name: 1})
            self.assertEqual(self.manager.loaded(ANN, BOB.uid), seen, name)
            self.assertEqual(self.manager.loaded(BOB, ANN.uid), other, name)
            self.enter(name=name, uid=user.uid, friend_uid=peer.uid, **{name: 0})
            self.assertEqual(self.manager.loaded(ANN, BOB.uid), 0, name)
        self.assertEqual(len(self.store.loads), 1)
        self.assertEqual(self.counters["relation_events"], 8)
        self.assertEqual(self.counters["relation_events_gaps"], 0)

    def test_a_change_while_the_pair_is_being_loaded(self) -> None:
        """Is applied to what was read before it."""
        self.store.held = True
        answers = self.ask(BOB, ANN)
        self.enter(name="friend", uid=ANN.uid, friend_uid=BOB.uid, friend=1)
        self.store.answer()
        self.assertEqual(answers, [YOUR_FRIEND])
        self.assertEqual(self.manager.loaded(ANN, BOB.uid), MY_FRIEND)

    def test_changes_of_others_and_of_other_apps(self) -> None:
        """Do nothing here."""
        self.relation(ANN, BOB)
        self.enter(name="friend", uid=ANN.uid, friend_uid=1003, friend=1)
        self.enter(name="friend", uid=ANN.uid, friend_uid=BOB.uid, friend=1, app_id=8)
        self.assertEqual(self.manager.loaded(ANN, BOB.uid), 0)

    def test_a_change_of_a_kind_we_do_not_know(self) -> None:
        """The pair is read again."""
        self.relation(ANN, BOB)
        self.enter(name="married", uid=BOB.uid, friend_uid=ANN.uid)
        self.assertIsNone(self.manager.loaded(ANN, BOB.uid))

    def test_a_change_that_was_missed(self) -> None:
        """Everything is read again when it is needed."""
        self.relation(ANN, BOB)
        self.store.put(ANN, BOB.uid, BOTH)
        self.last += 1
        self.enter(name="friend", uid=1003, friend_uid=1004, friend=1)
        self.assertEqual(self.counters["relation_events_gaps"], 1)
        self.assertEqual(self.relation(ANN, BOB), BOTH)

    def test_entries_that_make_no_sense(self) -> None:
        """Are counted, said once a minute, and change nothing."""
        self.relation(ANN, BOB)
        good = {"name": "friend", "uid": ANN.uid, "friend_uid": BOB.uid, "friend": 1}
        bad: list[dict[str, object]] = [{"name": ""}, {"uid": 0}, {"uid": "x"}, {"friend": 2}]
        bad += [{"friend_uid": 1 << 63}, {"friend": ""}, {"app_id": "seven"}]
        for wrong in bad:
            self.enter(**{**good, **wrong})
        self.assertEqual(self.manager.loaded(ANN, BOB.uid), 0)
        self.assertEqual(self.counters["relation_events_malformed"], len(bad))
        self.assertEqual(len([one for one in self.events.texts() if "no sense" in one]), 1)
        self.enter(**good)
        self.assertEqual(self.counters["relation_events_gaps"], 1)

    def test_while_announcements_are_late(self) -> None:
        """A relation is good for some seconds."""
        self.relation(ANN, BOB)
        self.manager.interrupted()
        self.assertEqual(self.manager.loaded(ANN, BOB.uid), 0)
        self.assertFalse(self.manager.followed)
        self.clock.advance(STALE_SECONDS)
        self.assertIsNone(self.manager.loaded(ANN, BOB.uid))
        self.manager.checked(10)
        self.assertEqual(self.manager.loaded(ANN, BOB.uid), 0)

    def test_nobody_asks_for_an_hour(self) -> None:
        """Then it is dropped."""
        self.relation(ANN, BOB)
        for _ in range(UNUSED_SWEEPS + 1):
            self.assertEqual(len(self.manager), 1)
            self.clock.advance(SWEEP_SECONDS)
            self.manager.sweep()
        self.assertEqual(len(self.manager), 0)

    def test_more_pairs_than_are_kept(self) -> None:
        """Those that were loaded first go."""
        self.patch(module, "MAX_PAIRS", 20)
        self.setUp()
        for uid in range(1, 41):
            self.relation(User(7, uid), User(7, 1000))
            self.assertLessEqual(len(self.manager), 20)
        self.assertIsNone(self.manager.loaded(User(7, 1), 1000))
        self.assertEqual(self.manager.loaded(User(7, 40), 1000), 0)

    def test_the_end(self) -> None:
        """Whoever waits, or comes later, gets an error."""
        self.store.held = True
        waiting = self.ask(ANN, BOB)
        self.manager.close()
        self.assertIsInstance(waiting[0], BackendError)
        self.assertIsInstance(self.ask(ANN, User(7, 5))[0], BackendError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

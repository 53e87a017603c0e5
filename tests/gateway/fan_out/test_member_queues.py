"""Entering messages in many queues: in order, over failures, none twice."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.gateway.fan_out.batch import MAX_LOOKS, SLOW_SECONDS, Batch
from gobelieve.gateway.fan_out.member_queues import (
    FIRST_BACKOFF,
    QUEUES_AT_ONCE,
    QUEUES_PER_ASK,
    MemberQueues,
)
from gobelieve.interfaces import Entries, MessageInFlight, Page, PendingMessage
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, User
from gobelieve.wire.storage import StoredMessage
from tests.fakes.world import FakeTasks, world
from tests.protocols.logs import Events

APP = 7
EVERYBODY = list(range(QUEUES_PER_ASK))
LARGE_AT_ONCE = QUEUES_AT_ONCE // QUEUES_PER_ASK


class Storage:
    """Queues of one storage, which answers when told to and fails as told to."""

    def __init__(self, clock: Clock) -> None:
        self.queues: dict[User, list[StoredMessage]] = {}
        self.asked: list[tuple[bytes, tuple[int, ...]]] = []
        """Every ask: body and queues."""
        self.away = False
        self.undecided: Deferred[None] | None = None
        """Fires when what was asked before is decided; None if all is."""
        self.unreadable: set[int] = set()
        """Users whose queues are damaged."""
        self.looked = 0
        self.looking_takes = 0.0
        self.before_a_look: Callable[[], None] = lambda: None
        self._clock = clock
        self._next = 100
        self._waiting: list[tuple[Any, ...]] = []
        self._undecided: list[tuple[Any, ...]] = []

    def save(
        self,
        cmd: int,
        body: bytes,
        device: int,
        queues: Sequence[User],
        waiting: MessageInFlight,
    ) -> None:
        self.asked.append((body, tuple(uid for _, uid in queues)))
        self._waiting.append((cmd, body, device, tuple(queues), waiting))

    def enter(self, body: bytes, uids: list[int], cmd: int = 8, device: int = 5) -> int:
        """Put a message into queues; its id."""
        self._next += 10
        for uid in uids:
            queue = self.queues.setdefault(User(APP, uid), [])
            queue.append(StoredMessage(self._next, device, cmd, body))
        return self._next

    def fail_undecided(self) -> None:
        """Answer what waits as failed; it is done all the same, but not yet."""
        some, self._waiting = self._waiting, []
        for cmd, body, device, queues, waiting in some:
            self._undecided.append((body, [uid for _, uid in queues], cmd, device))
            waiting.stored(AckStatus.STORAGE_AWAY, [(0, 0)] * len(queues))

    def decide(self) -> None:
        """Do what was not done yet; before anything that was asked for later."""
        undecided, self._undecided = self._undecided, []
        for what in undecided:
            self.enter(*what)

    def answer(self, status: int = 0, count: int = 1000, *, done_all_the_same: bool = False) -> int:
        """Do what waits, or fail it; how many asks that were."""
        self.decide()
        some, self._waiting = self._waiting[:count], self._waiting[count:]
        for cmd, body, device, queues, waiting in some:
            key = 0
            if not status or done_all_the_same:
                key = self.enter(body, [uid for _, uid in queues], cmd, device)
            waiting.stored(status, [(0, 0) if status else (key, 1)] * len(queues))
        return len(some)

    def forget_askers(self, *, done_all_the_same: bool) -> None:
        """Drop the messages that wait for an answer; their saves are done, or not."""
        self.decide()
        some, self._waiting = self._waiting, []
        if done_all_the_same:
            for cmd, body, device, queues, _ in some:
                self.enter(body, [uid for _, uid in queues], cmd, device)

    async def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        self.looked += 1
        if self.away or user.uid in self.unreadable:
            raise StorageError(AckStatus.STORAGE_AWAY, "away")
        self._clock.advance(self.looking_takes)
        queue = [one for one in self.queues.get(user, []) if one.msgid > after]
        page = queue[:2]  # small pages, so that there are several
        last = page[-1].msgid if page else 0
        self.before_a_look()
        return Page(last, queue[-1].msgid if queue else 0, len(queue) > 2, page)

    async def fetch_latest(self, user: User, limit: int) -> Page:
        raise NotImplementedError

    async def fetch_before(self, user: User, before: int, limit: int) -> Page:
        raise NotImplementedError

    async def count_new(self, user: User, after: int) -> int:
        raise NotImplementedError

    async def decided(self, user: User) -> None:
        if self.away:
            self.looked += 1
            raise StorageError(AckStatus.STORAGE_AWAY, "away")
        if self.undecided is not None:
            await self.undecided
        self.decide()

    def newest(self) -> tuple[int, ...]:
        return (self._next,)

    def bodies(self, uid: int) -> list[bytes]:
        """Return the contents of a user's queue, in order."""
        return [one.body for one in self.queues.get(User(APP, uid), [])]


class MemberQueuesTestCase(SynchronousTestCase):
    """One storage, and what the lanes said."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.storage = Storage(self.clock)
        self.tasks = FakeTasks()
        self.counters = Counters()
        self.events = Events()
        self.told: list[tuple[bytes, int, int]] = []
        """(body, user, id) of all that somebody is to be told of."""
        self.ended: list[tuple[int, int]] = []
        self.given_up: list[int] = []
        self.member_queues = MemberQueues(
            world=world(
                time=self.clock, tasks=self.tasks, counters=self.counters, log=self.events.log()
            ),
            saver=self.storage,
            reader=self.storage,
            done=self._done,
            ended=self._ended,
        )
        self.number = 0
        self.addCleanup(lambda: self.assertEqual(self.tasks.failures, []))

    def _ended(self, batch: Batch, status: int) -> None:
        self.ended.append((batch.number, batch.index))
        if status:
            self.given_up.append(status)

    def _done(self, batch: Batch, queues: Sequence[User], entries: Entries) -> None:
        if batch.message.body == b"bug":
            raise RuntimeError("a bug")
        for (_, uid), (key, _) in zip(queues, entries, strict=True):
            self.told.append((batch.message.body, uid, key))

    def add(
        self,
        body: bytes,
        uids: list[int],
        group: int = 1,
        *,
        maybe_stored: bool = False,
        known: int = 0,
    ) -> None:
        """One part of a message."""
        self.number += 1
        message = PendingMessage(APP, group, uids[0], 5, 8, body, tuple(uids), (known,))
        batch = Batch(self.number, 0, message, uids, known)
        batch.maybe_stored = maybe_stored
        self.member_queues.add(batch)

    def rest(self, seconds: float = FIRST_BACKOFF) -> None:
        """Let time go by."""
        self.clock.advance(seconds)

    def once_each(self, *bodies: bytes, users: tuple[int, ...] = (1, 2, 3)) -> None:
        """Every user has these in this order, was told of each once, and nothing waits."""
        for uid in users:
            self.assertEqual(self.storage.bodies(uid), list(bodies), f"user {uid}")
            told = [body for body, who, _ in self.told if who == uid]
            self.assertEqual(told, list(bodies), f"user {uid} was told")
        self.assertEqual(len(self.member_queues), 0)
        self.assertEqual(len(self.ended), len(bodies))


class OrderTests(MemberQueuesTestCase):
    """Asks when all goes well."""

    def test_a_message_is_one_ask_and_ends_when_it_is_answered(self) -> None:
        """The batch ends when storage answers, not before."""
        self.add(b"a", [1, 2, 3])
        self.assertEqual(self.storage.asked, [(b"a", (1, 2, 3))])
        self.assertEqual((self.told, self.ended), ([], []))
        self.storage.answer()
        self.assertEqual(self.ended, [(1, 0)])
        self.once_each(b"a")

    def test_the_next_messages_of_a_group_wait_for_the_answer_and_go_together(self) -> None:
        """In order, as many as one ask may have queues."""
        for body in (b"a", b"b", b"c"):
            self.add(body, [1, 2, 3])
        self.assertEqual([body for body, _ in self.storage.asked], [b"a"])
        self.storage.answer()
        self.assertEqual([body for body, _ in self.storage.asked], [b"a", b"b", b"c"])
        self.storage.answer()
        self.once_each(b"a", b"b", b"c")

    def test_an_ask_does_not_grow_without_bound(self) -> None:
        """A thousand queues at most, unless one message has more."""
        self.add(b"first", [1])
        for number in range(5):
            self.add(b"%d" % number, list(range(400)))
        self.storage.answer()
        self.assertEqual(len(self.storage.asked), 1 + 2)

    def test_groups_do_not_wait_for_each_other(self) -> None:
        """But not all of the large ones ask at once."""
        for group in range(LARGE_AT_ONCE + 5):
            self.add(b"%d" % group, EVERYBODY, group)
        self.assertEqual(len(self.storage.asked), LARGE_AT_ONCE)
        self.storage.answer(count=1)
        self.assertEqual(len(self.storage.asked), LARGE_AT_ONCE + 1)
        while self.storage.answer():
            pass
        self.assertEqual(len(self.member_queues), 0)

    def test_a_busy_group_does_not_keep_others_out(self) -> None:
        """A group that was served waits behind the groups that were not."""
        for number in range(3):
            for group in range(LARGE_AT_ONCE):
                self.add(b"%d" % number, EVERYBODY, group)
        self.add(b"quiet", [999], 999)
        self.storage.answer()
        self.assertIn((b"quiet", (999,)), self.storage.asked)

    def test_hundreds_of_small_groups_are_served_at_once(self) -> None:
        """However long storage takes to answer; long messages weigh more."""
        for group in range(300):
            self.add(b"%d" % group, list(range(50)), group)
        self.assertEqual(len(self.storage.asked), 300)
        while self.storage.answer():
            pass
        self.storage.asked.clear()
        for group in range(300):
            self.add(bytes(32_000), list(range(50)), group)
        self.assertLess(len(self.storage.asked), 100)
        while self.storage.answer():
            pass
        self.assertEqual((len(self.member_queues), len(self.storage.asked)), (0, 300))

    def test_a_group_without_end_and_a_thousand_small_ones_share_storage(self) -> None:
        """Nobody's turn comes twice before each had one."""
        for _ in range(40):
            self.add(b"big", EVERYBODY, 0)
        for group in range(1, 1001):
            self.add(b"small", [group], group)
        self.storage.answer()
        self.storage.answer()
        small = [body for body, _ in self.storage.asked].count(b"small")
        self.assertEqual(small, 1000)
        self.assertLess(len(self.storage.asked), 1004)


class FailureTests(MemberQueuesTestCase):
    """Saves that storage fails or answers late."""

    def test_what_failed_is_asked_for_again_after_a_rest(self) -> None:
        """And what came behind it stays behind it."""
        self.add(b"a", [1, 2, 3])
        self.add(b"b", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_FULL)
        self.assertEqual(len(self.storage.asked), 1)
        self.rest()
        while self.storage.answer():
            pass
        self.once_each(b"a", b"b")

    def test_what_was_done_although_it_failed_is_not_done_again(self) -> None:
        """An answer that got lost: the queues are looked into first."""
        self.add(b"a", [1, 2, 3])
        self.add(b"b", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY, done_all_the_same=True)
        self.rest()
        while self.storage.answer():
            pass
        self.once_each(b"a", b"b")
        self.assertEqual([body for body, _ in self.storage.asked], [b"a", b"b"])
        self.assertEqual(self.counters["pending_found"], 3)

    def test_who_is_found_to_have_it_is_told_the_id(self) -> None:
        """Nobody misses the notify."""
        self.add(b"a", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY, done_all_the_same=True)
        self.rest()
        self.assertEqual(self.told, [(b"a", 1, 110), (b"a", 2, 110), (b"a", 3, 110)])

    def test_of_an_ask_that_a_crash_cut_off_only_the_rest_is_done(self) -> None:
        """Storage was killed in the middle of its write."""
        self.add(b"a", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY)
        self.storage.enter(b"a", [1, 2])
        self.rest()
        self.assertEqual(self.storage.asked[1:], [(b"a", (3,))])
        self.storage.answer()
        self.once_each(b"a")

    def test_it_is_found_behind_any_number_of_other_messages(self) -> None:
        """Page by page, from the id that was the newest when it was sent."""
        self.storage.enter(b"a", [1, 2, 3])  # the same words, said before
        self.add(b"a", [1, 2, 3], known=self.storage.newest()[0])
        self.storage.enter(b"x", [1, 2, 3])
        self.storage.enter(b"y", [1, 2, 3])
        self.storage.enter(b"z", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY, done_all_the_same=True)
        self.rest()
        self.assertEqual(len(self.storage.asked), 1)
        self.assertEqual(self.storage.bodies(1), [b"a", b"x", b"y", b"z", b"a"])

    def test_the_same_words_from_another_device_or_of_another_kind_are_another_message(
        self,
    ) -> None:
        """They do not count."""
        self.storage.enter(b"a", [1, 2, 3], device=6)
        self.storage.enter(b"a", [1, 2, 3], cmd=7)
        self.add(b"a", [1, 2, 3], maybe_stored=True)
        self.assertEqual(self.storage.asked, [(b"a", (1, 2, 3))])
        self.storage.answer()

    def test_a_look_that_took_long_is_taken_again(self) -> None:
        """A storage that was frozen may answer it before it does what was asked before."""
        self.add(b"a", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY)
        self.storage.looking_takes = SLOW_SECONDS

        def wake_up() -> None:
            self.storage.looking_takes = 0.0
            self.storage.before_a_look = lambda: None
            self.storage.enter(b"a", [1, 2, 3])

        self.storage.before_a_look = wake_up
        self.rest()
        self.assertEqual(len(self.storage.asked), 1)
        self.once_each(b"a")

    def test_while_the_queues_cannot_be_read_nothing_is_asked_for(self) -> None:
        """It is looked again, ever more seldom."""
        self.add(b"a", [1, 2, 3], maybe_stored=True)
        self.storage.away = True
        self.add(b"b", [1, 2, 3], group=2, maybe_stored=True)
        self.storage.answer()
        looked = []
        for _ in range(6):
            self.rest()
            looked.append(self.storage.looked)
        self.assertEqual(len(self.storage.asked), 1)
        self.assertEqual(len(set(looked)), 3, "after 1, 2 and 4 seconds")
        self.storage.away = False
        self.rest(10)
        self.storage.answer()
        self.assertEqual(self.storage.bodies(1), [b"a", b"b"])

    def test_a_queue_that_can_never_be_read_holds_up_its_own_group_alone(self) -> None:
        """The others go on between two tries."""
        self.storage.unreadable.add(1)
        self.add(b"a", [1, 2], maybe_stored=True)
        for number in range(3):
            for group in range(2, 50):
                self.add(b"%d" % number, [group], group)
        for _ in range(3):
            self.rest()
            while self.storage.answer():
                pass
        self.assertEqual(len(self.member_queues), 1)

    def test_a_storage_that_failed_is_left_alone_by_all_groups(self) -> None:
        """And comes back with all of them; the log has one line for it."""
        for group in range(10):
            self.add(b"%d" % group, [group], group)
        self.storage.answer(AckStatus.STORAGE_AWAY)
        self.add(b"late", [99], 99)
        self.assertEqual(len(self.storage.asked), 10)
        self.assertEqual(len(self.events.texts()), 1)
        self.rest()
        while self.storage.answer():
            pass
        self.assertEqual(len(self.member_queues), 0)
        self.assertEqual(
            sorted(body for body, _, _ in self.told), sorted({b for b, _, _ in self.told})
        )

    def test_a_message_that_can_never_be_stored_does_not_hold_up_the_others(self) -> None:
        """It is given up, with a line for the operator."""
        self.add(b"monster", [1, 2, 3])
        self.add(b"b", [1, 2, 3])
        self.storage.answer(AckStatus.TOO_LARGE)
        self.storage.answer()
        self.assertEqual(self.storage.bodies(1), [b"b"])
        self.assertEqual(self.ended, [(1, 0), (2, 0)])
        self.assertEqual(self.counters["pending_given_up"], 1)
        self.assertEqual(self.given_up, [AckStatus.TOO_LARGE])

    def test_while_it_is_not_decided_whether_storage_has_it_nothing_is_asked_for(self) -> None:
        """A disk that stands still: what was asked for is not there yet, and will be."""
        self.add(b"a", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY)
        self.storage.undecided = Deferred()
        self.rest()
        self.storage.enter(b"a", [1, 2, 3])
        self.storage.undecided.callback(None)
        while self.storage.answer():
            pass
        self.once_each(b"a")

    def test_a_storage_that_is_always_slow_is_asked_at_last(self) -> None:
        """It is looked for some times, not for ever."""
        self.add(b"a", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY)
        self.storage.looking_takes = SLOW_SECONDS
        self.rest()
        self.storage.answer()
        self.once_each(b"a")
        self.assertEqual(self.storage.looked, 2 * MAX_LOOKS)

    def test_a_clock_that_is_set_back_does_not_make_a_look_fast(self) -> None:
        """It is looked once more."""
        self.add(b"a", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY)

        def set_back() -> None:
            self.clock.rightNow -= 3600
            self.storage.before_a_look = lambda: None
            self.storage.enter(b"a", [1, 2, 3])

        self.storage.before_a_look = set_back
        self.rest()
        self.once_each(b"a")

    def test_thousands_that_are_found_at_once_are_no_burden(self) -> None:
        """A storage in the same process answers before the question is over."""
        self.add(b"first", [2000])
        for uid in range(2000):
            self.storage.enter(b"%d" % uid, [uid])
            self.add(b"%d" % uid, [uid], maybe_stored=True)
        self.storage.answer()
        self.assertEqual((len(self.member_queues), len(self.told)), (0, 2001))

    def test_a_bug_in_telling_holds_up_nobody(self) -> None:
        """The message is in the queues; what comes behind it goes on."""
        self.add(b"bug", [1, 2, 3])
        self.add(b"b", [1, 2, 3])
        self.assertRaises(RuntimeError, self.storage.answer)
        self.storage.answer()
        self.assertEqual((self.storage.bodies(1), len(self.member_queues)), ([b"bug", b"b"], 0))

    def test_a_bug_in_telling_who_was_found_holds_up_nobody(self) -> None:
        """A bug in the delivery after a search does not stop the other groups."""
        self.add(b"bug", [1, 2, 3])
        self.add(b"b", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY, done_all_the_same=True)
        self.rest()
        self.storage.answer()
        self.assertEqual((self.storage.bodies(1), len(self.member_queues)), ([b"bug", b"b"], 0))
        self.assertEqual(len(self.tasks.failures), 1)
        self.tasks.failures.clear()

    def test_a_bug_in_looking_is_tried_again_and_holds_up_no_other_group(self) -> None:
        """After a rest, like a storage that failed."""
        self.add(b"a", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY)

        def bug() -> None:
            self.storage.before_a_look = lambda: None
            raise RuntimeError("a bug")

        self.storage.before_a_look = bug
        self.rest()
        self.rest(10)
        self.storage.answer()
        self.once_each(b"a")
        self.assertEqual(len(self.tasks.failures), 1)
        self.tasks.failures.clear()


class RecoveryTests(MemberQueuesTestCase):
    """After a crash of the gateway."""

    def test_what_storage_did_not_get_is_asked_for(self) -> None:
        """The messages are saved in order."""
        for body in (b"a", b"b", b"c"):
            self.add(body, [1, 2, 3], maybe_stored=True)
        while self.storage.answer():
            pass
        self.once_each(b"a", b"b", b"c")

    def test_what_storage_had_is_only_told(self) -> None:
        """The first two were answered, but the gateway could not write that down any more."""
        self.storage.enter(b"a", [1, 2, 3])
        self.storage.enter(b"b", [1, 2, 3])
        for body in (b"a", b"b", b"c"):
            self.add(body, [1, 2, 3], maybe_stored=True)
        while self.storage.answer():
            pass
        self.once_each(b"a", b"b", b"c")
        self.assertEqual([body for body, _ in self.storage.asked], [b"c"])


class StopTests(MemberQueuesTestCase):
    """The end of the gateway, with saves or searches under way."""

    def test_what_was_asked_for_is_waited_for_and_nothing_more_is_asked(self) -> None:
        """The rest is on disk and goes on next time."""
        stopped: list[bool] = []
        self.add(b"a", [1, 2, 3])
        self.add(b"b", [1, 2, 3])
        self.member_queues.stop(lambda: stopped.append(True))
        self.assertEqual(stopped, [])
        self.storage.answer()
        self.assertEqual(stopped, [True])
        self.assertEqual(self.ended, [(1, 0)])
        self.assertEqual(len(self.storage.asked), 1)

    def test_a_look_is_not_carried_on(self) -> None:
        """The next gateway searches the queues that this one did not reach."""
        self.storage.enter(b"a", list(range(500)))
        self.storage.undecided = Deferred()
        self.add(b"a", list(range(500)), maybe_stored=True)
        stopped: list[bool] = []
        self.member_queues.stop(lambda: stopped.append(True))
        self.storage.undecided.callback(None)
        self.assertEqual(stopped, [True])
        self.assertLess(self.storage.looked, 10)
        self.assertEqual(len(self.storage.asked), 0)

    def test_a_storage_that_rests_is_not_waited_for(self) -> None:
        """It stops at once."""
        self.add(b"a", [1, 2, 3])
        self.storage.answer(AckStatus.STORAGE_AWAY)
        stopped: list[bool] = []
        self.member_queues.stop(lambda: stopped.append(True))
        self.assertEqual(stopped, [True])
        self.rest(60)
        self.assertEqual(len(self.storage.asked), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

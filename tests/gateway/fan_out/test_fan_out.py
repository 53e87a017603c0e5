"""Messages to ordinary groups: each member once, in order, whatever fails."""

from collections.abc import Sequence
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.fan_out.fan_out import OWN_IDS_TIMEOUT, FanOut
from gobelieve.gateway.fan_out.member_queues import LAST_BACKOFF, QUEUES_PER_ASK
from gobelieve.interfaces import Entries, MessageInFlight, Page
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, User, shard
from tests.fakes.backends import MemoryPending
from tests.fakes.storage import Waiting
from tests.fakes.world import FakeTasks, world
from tests.gateway.fan_out.test_member_queues import Storage
from tests.gateway.support import APP, FakeRouting, TestGateway
from tests.protocols.logs import Events

NOW = 1_700_000_000
GROUP = 100
ROUNDS = 150


class Storages:
    """Several storages as one, for `FanOut`."""

    def __init__(self, clock: Clock, count: int) -> None:
        self.all = [Storage(clock) for _ in range(count)]

    def save(
        self,
        cmd: int,
        body: bytes,
        device: int,
        queues: Sequence[User],
        waiting: MessageInFlight,
    ) -> None:
        of = {shard(uid, len(self.all)) for _, uid in queues}
        assert len(of) == 1, "an ask concerns one storage"
        self.all[of.pop()].save(cmd, body, device, queues, waiting)

    async def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        return await self.all[shard(user.uid, len(self.all))].fetch(user, after, limit)

    async def fetch_latest(self, user: User, limit: int) -> Page:
        raise NotImplementedError

    async def fetch_before(self, user: User, before: int, limit: int) -> Page:
        raise NotImplementedError

    async def count_new(self, user: User, after: int) -> int:
        raise NotImplementedError

    async def decided(self, user: User) -> None:
        await self.all[shard(user.uid, len(self.all))].decided(user)

    def newest(self) -> tuple[int, ...]:
        return tuple(one.newest()[0] for one in self.all)

    def answer(self, status: int = 0) -> None:
        """Answer everything, until nothing is asked for any more."""
        while sum(one.answer(status) for one in self.all):
            pass

    def bodies(self, uid: int) -> list[bytes]:
        return self.all[shard(uid, len(self.all))].bodies(uid)


class FanOutTestCase(SynchronousTestCase):
    """A fan-out over two storages, with a gateway for the sessions."""

    storages = 2

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.clock = self.gateway.clock
        self.storage = Storages(self.clock, self.storages)
        self.pending = MemoryPending()
        self.counters = Counters()
        self.events = Events()
        self.settled: list[tuple[int, int, int]] = []
        self.start()

    def start(self) -> None:
        """A gateway that starts; what was kept goes on, what it had asked for nobody hears of."""
        for one in self.storage.all:
            one.forget_askers(done_all_the_same=False)
        self.routing = FakeRouting()
        self.tasks = FakeTasks()
        self.fan_out = FanOut(
            world=world(
                time=self.clock, tasks=self.tasks, counters=self.counters, log=self.events.log()
            ),
            pending=self.pending,
            saver=self.storage,
            reader=self.storage,
            delivery=self.gateway.delivery,
            routing=self.routing,
        )
        for number, (message, done) in sorted(self.pending.messages.items()):
            self.fan_out.resume(number, message, frozenset(done))

    def send(
        self, body: bytes, members: tuple[int, ...] = (1, 2, 3, 4), group: int = GROUP
    ) -> None:
        """Send a message of user 1 to a group."""

        def answered(status: int, entries: Entries) -> None:
            ((key, prev),) = entries
            self.settled.append((status, key, prev))

        self.fan_out.send(User(APP, 1), group, 8, body, members, Waiting(answered), device=5)


class FanOutTests(FanOutTestCase):
    """When all goes well, and when it does not."""

    def test_storage_is_asked_only_when_the_message_is_on_disk(self) -> None:
        """From then on it is ours."""
        self.pending.slow = True
        self.send(b"hello")
        self.assertEqual([one.asked for one in self.storage.all], [[], []])
        self.pending.write()
        self.assertEqual(
            [one.asked for one in self.storage.all], [[(b"hello", (2, 4))], [(b"hello", (1, 3))]]
        )

    def test_the_sender_is_answered_with_the_ids_of_its_own_entry(self) -> None:
        """Once storage has it."""
        self.send(b"hello")
        self.assertEqual(self.settled, [])
        self.storage.answer()
        self.assertEqual(self.settled, [(0, 110, 1)])

    def test_a_slow_storage_does_not_keep_the_sender_waiting(self) -> None:
        """The message is safe, so it is acked, without ids."""
        self.send(b"hello")
        self.clock.advance(OWN_IDS_TIMEOUT)
        self.assertEqual(self.settled, [(0, 0, 0)])
        self.storage.answer()
        self.assertEqual(self.settled, [(0, 0, 0)])
        self.assertEqual(self.storage.bodies(1), [b"hello"])

    def test_each_sender_waits_its_own_time(self) -> None:
        """One timer for all."""
        self.send(b"a")
        self.clock.advance(OWN_IDS_TIMEOUT / 2)
        self.send(b"b")
        self.clock.advance(OWN_IDS_TIMEOUT / 2)
        self.assertEqual(len(self.settled), 1)
        self.clock.advance(OWN_IDS_TIMEOUT / 2)
        self.assertEqual(len(self.settled), 2)
        self.storage.answer()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_who_is_answered_is_not_remembered(self) -> None:
        """However many messages come before the time is over."""
        for _ in range(100):
            self.send(b"hello")
            self.storage.answer()
        self.assertLess(len(self.fan_out._unanswered), 3)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_a_sender_who_is_no_member_is_answered_when_all_have_it(self) -> None:
        """A post of the app's server can name a sender who is no member."""
        self.send(b"hello", members=(2, 3))
        self.storage.answer()
        self.assertEqual(self.settled, [(0, 0, 0)])

    def test_a_group_without_members_is_done_at_once(self) -> None:
        """Nothing is left behind."""
        self.send(b"hello", members=())
        self.assertEqual(self.settled, [(0, 0, 0)])
        self.assertEqual((len(self.fan_out), self.pending.messages), (0, {}))

    def test_what_cannot_be_kept_is_not_acked_as_a_success(self) -> None:
        """The client sends it again."""
        self.pending.full = True
        self.send(b"hello")
        self.assertEqual(self.settled, [(AckStatus.STORAGE_FULL, 0, 0)])
        self.assertEqual([one.asked for one in self.storage.all], [[], []])
        self.assertEqual(len(self.fan_out), 0)

    def test_a_message_that_no_storage_takes_is_refused_before_it_is_kept(self) -> None:
        """It is not acked as a success, nor does it wait for ever."""
        self.send(bytes(32_767))
        self.send(bytes(32_768))
        self.assertEqual(self.settled, [(AckStatus.TOO_LARGE, 0, 0)])
        self.assertEqual(len(self.pending.messages), 1)

    def test_a_message_that_storage_refuses_for_good_is_not_acked_as_a_success(self) -> None:
        """The client is told why."""
        self.send(b"hello")
        for one in self.storage.all:
            one.answer(AckStatus.TOO_LARGE)
        self.assertEqual(self.settled, [(AckStatus.TOO_LARGE, 0, 0)])
        self.assertEqual((len(self.fan_out), self.pending.messages), (0, {}))

    def test_members_are_told_and_the_others_pushed_to(self) -> None:
        """One push for many; the sender gets none."""
        bob = self.gateway.client(2)
        self.gateway.routing.take()
        self.send(_group_im(b"hello"))
        self.storage.answer()
        labels = [type(one).label for one in bob.messages()]
        self.assertEqual(labels, ["METADATA", "GROUP_IM", "SYNC_NOTIFY"])
        pushes = [told for told in self.routing.take() if told[0] == "push"]
        self.assertEqual([push[2] for push in pushes], [(2, 4), (3,)])
        published = [told[1].uid for told in self.gateway.routing.take() if told[0] == "publish"]
        self.assertEqual(sorted(published), [1, 2, 3, 4])

    def test_a_notification_is_not_pushed_to_phones(self) -> None:
        """Phones get no push of a notification, as in the Go server."""
        self.fan_out.send(User(APP, 0), GROUP, 7, b"{}", (1, 2), Waiting())
        self.storage.answer()
        self.assertEqual([told for told in self.routing.take() if told[0] == "push"], [])

    def test_the_very_session_that_sent_is_not_told(self) -> None:
        """But the sender's other devices are."""
        here, there = self.gateway.client(1, device="a"), self.gateway.client(1, device="b")
        body, sender = _group_im(b"hello"), User(APP, 1)
        self.fan_out.send(sender, GROUP, 8, body, (1, 2), Waiting(), session=here.session)
        self.storage.answer()
        self.assertEqual(here.messages(), [])
        self.assertEqual(len(there.messages()), 3)

    def test_twenty_thousand_members_get_it_in_parts(self) -> None:
        """And no ask is larger than a part."""
        members = tuple(range(1, 20_001))
        self.send(_group_im(b"hello"), members)
        self.storage.answer()
        asked = [uids for one in self.storage.all for _, uids in one.asked]
        self.assertEqual(sorted(uid for uids in asked for uid in uids), list(members))
        self.assertEqual({len(uids) for uids in asked}, {QUEUES_PER_ASK})
        self.assertEqual(len(self.fan_out), 0)

    def test_one_storage_that_is_away_does_not_hold_up_the_other(self) -> None:
        """Its members get it later."""
        self.send(b"a")
        self.send(b"b")
        even, odd = self.storage.all
        even.answer(AckStatus.STORAGE_AWAY)
        while odd.answer():
            pass
        self.assertEqual((self.storage.bodies(1), self.storage.bodies(2)), ([b"a", b"b"], []))
        self.clock.advance(1)
        self.storage.answer()
        self.assertEqual(self.storage.bodies(2), [b"a", b"b"])
        self.assertEqual((len(self.fan_out), self.pending.messages), (0, {}))

    def test_too_much_that_waits_is_refused_and_not_lost(self) -> None:
        """An absent storage does not fill the memory; the client keeps refused messages."""
        body = bytes(32_000)
        for _ in range(8400):
            self.send(body, members=(1,))
        refused = [status for status, _, _ in self.settled if status]
        self.assertEqual(set(refused), {AckStatus.STORAGE_AWAY})
        self.assertEqual(len(refused) + len(self.fan_out), 8400)
        self.assertEqual(len(self.pending.messages), len(self.fan_out))

    def test_what_a_slow_disk_of_ours_has_not_taken_yet_counts_too(self) -> None:
        """And what it could not take does not count any more."""
        self.pending.slow = True
        body = bytes(32_000)
        for _ in range(8400):
            self.send(body, members=(1,))
        self.assertGreater(len(self.settled), 0)
        self.pending.full = True
        self.pending.write()
        self.assertEqual(len(self.settled), 8400)
        self.pending.full, self.pending.slow = False, False
        self.settled.clear()
        self.send(body, members=(1,))
        self.storage.answer()
        self.assertEqual([status for status, _, _ in self.settled], [0])


class RestartTests(FanOutTestCase):
    """A gateway that was killed, or stopped."""

    def test_what_was_not_done_goes_on_after_a_restart(self) -> None:
        """Also what nobody was asked for yet."""
        for body in (b"a", b"b", b"c"):
            self.send(body)
        self.start()
        self.storage.answer()
        for uid in (1, 2, 3, 4):
            self.assertEqual(self.storage.bodies(uid), [b"a", b"b", b"c"])

    def test_more_storages_than_before_do_not_lose_or_double_it(self) -> None:
        """The parts of a message are others then."""
        self.send(b"a")
        even = self.storage.all[0]
        even.answer()
        self.storage.all += [Storage(self.clock), Storage(self.clock)]
        for user in list(even.queues):
            if user.uid == 4:  # as the one who moved the data did
                self.storage.all[0].queues[user] = even.queues[user]
            else:
                self.storage.all[2].queues[user] = even.queues.pop(user)
        self.start()
        self.storage.answer()
        for uid in (1, 2, 3, 4):
            self.assertEqual(self.storage.bodies(uid), [b"a"], uid)

    def test_whoever_has_it_does_not_get_it_twice_when_storages_are_added(self) -> None:
        """Also if it is neither the first nor the last of a part as they are cut now."""
        members = (3, 6, 9, 12, 15)
        self.send(b"a", members)
        self.storage.all[0].answer()
        self.storage.all = [Storage(self.clock) for _ in range(3)]
        self.storage.all[0].enter(b"a", [6, 12])
        self.start()
        self.storage.answer()
        for uid in members:
            self.assertEqual(self.storage.bodies(uid), [b"a"], uid)

    def test_what_is_kept_while_the_gateway_stops_goes_on_next_time(self) -> None:
        """Its sender is answered at once: it is safe."""
        self.pending.slow = True
        self.send(b"a")
        self.fan_out.stop(lambda: None)
        self.pending.write()
        self.assertEqual(self.settled, [(0, 0, 0)])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.start()
        self.storage.answer()
        self.assertEqual(self.storage.bodies(1), [b"a"])

    def test_a_stop_waits_for_what_was_asked(self) -> None:
        """And answers every sender."""
        stopped: list[bool] = []
        self.send(b"a")
        self.fan_out.stop(lambda: stopped.append(True))
        self.assertEqual((self.settled, stopped), ([(0, 0, 0)], []))
        self.storage.answer()
        self.assertEqual(stopped, [True])
        self.send(b"late")
        self.assertEqual(self.settled[-1], (AckStatus.STORAGE_AWAY, 0, 0))

    def test_whatever_fails_and_however_often_it_is_killed_each_has_each_once(self) -> None:
        """Random groups, failures with and without effect, crashes; then all goes well."""
        for seed in range(ROUNDS):
            self.setUp()
            self._round(Random(seed), f"seed {seed}")

    def _round(self, random: Random, name: str) -> None:
        said: dict[int, list[bytes]] = {group: [] for group in range(3)}
        members = {group: tuple(random.sample(range(1, 9), random.randint(1, 8))) for group in said}
        for step in range(random.randint(5, 40)):
            for one in self.storage.all:
                one.away = random.random() < 0.2
            kind = random.random()
            if kind < 0.4:
                group = random.randrange(3)
                body = b"%d in %d" % (step, group)
                said[group].append(body)
                self.send(body, members[group], group)
            elif kind < 0.85:
                status = random.choice([0, 0, AckStatus.STORAGE_AWAY])
                effect = random.random() < 0.5
                one = random.choice(self.storage.all)
                one.answer(status, done_all_the_same=effect)
            elif kind < 0.95:
                self.clock.advance(random.choice([0.5, 1, 3]))
            elif kind < 0.96:
                random.choice(self.storage.all).fail_undecided()
            elif kind < 0.98:
                self._stop()
            else:
                self._crash(random)
        for one in self.storage.all:
            one.away = False
        for _ in range(10):
            self.clock.advance(LAST_BACKOFF)
            self.storage.answer()
        for uid in range(1, 9):
            got = self.storage.bodies(uid)
            for group, bodies in said.items():
                mine = [body for body in got if body in bodies]
                self.assertEqual(mine, bodies if uid in members[group] else [], name)
        self.assertEqual((len(self.fan_out), self.pending.messages), (0, {}), name)
        self.assertEqual(self.tasks.failures, [], name)

    def _stop(self) -> None:
        """In good order: what was asked for is answered."""
        stopped: list[bool] = []
        self.fan_out.stop(lambda: stopped.append(True))
        for one in self.storage.all:
            one.answer()
        self.assertEqual(stopped, [True])
        self.start()

    def _crash(self, random: Random) -> None:
        """Storage may still do what it was asked for; nobody hears of it."""
        for one in self.storage.all:
            one.forget_askers(done_all_the_same=random.random() < 0.5)
        for late in list(self.clock.getDelayedCalls()):
            late.cancel()
        self.start()


def _group_im(content: bytes) -> bytes:
    from gobelieve.wire import client

    return client.GroupIM(
        sender=1, receiver=GROUP, timestamp=NOW, msgid=1, content=content
    ).encode()

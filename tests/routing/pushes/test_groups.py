"""The pushes of super groups."""

from json import loads

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BackendError, BodyError
from gobelieve.interfaces import Group
from gobelieve.metrics import Counters
from gobelieve.routing.build import build_router
from gobelieve.routing.pushes.groups import MAX_TRIES
from gobelieve.routing.pushes.payloads import RECEIVERS_PER_ITEM
from gobelieve.services.process.options import Coroutines
from gobelieve.wire import encode_frame, route
from gobelieve.wire.client import IM, GroupIM, System
from gobelieve.wire.frames import PUSH
from gobelieve.wire.publication import Publication
from tests.fakes.world import world
from tests.protocols.logs import Events
from tests.routing.support import FakeLink, FakePushes, TurnClock

GROUP = 100
LIMIT = 10


def group_of(*members: int, appid: int = 7) -> Group:
    """Return a super group with these members."""
    return Group(GROUP, appid, True, dict.fromkeys(members, 0))


class FakeGroups:
    """Groups in memory, and groups that must be fetched first; `answer` completes the fetches."""

    def __init__(self) -> None:
        self.here: dict[int, Group] = {}
        self.there: dict[int, Group] = {}
        self.asked: list[int] = []
        self.away = False
        self._waiting: list[Deferred[None]] = []

    def loaded(self, group_id: int) -> Group | None:
        return self.here.get(group_id)

    async def find(self, group_id: int) -> Group | None:
        self.asked.append(group_id)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        await waiting
        if self.away:
            raise BackendError("away")
        if group_id in self.there:
            self.here[group_id] = self.there.pop(group_id)
        return self.here.get(group_id)

    def super_groups(self) -> list[int]:
        return [id_ for id_, group in self.here.items() if group.super]

    def answer(self) -> None:
        """Complete all fetches that wait."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    def fail(self) -> None:
        """Fail all fetches with an unexpected error."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.errback(RuntimeError("a bug"))


class GroupPushesTests(SynchronousTestCase):
    """Pushes to members 1 to 5; 1 is the sender, 2 is online, 3 is at a desktop."""

    def setUp(self) -> None:
        self.clock = TurnClock()
        self.counters = Counters()
        self.events = Events()
        self.pushes = FakePushes()
        self.groups = FakeGroups()
        self.groups.here[GROUP] = group_of(1, 2, 3, 4, 5)
        self.router = build_router(
            self.pushes,
            world=world(
                time=self.clock,
                tasks=Coroutines(),
                counters=self.counters,
                log=self.events.log(),
            ),
            limit=LIMIT,
            groups=self.groups,
            grace_after_start=5,
            grace_after_loss=5,
        )
        self.grace = self.router.grace
        self.link = FakeLink(self.router)
        self.link.subscribe(2)
        self.link.subscribe(3, online=False)

    def ask(self, group: int = GROUP, content: str = "hi", sender: int = 1) -> None:
        """Request the pushes of a message to a group."""
        message = GroupIM(sender=sender, receiver=group, msgid=0, content=content.encode())
        body = Publication(7, group, 0, 0, 1, message.frame()).body(1)
        self.link.send_frame(route.PUBLISH_GROUP, body, 1)

    def pushed(self) -> list[tuple[int, list[int], str]]:
        """Return the pushes since the last call: group, receivers and content."""
        found = []
        for name, item in self.pushes:
            self.assertEqual(name, "group_push_queue")
            fields = loads(item)
            found.append((fields["group_id"], sorted(fields["receivers"]), fields["content"]))
        self.pushes.clear()
        return found

    def test_a_loaded_group_is_decided_at_once(self) -> None:
        """Members who are online nowhere get a push, but not the sender; nothing is forwarded."""
        other = FakeLink(self.router)
        self.ask()
        self.assertEqual(self.pushed(), [(GROUP, [3, 4, 5], "hi")])
        self.assertEqual(other.received, [])
        self.assertEqual(self.groups.asked, [])

    def test_everybody_is_online(self) -> None:
        """If all members are online, none gets a push."""
        for uid in (1, 3, 4, 5):
            self.link.subscribe(uid)
        self.ask()
        self.assertEqual(self.pushed(), [])

    def test_a_group_of_another_app(self) -> None:
        """A group of another app with the same number gets no push."""
        self.groups.here[GROUP].appid = 8
        self.ask()
        self.groups.there[101] = group_of(1, 2, 4, appid=8)
        self.ask(101)
        self.groups.answer()
        self.assertEqual(self.pushed(), [])
        self.assertEqual(len(self.router.groups or ()), 0)

    def test_a_group_that_must_be_found_first(self) -> None:
        """A group is fetched once for all its messages, in order; other groups do not wait."""
        self.groups.there[101] = group_of(1, 2, 4)
        for content in "abc":
            self.ask(101, content)
        self.ask()
        self.assertEqual(self.pushed(), [(GROUP, [3, 4, 5], "hi")])
        self.groups.answer()
        self.clock.pump([0] * 3)
        self.assertEqual(self.pushed(), [(101, [4], content) for content in "abc"])
        self.assertEqual(self.groups.asked, [101])
        self.ask(101, "at once")
        self.assertEqual(self.pushed(), [(101, [4], "at once")])

    def test_a_group_that_is_unknown(self) -> None:
        """An unknown group gets no push, and that is not logged."""
        self.ask(102)
        self.groups.answer()
        self.assertEqual(self.pushed(), [])
        self.assertEqual(len(self.router.groups or ()), 0)
        self.assertEqual(self.events.texts(), [])

    def test_the_database_is_unavailable_for_a_while(self) -> None:
        """The fetch is retried with growing delays, and the failure is logged once."""
        self.groups.there[101] = group_of(1, 4)
        self.groups.away = True
        self.ask(101, "a")
        self.ask(101, "b")
        for delay in (0.1, 0.2, 0.4):
            self.groups.answer()
            self.clock.advance(delay - 0.01)
            asked = len(self.groups.asked)
            self.clock.advance(0.02)
            self.assertEqual(len(self.groups.asked), asked + 1)
        self.groups.away = False
        self.groups.answer()
        self.clock.advance(0)
        self.assertEqual(self.pushed(), [(101, [4], "a"), (101, [4], "b")])
        self.assertEqual(self.events.texts(), ["groups cannot be read, retrying: away"])

    def test_the_database_stays_unavailable(self) -> None:
        """After the last try a message is dropped, counted and logged; the next one is tried."""
        self.groups.there[101] = group_of(1, 4)
        self.groups.away = True
        self.ask(101, "a")
        self.ask(101, "b")
        for _ in range(MAX_TRIES):
            self.groups.answer()
            self.clock.advance(5)
        self.assertEqual(self.counters["group_pushes_lost"], 1)
        self.assertIn("a push of a group is lost", self.events.texts()[1])
        self.groups.away = False
        self.groups.answer()
        self.assertEqual(self.pushed(), [(101, [4], "b")])
        self.assertEqual(len(self.router.groups or ()), 0)

    def test_an_unexpected_error(self) -> None:
        """An unexpected error is logged and loses one message, but not those behind it."""
        self.groups.there[101] = group_of(1, 4)
        self.ask(101, "a")
        self.ask(101, "b")
        self.groups.fail()
        self.clock.advance(0)
        self.groups.answer()
        self.assertEqual(self.pushed(), [(101, [4], "b")])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.counters["group_pushes_lost"], 1)

    def test_too_many_wait(self) -> None:
        """Messages beyond the limit are dropped, counted and logged once."""
        for number in range(LIMIT + 3):
            self.ask(101 + number % 2)
        self.assertEqual(self.counters["group_pushes_lost"], 3)
        self.assertEqual(len(self.router.groups or ()), LIMIT)
        (line,) = self.events.texts()
        self.assertIn("too many wait", line)
        self.ask()
        self.assertEqual(len(self.pushed()), 1)

    def test_a_large_group_is_checked_in_batches(self) -> None:
        """Other work runs between two batches, and no item has too many receivers."""
        many = 3 * RECEIVERS_PER_ITEM - 10
        self.groups.here[GROUP] = group_of(*range(1, many + 1))
        self.ask(content="a")
        self.ask(content="b")
        push_batches = []
        while len(self.router.groups or ()):
            push_batches.append(self.pushed())
            self.clock.turn()
        push_batches.append(self.pushed())
        self.assertEqual([len(some) for some in push_batches], [1] * 6)
        items = [item for some in push_batches for item in some]
        self.assertEqual([content for _, _, content in items], ["a"] * 3 + ["b"] * 3)
        receivers = [uid for _, uids, content in items if content == "a" for uid in uids]
        self.assertEqual(receivers, list(range(3, many + 1)))

    def test_members_come_and_go_meanwhile(self) -> None:
        """Members who join or leave during the check do not disturb it."""
        self.groups.here[GROUP] = group_of(*range(1, 2 * RECEIVERS_PER_ITEM + 1))
        self.ask()
        self.groups.here[GROUP].members.clear()
        self.clock.pump([0] * 3)
        self.assertEqual(sum(len(uids) for _, uids, _ in self.pushed()), 2 * RECEIVERS_PER_ITEM - 2)

    def test_other_kinds(self) -> None:
        """A kind without a push to members is counted."""
        for message in (IM(sender=1, receiver=2, msgid=0, content=b"x"), System(content=b"x")):
            body = Publication(7, GROUP, 0, 0, 1, message.frame()).body(1)
            self.link.send_frame(route.PUBLISH_GROUP, body, 1)
        self.assertEqual(self.pushed(), [])
        self.assertEqual(self.counters["pushes_of_no_kind"], 2)

    def test_a_malformed_message(self) -> None:
        """A malformed message raises an error for the link that sent it."""
        body = Publication(7, GROUP, 0, 0, 1, encode_frame(8, b"short")).body(1)
        with self.assertRaises(BodyError):
            self.link.send_frame(route.PUBLISH_GROUP, body, 1)

    def test_the_flag_makes_it_a_delivery(self) -> None:
        """A message with the flag PUSH is forwarded, and nobody gets a push."""
        other = FakeLink(self.router)
        message = GroupIM(sender=1, receiver=GROUP, msgid=0, content=b"x")
        body = Publication(7, GROUP, 0, 0, 1, message.frame(flag=PUSH)).body(1)
        self.link.send_frame(route.PUBLISH_GROUP, body, 1)
        self.assertEqual(len(other.received), 1)
        self.assertEqual(self.pushed(), [])

    def test_abilities(self) -> None:
        """A router with groups says in its answer to a MARK that it decides group pushes."""
        self.link.send_frame(route.MARK, b"", 1)
        self.assertEqual(self.link.received, [(route.MARKED, b"\1", 1)])

    def test_after_a_start(self) -> None:
        """After the start a message waits until it is known who is online."""
        self.grace.begin()
        self.ask()
        self.assertEqual((len(self.grace), self.pushed()), (1, []))
        self.link.subscribe(4)
        self.link.send_frame(route.MARK, b"", 1)
        self.clock.advance(5)
        self.assertEqual(self.pushed(), [(GROUP, [3, 5], "hi")])

    def test_after_a_lost_link(self) -> None:
        """After a lost link only pushes to the members that it held wait."""
        other = FakeLink(self.router)
        other.subscribe(4)
        self.router.closed(other)
        self.ask()
        self.assertEqual(self.pushed(), [(GROUP, [3, 5], "hi")])
        self.link.send_frame(route.MARK, b"", 1)
        self.clock.advance(5)
        self.assertEqual(self.pushed(), [(GROUP, [4], "hi")])

    def test_stop(self) -> None:
        """The stop decides on groups in memory; other messages are counted and logged."""
        self.grace.begin()
        self.ask(content="kept")
        self.router.stop()
        self.assertEqual(self.pushed(), [(GROUP, [3, 4, 5], "kept")])
        self.groups.there[101] = group_of(1, 4)
        self.ask(101)
        many = 2 * RECEIVERS_PER_ITEM
        self.groups.here[GROUP] = group_of(*range(10, 10 + many))
        self.ask(content="a")
        self.ask(content="b")
        self.router.stop()
        self.groups.away = True
        self.groups.answer()
        self.clock.pump([0] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual([content for _, _, content in self.pushed()], ["a", "a", "b", "b"])
        self.assertEqual(self.events.texts()[1:], ["1 pushes of groups are lost at the stop"])
        self.assertEqual(self.counters["group_pushes_lost"], 1)

    def test_when_none(self) -> None:
        """The stop of the daemon can wait for the last message."""
        told = []
        groups = self.router.groups
        assert groups is not None
        groups.when_none(lambda: told.append("at once"))
        self.groups.there[101] = group_of(1, 4)
        for content in "ab":
            self.ask(101, content)
        groups.when_none(lambda: told.append("later"))
        self.assertEqual(told, ["at once"])
        self.groups.answer()
        self.clock.advance(0)
        self.assertEqual(told, ["at once", "later"])

    def test_without_pushes(self) -> None:
        """Without push lists no group is fetched."""
        self.router.decisions.pushes = None
        self.ask(101)
        self.assertEqual(self.groups.asked, [])

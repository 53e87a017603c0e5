"""While it cannot be known who is online, no phone is bothered, and no push is lost."""

from json import loads

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.metrics import Counters
from gobelieve.routing.build import build_router
from gobelieve.routing.pushes import backlog
from gobelieve.routing.pushes.backlog import RECEIVERS_PER_TURN
from gobelieve.routing.pushes.grace import MAX_GRACE_PERIODS
from gobelieve.wire import encode_frame, route
from gobelieve.wire.client import IM
from gobelieve.wire.publication import Publication
from tests.fakes.world import world
from tests.protocols.logs import Events
from tests.routing.support import FakeLink, FakePushes

START, LOST, LIMIT = 10.0, 3.0, 3000


class GraceCase(SynchronousTestCase):
    """A router with a clock."""

    start = START
    lost = LOST

    def setUp(self) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.events = Events()
        self.pushes = FakePushes()
        self.router = build_router(
            self.pushes,
            world=world(time=self.clock, counters=self.counters, log=self.events.log()),
            limit=LIMIT,
            grace_after_start=self.start,
            grace_after_loss=self.lost,
        )
        self.grace = self.router.grace

    def gateway(self, *uids: int, version: int = 1) -> FakeLink:
        """A gateway that has said that these users are online."""
        link = FakeLink(self.router, version)
        for uid in uids:
            link.hold(uid)
        return link

    def mark(self, link: FakeLink) -> None:
        """It has said all."""
        link.say(route.MARK, b"", 1)

    def ask(self, link: FakeLink, *uids: int, content: str = "hi") -> None:
        """Push this to those who are offline."""
        inner = IM(sender=1, receiver=2, msgid=0, content=content.encode()).frame()
        body = route.WidePush(appid=7, receivers=uids, inner=inner).encode()
        link.say(route.PUSH, body, 1)

    def pushed(self) -> list[tuple[int, str]]:
        """To whom, and what; since this was asked last."""
        found = []
        for _, item in self.pushes:
            fields = loads(item)
            found.append((fields["receiver"], fields["content"]))
        self.pushes.clear()
        return found


class StartTests(GraceCase):
    """The router has just started."""

    def setUp(self) -> None:
        super().setUp()
        self.grace.begin()
        self.link = self.gateway(1)
        self.mark(self.link)

    def test_who_comes_back_gets_no_push(self) -> None:
        """And who does not, gets what was asked for meanwhile, in order."""
        for content in "abc":
            self.ask(self.link, 1, 2, 3, content=content)
        self.assertEqual(self.counters["pushes_kept"], 6)
        self.clock.advance(START - 0.1)
        self.assertEqual(self.pushed(), [])
        self.mark(self.gateway(2))
        self.clock.advance(0.2)
        self.assertEqual(self.pushed(), [(3, "a"), (3, "b"), (3, "c")])

    def test_afterwards_pushes_are_decided_at_once(self) -> None:
        """Nothing is kept, no timer is left."""
        self.clock.advance(START)
        self.assertFalse(self.grace.active)
        self.ask(self.link, 2)
        self.assertEqual(self.pushed(), [(2, "hi")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_questions_of_2018_are_kept_as_well(self) -> None:
        """A message without the flag asks for the push of its receiver."""
        inner = IM(sender=1, receiver=2, msgid=0, content=b"hi").frame()
        self.link.say(route.PUBLISH, Publication(7, 2, 0, 0, 1, inner).body(0))
        self.assertEqual(self.pushed(), [])
        self.clock.advance(START)
        self.assertEqual(self.pushed(), [(2, "hi")])

    def test_a_gateway_that_still_subscribes_is_waited_for(self) -> None:
        """Until its MARK."""
        late = self.gateway()
        self.ask(self.link, 2)
        self.clock.advance(START + 5)
        self.assertEqual(self.pushed(), [])
        late.hold(2)
        self.mark(late)
        self.assertFalse(self.grace.active)
        self.assertEqual(self.pushed(), [])

    def test_a_gateway_that_goes_is_not_waited_for(self) -> None:
        """It was the last that had not said all."""
        late = self.gateway()
        self.ask(self.link, 2)
        self.clock.advance(START)
        self.router.closed(late)
        self.assertEqual(self.pushed(), [(2, "hi")])

    def test_a_gateway_that_never_marks_is_not_waited_for_for_ever(self) -> None:
        """It may be an older one of ours."""
        self.gateway()
        self.ask(self.link, 2)
        self.clock.advance(START)
        self.clock.advance(START * (MAX_GRACE_PERIODS - 1) - 0.1)
        self.assertEqual(self.pushed(), [])
        self.clock.advance(0.2)
        self.assertEqual(self.pushed(), [(2, "hi")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_gateway_of_upstreams_is_not_waited_for(self) -> None:
        """It never sends a MARK."""
        self.gateway(version=0)
        self.ask(self.link, 2)
        self.clock.advance(START)
        self.assertEqual(self.pushed(), [(2, "hi")])

    def test_who_is_online_costs_nothing(self) -> None:
        """There is nothing to decide about him."""
        self.ask(self.link, 1)
        self.assertEqual(len(self.grace), 0)

    def test_nonsense_is_told_at_once(self) -> None:
        """To the gateway that sent it, which is cut off for it, as ever."""
        for inner in (encode_frame(4, b"short"), b"\x7f" + encode_frame(4, b"x" * 40)[1:]):
            body = route.WidePush(appid=7, receivers=(2,), inner=inner).encode()
            with self.assertRaises(BodyError):
                self.link.say(route.PUSH, body, 1)
        self.assertEqual(len(self.grace), 0)

    def test_too_many(self) -> None:
        """The oldest are decided early, so that memory is bounded, order kept, nothing lost."""
        for number in range(LIMIT + 5):
            self.ask(self.link, 100_000 + number)
        early = self.pushed()
        self.assertEqual([uid for uid, _ in early], list(range(100_000, 100_005)))
        self.assertEqual(self.counters["pushes_decided_early"], 5)
        self.assertEqual(len(self.grace), LIMIT)
        many = range(200_000, 200_000 + LIMIT + 1)
        self.ask(self.link, *many, content="one with more than all the room")
        self.assertEqual(len(self.pushed()), LIMIT + len(many))
        self.assertEqual(len(self.grace), 0)

    def test_too_many_bytes(self) -> None:
        """The same."""
        self.patch(backlog, "BACKLOG_BYTES", 10_000)
        for _ in range(12):
            self.ask(self.link, 2, content="x" * 900)
        self.assertEqual(len(self.pushed()), 2)

    def test_many_are_decided_in_slices(self) -> None:
        """Others have their turn between; what is asked meanwhile stays behind."""
        for number in range(2 * RECEIVERS_PER_TURN):
            self.ask(self.link, 100_000 + number)
        counts = []

        def other() -> None:
            counts.append(len(self.pushed()))
            if len(counts) == 1:
                self.ask(self.link, 100_000, content="later")
            if len(counts) < 3:
                self.clock.callLater(0, other)

        self.clock.callLater(START, other)
        self.clock.advance(START)
        self.assertEqual(counts, [RECEIVERS_PER_TURN, RECEIVERS_PER_TURN, 1])
        self.assertFalse(self.grace.active)

    def test_stop(self) -> None:
        """What is kept is decided by what is known then, and no user of the links that end now
        gets one for it."""
        self.ask(self.link, 2, 3)
        self.mark(self.gateway(2))
        self.router.stop()
        self.assertEqual(self.pushed(), [(3, "hi")])
        self.router.closed(self.link)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.grace.active)


class LostLinkTests(GraceCase):
    """A gateway is gone without having unsubscribed its users."""

    start = 0.0

    def setUp(self) -> None:
        super().setUp()
        self.grace.begin()
        self.link = self.gateway(1)
        self.other = self.gateway(2, 3, 4)
        self.mark(self.link)
        self.mark(self.other)

    def test_its_users_may_come_back(self) -> None:
        """There or elsewhere; pushes for them wait, those for others do not."""
        self.router.closed(self.other)
        self.ask(self.link, 2, 3, 5)
        self.assertEqual(self.pushed(), [(5, "hi")])
        self.link.hold(2)
        self.clock.advance(LOST)
        self.assertEqual(self.pushed(), [(3, "hi")])
        self.assertFalse(self.grace.active)

    def test_who_was_there_and_wanted_pushes_all_the_same_gets_them(self) -> None:
        """A desktop is not in doubt."""
        self.other.hold(2, online=False)
        self.router.closed(self.other)
        self.ask(self.link, 2)
        self.assertEqual(self.pushed(), [(2, "hi")])

    def test_a_gateway_that_takes_its_leave(self) -> None:
        """Has unsubscribed everybody; there is nothing to wait for."""
        for uid in (2, 3, 4):
            self.other.tell(route.Unsubscribe(appid=7, uid=uid))
        self.router.closed(self.other)
        self.assertFalse(self.grace.active)
        self.ask(self.link, 2)
        self.assertEqual(self.pushed(), [(2, "hi")])

    def test_the_gateway_comes_back_and_takes_its_time(self) -> None:
        """Its MARK is waited for."""
        self.router.closed(self.other)
        self.clock.advance(LOST - 0.1)
        again = self.gateway(2)
        self.ask(self.link, 3)
        self.clock.advance(LOST)
        self.assertEqual(self.pushed(), [])
        again.hold(3)
        self.mark(again)
        self.assertEqual(self.pushed(), [])
        self.assertFalse(self.grace.active)

    def test_two_after_each_other(self) -> None:
        """The second has its own time, and what is kept keeps its order."""
        third = self.gateway(6)
        self.mark(third)
        self.router.closed(self.other)
        self.ask(self.link, 3, content="a")
        self.clock.advance(LOST - 1)
        self.router.closed(third)
        self.ask(self.link, 3, 6, content="b")
        self.clock.advance(LOST - 1)
        self.assertEqual(self.pushed(), [])
        self.clock.advance(1)
        self.assertEqual(self.pushed(), [(3, "a"), (3, "b"), (6, "b")])

    def test_a_link_that_comes_and_goes_all_the_time(self) -> None:
        """Holds a push up for `MAX_GRACE_PERIODS` graces at most."""
        self.router.closed(self.other)
        self.ask(self.link, 3)
        for _ in range(5):
            self.clock.advance(LOST - 1)
            link = self.gateway(4)
            self.router.closed(link)
        self.assertEqual(self.pushed(), [(3, "hi")])

    def test_no_timers_are_left(self) -> None:
        """By a router that stops meanwhile."""
        self.router.closed(self.other)
        self.router.stop()
        self.router.closed(self.link)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class WithoutGraceTests(GraceCase):
    """Both set to 0."""

    start = lost = 0.0

    def test_nothing_is_kept(self) -> None:
        """Not at the start, not when a link is lost."""
        self.grace.begin()
        link, other = self.gateway(1), self.gateway(2)
        self.router.closed(other)
        self.ask(link, 2)
        self.assertEqual(self.pushed(), [(2, "hi")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

"""The grace period: no needless push is sent while users may return, and none is lost."""

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
    """A router with a clock and grace periods."""

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
        """Connect a gateway that reports these users as online."""
        link = FakeLink(self.router, version)
        for uid in uids:
            link.subscribe(uid)
        return link

    def mark(self, link: FakeLink) -> None:
        """Send the MARK of a gateway, which means that all its users are reported."""
        link.send_frame(route.MARK, b"", 1)

    def ask(self, link: FakeLink, *uids: int, content: str = "hi") -> None:
        """Request the push of a message to these users."""
        inner = IM(sender=1, receiver=2, msgid=0, content=content.encode()).frame()
        body = route.WidePush(appid=7, receivers=uids, inner=inner).encode()
        link.send_frame(route.PUSH, body, 1)

    def pushed(self) -> list[tuple[int, str]]:
        """Return the pushes since the last call, as pairs of receiver and content."""
        found = []
        for _, item in self.pushes:
            fields = loads(item)
            found.append((fields["receiver"], fields["content"]))
        self.pushes.clear()
        return found


class StartTests(GraceCase):
    """The grace period after the start of the router."""

    def setUp(self) -> None:
        super().setUp()
        self.grace.begin()
        self.link = self.gateway(1)
        self.mark(self.link)

    def test_a_user_who_returns_gets_no_push(self) -> None:
        """Users who do not return get their pushes in order, after the period."""
        for content in "abc":
            self.ask(self.link, 1, 2, 3, content=content)
        self.assertEqual(self.counters["pushes_kept"], 6)
        self.clock.advance(START - 0.1)
        self.assertEqual(self.pushed(), [])
        self.mark(self.gateway(2))
        self.clock.advance(0.2)
        self.assertEqual(self.pushed(), [(3, "a"), (3, "b"), (3, "c")])

    def test_afterwards_pushes_are_decided_at_once(self) -> None:
        """After the period no decision is kept, and no timer is left."""
        self.clock.advance(START)
        self.assertFalse(self.grace.active)
        self.ask(self.link, 2)
        self.assertEqual(self.pushed(), [(2, "hi")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_push_requests_of_the_seed_are_kept_as_well(self) -> None:
        """A published message without the flag PUSH is a push request, and waits as well."""
        inner = IM(sender=1, receiver=2, msgid=0, content=b"hi").frame()
        self.link.send_frame(route.PUBLISH, Publication(7, 2, 0, 0, 1, inner).body(0))
        self.assertEqual(self.pushed(), [])
        self.clock.advance(START)
        self.assertEqual(self.pushed(), [(2, "hi")])

    def test_the_router_waits_for_a_gateway_that_still_subscribes(self) -> None:
        """The decisions wait until the last gateway has sent its MARK."""
        late = self.gateway()
        self.ask(self.link, 2)
        self.clock.advance(START + 5)
        self.assertEqual(self.pushed(), [])
        late.subscribe(2)
        self.mark(late)
        self.assertFalse(self.grace.active)
        self.assertEqual(self.pushed(), [])

    def test_the_router_does_not_wait_for_a_gateway_that_disconnects(self) -> None:
        """If the last gateway without a MARK disconnects, the decisions are made."""
        late = self.gateway()
        self.ask(self.link, 2)
        self.clock.advance(START)
        self.router.closed(late)
        self.assertEqual(self.pushed(), [(2, "hi")])

    def test_the_router_does_not_wait_for_ever_for_a_gateway_without_a_mark(self) -> None:
        """After `MAX_GRACE_PERIODS` the decisions are made without the MARK of a gateway."""
        self.gateway()
        self.ask(self.link, 2)
        self.clock.advance(START)
        self.clock.advance(START * (MAX_GRACE_PERIODS - 1) - 0.1)
        self.assertEqual(self.pushed(), [])
        self.clock.advance(0.2)
        self.assertEqual(self.pushed(), [(2, "hi")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_router_does_not_wait_for_a_go_gateway(self) -> None:
        """A gateway of the Go server never sends a MARK."""
        self.gateway(version=0)
        self.ask(self.link, 2)
        self.clock.advance(START)
        self.assertEqual(self.pushed(), [(2, "hi")])

    def test_no_decision_is_kept_on_an_online_user(self) -> None:
        """A push request for an online user is dropped at once."""
        self.ask(self.link, 1)
        self.assertEqual(len(self.grace), 0)

    def test_a_malformed_request_is_refused_at_once(self) -> None:
        """A malformed push request raises an error at once, and is not kept."""
        for inner in (encode_frame(4, b"short"), b"\x7f" + encode_frame(4, b"x" * 40)[1:]):
            body = route.WidePush(appid=7, receivers=(2,), inner=inner).encode()
            with self.assertRaises(BodyError):
                self.link.send_frame(route.PUSH, body, 1)
        self.assertEqual(len(self.grace), 0)

    def test_too_many(self) -> None:
        """Beyond the limit of receivers the oldest decisions are made early, in order."""
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
        """Beyond the limit of bytes the oldest decisions are made early."""
        self.patch(backlog, "BACKLOG_BYTES", 10_000)
        for _ in range(12):
            self.ask(self.link, 2, content="x" * 900)
        self.assertEqual(len(self.pushed()), 2)

    def test_many_decisions_are_made_in_several_turns(self) -> None:
        """Other work runs between two batches of decisions, and later requests stay behind them."""
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
        """The stop makes all kept decisions; users of the links that end then get no push."""
        self.ask(self.link, 2, 3)
        self.mark(self.gateway(2))
        self.router.stop()
        self.assertEqual(self.pushed(), [(3, "hi")])
        self.router.closed(self.link)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.grace.active)


class LostLinkTests(GraceCase):
    """The grace period after a gateway was lost before it unsubscribed its users."""

    start = 0.0

    def setUp(self) -> None:
        super().setUp()
        self.grace.begin()
        self.link = self.gateway(1)
        self.other = self.gateway(2, 3, 4)
        self.mark(self.link)
        self.mark(self.other)

    def test_users_of_a_lost_gateway_may_return(self) -> None:
        """Pushes to users of the lost gateway wait; pushes to other users do not."""
        self.router.closed(self.other)
        self.ask(self.link, 2, 3, 5)
        self.assertEqual(self.pushed(), [(5, "hi")])
        self.link.subscribe(2)
        self.clock.advance(LOST)
        self.assertEqual(self.pushed(), [(3, "hi")])
        self.assertFalse(self.grace.active)

    def test_a_user_at_a_desktop_gets_pushes_at_once(self) -> None:
        """A user whom the lost gateway did not hold as online is not waited for."""
        self.other.subscribe(2, online=False)
        self.router.closed(self.other)
        self.ask(self.link, 2)
        self.assertEqual(self.pushed(), [(2, "hi")])

    def test_a_gateway_that_shuts_down_in_order(self) -> None:
        """A gateway that unsubscribed its users begins no grace period."""
        for uid in (2, 3, 4):
            self.other.send(route.Unsubscribe(appid=7, uid=uid))
        self.router.closed(self.other)
        self.assertFalse(self.grace.active)
        self.ask(self.link, 2)
        self.assertEqual(self.pushed(), [(2, "hi")])

    def test_the_gateway_returns_and_reports_slowly(self) -> None:
        """The decisions wait for the MARK of the gateway that returned."""
        self.router.closed(self.other)
        self.clock.advance(LOST - 0.1)
        again = self.gateway(2)
        self.ask(self.link, 3)
        self.clock.advance(LOST)
        self.assertEqual(self.pushed(), [])
        again.subscribe(3)
        self.mark(again)
        self.assertEqual(self.pushed(), [])
        self.assertFalse(self.grace.active)

    def test_two_gateways_are_lost_one_after_another(self) -> None:
        """The second loss extends the period, and the decisions keep their order."""
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

    def test_a_link_that_is_lost_again_and_again(self) -> None:
        """Repeated losses delay a push by at most `MAX_GRACE_PERIODS` periods."""
        self.router.closed(self.other)
        self.ask(self.link, 3)
        for _ in range(5):
            self.clock.advance(LOST - 1)
            link = self.gateway(4)
            self.router.closed(link)
        self.assertEqual(self.pushed(), [(3, "hi")])

    def test_no_timers_are_left(self) -> None:
        """A router that stops during the period leaves no timer."""
        self.router.closed(self.other)
        self.router.stop()
        self.router.closed(self.link)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class WithoutGraceTests(GraceCase):
    """A router whose grace periods are configured as 0."""

    start = lost = 0.0

    def test_nothing_is_kept(self) -> None:
        """Pushes are decided at once, after the start and after a lost link."""
        self.grace.begin()
        link, other = self.gateway(1), self.gateway(2)
        self.router.closed(other)
        self.ask(link, 2)
        self.assertEqual(self.pushed(), [(2, "hi")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

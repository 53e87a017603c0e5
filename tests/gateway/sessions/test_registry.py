"""The subscriptions of a user's sessions: each case, and any number at two gateways."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.session import Session
from gobelieve.metrics import GatewayCounters
from gobelieve.names import User
from gobelieve.routing.local import LocalLink
from tests.fakes.world import world
from tests.gateway.support import APP, FakeConnection, FakeRouting
from tests.routing.support import Setting

ALICE = User(APP, 1)


def session(online: bool) -> Session:
    """One of Alice's: online, or at a desk and with a wish for phone pushes."""
    made = Session(FakeConnection(), (), GatewayCounters(), 0)
    made.user, made.online = ALICE, online
    return made


class OnlineFlagTests(SynchronousTestCase):
    """The online flag of a user with sessions at one gateway."""

    def setUp(self) -> None:
        self.routing = FakeRouting()
        self.sessions = Sessions(self.routing)

    def here(self, *online: bool) -> list[Session]:
        """Begin with these sessions, each online or not."""
        there = [session(on) for on in online]
        for one in there:
            self.sessions.add(one)
        self.routing.take()
        return there

    def test_the_first_one_comes(self) -> None:
        """The user is said, as it is."""
        for online in (True, False):
            first = session(online)
            self.sessions.add(first)
            self.assertEqual(self.routing.take(), [("subscribe", ALICE, online)])
            self.sessions.remove(first)
            self.routing.take()

    def test_a_phone_joins_a_desktop(self) -> None:
        """The user is online now."""
        self.here(False)
        self.sessions.add(session(True))
        self.assertEqual(self.routing.take(), [("subscribe", ALICE, True)])

    def test_others_that_come_change_nothing(self) -> None:
        """A second phone, or a desktop."""
        for before, online in (((True,), True), ((True,), False), ((False,), False)):
            there = self.here(*before)
            there.append(session(online))
            self.sessions.add(there[-1])
            self.assertEqual(self.routing.take(), [])
            for one in there:
                self.sessions.remove(one)

    def test_the_last_one_leaves(self) -> None:
        """The user is gone, whatever the session was."""
        for online in (True, False):
            (last,) = self.here(online)
            self.sessions.remove(last)
            self.assertEqual(self.routing.take(), [("unsubscribe", ALICE)])

    def test_the_phone_leaves_the_desktop(self) -> None:
        """Connected, and not online any more."""
        _, phone = self.here(False, True)
        self.sessions.remove(phone)
        self.assertEqual(self.routing.take(), [("subscribe", ALICE, False)])

    def test_others_that_leave_change_nothing(self) -> None:
        """One of two phones; the desktop; one of two desktops."""
        for before in ((True, True), (False, True), (False, False)):
            first, second = self.here(*before)
            self.sessions.remove(first)
            self.assertEqual(self.routing.take(), [])
            self.sessions.remove(second)


class TwoGatewayTests(SynchronousTestCase):
    """One router, to which both say what they have."""

    def setUp(self) -> None:
        setting = Setting()
        self.table = setting.router.table
        self.gateways = [
            Sessions(LocalLink(setting.router, world(log=setting.log))) for _ in range(2)
        ]

    def test_a_desktop_here_and_a_phone_there(self) -> None:
        """Online as long as the phone is, at whatever gateway."""
        desktop, phone = session(False), session(True)
        self.gateways[0].add(desktop)
        self.assertFalse(self.table.is_online(ALICE))
        self.assertEqual(len(self.table.holders(ALICE)), 1)
        self.gateways[1].add(phone)
        self.assertTrue(self.table.is_online(ALICE))
        self.gateways[1].remove(phone)
        self.assertFalse(self.table.is_online(ALICE))
        self.gateways[0].add(phone)
        self.assertTrue(self.table.is_online(ALICE))
        self.gateways[0].remove(phone)
        self.assertFalse(self.table.is_online(ALICE))
        self.gateways[0].remove(desktop)
        self.assertEqual(self.table.holders(ALICE), ())

    @given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.booleans()), max_size=30))
    def test_whatever_comes_and_goes(self, steps: list[tuple[int, int, bool]]) -> None:
        """The router always knows where the user is, and whether online anywhere."""
        self.setUp()
        there: dict[tuple[int, int], Session] = {}
        for gateway, number, online in steps:
            gone = there.pop((gateway, number), None)
            if gone is not None:
                self.gateways[gateway].remove(gone)
            else:
                there[gateway, number] = session(online)
                self.gateways[gateway].add(there[gateway, number])
            self.assertEqual(self.table.is_online(ALICE), any(one.online for one in there.values()))
            self.assertEqual(len(self.table.holders(ALICE)), len({gateway for gateway, _ in there}))

"""Rules that may wait for a look-up: what the client sends meanwhile is handled after them."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.rules.waiting import run_in_order
from gobelieve.services.process.options import Coroutines
from gobelieve.wire import client
from tests.gateway.support import TestGateway


class WaitingRuleTests(SynchronousTestCase):
    """A rule that waits for two look-ups, one after the other."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.alice = self.gateway.client(1)
        self.tasks = Coroutines()
        self.look_ups: list[Deferred[str]] = [Deferred(), Deferred()]
        self.found: list[str] = []

    async def rule(self) -> None:
        for look_up in self.look_ups:
            self.found.append(await look_up)

    def run_rule(self) -> None:
        run_in_order(self.alice.session, self.rule(), self.tasks)

    def pongs(self) -> int:
        """The number of PONGs that the client got since the last call."""
        return len(self.alice.messages())

    def test_a_rule_that_finds_all_in_memory_ends_at_once(self) -> None:
        """The client's next frame is handled in the same call."""
        for look_up in self.look_ups:
            look_up.callback("here")
        self.run_rule()
        self.assertEqual((self.found, len(self.tasks)), (["here", "here"], 0))
        self.alice.say(client.Ping())
        self.assertEqual(self.pongs(), 1)

    def test_the_next_frames_wait_until_the_rule_has_ended(self) -> None:
        """The client's PING is answered after the second look-up, not before."""
        self.run_rule()
        self.alice.say(client.Ping())
        self.look_ups[0].callback("one")
        self.assertEqual((self.found, self.pongs()), (["one"], 0))
        self.look_ups[1].callback("two")
        self.assertEqual((self.found, self.pongs(), len(self.tasks)), (["one", "two"], 1, 0))

    def test_a_look_up_that_fails_ends_the_rule_and_not_the_session(self) -> None:
        """The error is raised in the rule; it is logged, and the client is served again."""
        self.run_rule()
        self.alice.say(client.Ping())
        self.look_ups[0].errback(ValueError("a bug"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual((self.found, self.pongs()), ([], 1))

    def test_a_rule_can_go_on_after_an_error(self) -> None:
        """A rule that catches the error of a look-up waits for another one."""

        async def tolerant() -> None:
            try:
                await self.look_ups[0]
            except ValueError:
                self.found.append(await self.look_ups[1])

        run_in_order(self.alice.session, tolerant(), self.tasks)
        self.look_ups[0].errback(ValueError("expected"))
        self.look_ups[1].callback("two")
        self.assertEqual(self.found, ["two"])

    def test_a_gateway_that_stops_cancels_the_rule(self) -> None:
        """Nothing is logged, and the session is not left waiting."""
        self.run_rule()
        self.alice.say(client.Ping())
        self.tasks.cancel()
        self.assertEqual((self.found, self.pongs(), len(self.tasks)), ([], 1, 0))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_an_error_before_the_first_wait_is_raised_to_the_caller(self) -> None:
        """A malformed body ends the connection, as in a rule that never waits."""

        async def broken() -> None:
            raise ValueError("malformed")

        with self.assertRaises(ValueError):
            run_in_order(self.alice.session, broken(), self.tasks)
        self.alice.say(client.Ping())
        self.assertEqual(self.pongs(), 1)

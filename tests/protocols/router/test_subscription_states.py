"""The states of what a router knows about a gateway's users."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.router.subscription_states import NEXT, Event, State

CONNECTED = set(State) - {State.ABSENT}


class SubscriptionStatesTests(SynchronousTestCase):
    """The table of states and events."""

    def test_each_state_has_a_row(self) -> None:
        """The table has all states, and each of them can be reached."""
        self.assertEqual(set(NEXT), set(State))
        reached = {state for row in NEXT.values() for state in row.values()}
        self.assertEqual(reached, set(State))

    def test_an_absent_router_can_only_connect(self) -> None:
        """Nothing else happens without a connection."""
        self.assertEqual(NEXT[State.ABSENT], {Event.CONNECTED: State.RESUBSCRIBING})

    def test_a_connection_can_end_at_any_time(self) -> None:
        """A router whose connection ends is absent."""
        for state in CONNECTED:
            self.assertIs(NEXT[state][Event.DISCONNECTED], State.ABSENT)

    def test_a_late_answer_requires_a_new_mark(self) -> None:
        """After a late answer, subscriptions are in effect only when another MARK is answered."""
        for state in CONNECTED:
            self.assertIs(NEXT[state][Event.ANSWERED_LATE], State.RESUBSCRIBING)

    def test_any_change_can_be_postponed(self) -> None:
        """After a change is postponed, something is left to send."""
        for state in CONNECTED:
            self.assertIn(Event.ALL_SENT, NEXT[NEXT[state][Event.POSTPONED]])

    def test_from_the_connection_to_the_effect(self) -> None:
        """The usual path: all is sent, and the MARK after it is answered."""
        state = State.ABSENT
        for event in (Event.CONNECTED, Event.ALL_SENT, Event.CONFIRMED):
            state = NEXT[state][event]
        self.assertIs(state, State.IN_EFFECT)

"""The states of the grace period, in which it cannot be known who is online."""

from enum import Enum, auto


class State(Enum):
    """The router's knowledge of the users who are online."""

    SETTLED = auto()
    """It is known who is online."""
    GRACE_PERIOD = auto()
    """Some users may be about to return, and the seconds for that are running."""
    AWAITING_MARKS = auto()
    """The seconds are over, but a gateway has not reported all its users yet."""
    STOPPED = auto()
    """The router stops; no decision waits any more."""


class Event(Enum):
    """A change of that knowledge."""

    USERS_MISSING = auto()
    """The router started, or lost the link of a gateway with online users."""
    TIME_UP = auto()
    """The timer of the state ran out."""
    ALL_MARKED = auto()
    """Each gateway that resubscribes has sent its MARK, which means that it reported its users."""
    STOP = auto()


NEXT: dict[State, dict[Event, State]] = {
    State.SETTLED: {
        Event.USERS_MISSING: State.GRACE_PERIOD,
        Event.STOP: State.STOPPED,
    },
    State.GRACE_PERIOD: {
        # More users are missing: the period is extended.
        Event.USERS_MISSING: State.GRACE_PERIOD,
        Event.TIME_UP: State.AWAITING_MARKS,
        Event.STOP: State.STOPPED,
    },
    State.AWAITING_MARKS: {
        Event.USERS_MISSING: State.GRACE_PERIOD,
        Event.TIME_UP: State.SETTLED,
        Event.ALL_MARKED: State.SETTLED,
        Event.STOP: State.STOPPED,
    },
    State.STOPPED: {},
}
"""The next state. An event that is missing has no effect in that state."""

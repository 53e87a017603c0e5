"""The states of what one router knows about the users and rooms of this gateway."""

from enum import Enum, auto


class State(Enum):
    """The knowledge of the router, as far as the gateway can tell."""

    ABSENT = auto()
    """There is no connection: the router has forgotten this gateway."""
    RESUBSCRIBING = auto()
    """The router does not know all users and rooms, and they are not all sent."""
    UNCONFIRMED = auto()
    """All users and rooms are sent, and a MARK after them. The router has not answered it."""
    IN_EFFECT = auto()
    """The router knows all users and rooms; each change is sent at once."""
    BEHIND = auto()
    """Some changes are not sent, since the router did not read. It knows everything else."""


class Event(Enum):
    """A change on the link, or in the subscriptions."""

    CONNECTED = auto()
    DISCONNECTED = auto()
    POSTPONED = auto()
    """A change could not be sent, since the router does not read."""
    ALL_SENT = auto()
    """Nothing is left to send, and a MARK is sent after it."""
    CONFIRMED = auto()
    """That MARK is answered, or the router had `MARK_TIMEOUT` to answer it."""
    ANSWERED_LATE = auto()
    """The router answers a MARK after it left one unanswered. Nobody waited for it meanwhile."""


_FROM_ANY_CONNECTED = {Event.DISCONNECTED: State.ABSENT, Event.ANSWERED_LATE: State.RESUBSCRIBING}

NEXT: dict[State, dict[Event, State]] = {
    State.ABSENT: {Event.CONNECTED: State.RESUBSCRIBING},
    State.RESUBSCRIBING: {
        **_FROM_ANY_CONNECTED,
        Event.POSTPONED: State.RESUBSCRIBING,
        Event.ALL_SENT: State.UNCONFIRMED,
        # An earlier MARK is answered, after which a change was postponed.
        Event.CONFIRMED: State.BEHIND,
    },
    State.UNCONFIRMED: {
        **_FROM_ANY_CONNECTED,
        Event.POSTPONED: State.RESUBSCRIBING,
        Event.CONFIRMED: State.IN_EFFECT,
    },
    State.IN_EFFECT: {
        **_FROM_ANY_CONNECTED,
        Event.POSTPONED: State.BEHIND,
        Event.CONFIRMED: State.IN_EFFECT,
    },
    State.BEHIND: {
        **_FROM_ANY_CONNECTED,
        Event.POSTPONED: State.BEHIND,
        Event.ALL_SENT: State.IN_EFFECT,
        Event.CONFIRMED: State.BEHIND,
    },
}
"""The next state. An event that is missing cannot happen in that state."""

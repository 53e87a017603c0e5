"""The sessions in each room at this gateway, and the subscriptions at the routers.

A router knows a room from its first session on, until the last session has left.
"""

from collections.abc import Collection

from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Routing
from gobelieve.names import Room


class Rooms:
    """The rooms that are not empty here. A rule decides which session may enter a room."""

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        # A dict keeps the order, and each step takes the same time however many sessions there are.
        self._of: dict[Room, dict[Session, None]] = {}

    def __len__(self) -> int:
        """Return the number of rooms that have a session."""
        return len(self._of)

    def __contains__(self, room: Room) -> bool:
        """Return True if the room has a session."""
        return room in self._of

    def rooms(self) -> Collection[Room]:
        """Return all rooms, as a view that changes when sessions come and go."""
        return self._of

    def of(self, room: Room) -> Collection[Session]:
        """Return the sessions in the room; the collection changes when sessions come and go."""
        return self._of.get(room, ())

    def enter(self, room: Room, session: Session) -> None:
        """Add a session to a room; no effect if it is in the room already."""
        inside = self._of.get(room)
        if inside is None:
            self._of[room] = {session: None}
            self._routing.subscribe_room(room)
        else:
            inside[session] = None

    def leave(self, room: Room, session: Session) -> None:
        """Remove a session from a room; no effect if it is not in the room."""
        inside = self._of.get(room)
        if inside is not None and session in inside:
            del inside[session]
            if not inside:
                del self._of[room]
                self._routing.unsubscribe_room(room)

"""Which sessions are in which room at this gateway, and what the routers are told of it.

A router knows a room as soon as the first session is in it, and no longer when the last one left.
"""

from collections.abc import Collection

from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Routing
from gobelieve.names import Room


class Rooms:
    """The rooms that are not empty here. Who may be in which is for a rule to say."""

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        # Dicts for their order, and since a room may have very many: no step is in their number.
        self._of: dict[Room, dict[Session, None]] = {}

    def __len__(self) -> int:
        """How many rooms somebody is in."""
        return len(self._of)

    def __contains__(self, room: Room) -> bool:
        """Whether somebody is in the room."""
        return room in self._of

    def rooms(self) -> Collection[Room]:
        """Every room that somebody is in; a view, which changes when sessions come and go."""
        return self._of

    def of(self, room: Room) -> Collection[Session]:
        """The sessions in the room; not to be walked along while sessions come and go."""
        return self._of.get(room, ())

    def enter(self, room: Room, session: Session) -> None:
        """The session is in the room. Without effect if it was before."""
        inside = self._of.get(room)
        if inside is None:
            self._of[room] = {session: None}
            self._routing.subscribe_room(room)
        else:
            inside[session] = None

    def leave(self, room: Room, session: Session) -> None:
        """It is not any more. Without effect if it was not before."""
        inside = self._of.get(room)
        if inside is not None and session in inside:
            del inside[session]
            if not inside:
                del self._of[room]
                self._routing.unsubscribe_room(room)

"""A client's connection, as its session sees it."""

from typing import Protocol

from gobelieve.errors import WireError


class Connection(Protocol):
    """The connection of one client, of any transport."""

    peer: str
    """The client's network address."""
    congested: bool
    """True while the client does not read what was sent."""
    stream: bool
    """True if one `send` may contain several frames."""

    def unsent(self) -> int:
        """Return the number of sent bytes that the client has not taken, as far as it is known."""

    def send(self, frame: bytes) -> None:
        """Send a whole frame at the end of this turn, or several frames to a `stream`.

        Without effect after the connection is closed.
        """

    def pause(self) -> None:
        """Read no more from the client, until `resume` is called as often as `pause`."""

    def resume(self) -> None:
        """Undo one call of `pause`."""

    def cut(self, why: WireError) -> None:
        """Close the connection because the client sent something malformed."""

    def close(self) -> None:
        """Send what waits, then close the connection."""

    def abort(self) -> None:
        """Close the connection now; what waits is lost."""

"""A client's connection, as its session sees it."""

from typing import Protocol

from gobelieve.errors import WireError


class Connection(Protocol):
    """The transport of one client, whatever it is."""

    peer: str
    """Who it is to the network: an address."""
    congested: bool
    """Whether the client is slow to read what was sent."""
    stream: bool
    """Whether one `send` may be several frames."""

    def unsent(self) -> int:
        """How many bytes of what was sent the client has not taken, as far as that is known."""

    def send(self, frame: bytes) -> None:
        """Send a whole frame at the end of this turn, or several to a `stream`; without effect
        once it is closed."""

    def pause(self) -> None:
        """Read no more from the client, until `resume` is called as often as this."""

    def resume(self) -> None:
        """Take one `pause` back."""

    def cut(self, why: WireError) -> None:
        """End it because the client made no sense."""

    def close(self) -> None:
        """Send what waits, then end it."""

    def abort(self) -> None:
        """End it now."""

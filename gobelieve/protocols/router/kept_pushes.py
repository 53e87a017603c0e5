"""Phone pushes that a router could not be asked for yet."""

from collections import deque

from gobelieve.metrics import Tally

PUSHES_KEPT = 32 << 20
"""Bytes of them that are kept for an absent router."""


class KeptPushes:
    """Frames without their headers: (command, body), oldest first."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._kept: deque[tuple[int, bytes]] = deque()
        self._length = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._kept)

    def keep(self, cmd: int, body: bytes) -> None:
        """Keep one; if there are too many it is dropped, and counted."""
        if self._length + len(body) > PUSHES_KEPT:
            self._tally.add("pushes_dropped")
        else:
            self._length += len(body)
            self._kept.append((cmd, body))

    def take(self) -> tuple[int, bytes]:
        """The oldest; it is yours now."""
        cmd, body = self._kept.popleft()
        self._length -= len(body)
        return cmd, body

"""Writing: all bytes for a socket in one ``send`` at the end of the turn.

`transport.write` of the epoll reactor registers for writing, waits for the next turn, writes, and
unregisters: four system calls. Writing directly is one, and took a message's way through three
daemons from 30 to 17 us with one in flight (performance notes of the prototypes). What the kernel
does not take at once goes the transport's ordinary way, and so does everything on transports that
are not plain sockets, such as TLS.
"""

import sys
from fcntl import ioctl
from termios import TIOCOUTQ

from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Connection
from twisted.protocols.policies import ProtocolWrapper

from gobelieve.interfaces import Turn


def write_now(transport: ITransport, data: bytes) -> None:
    """Write to the socket at once if nothing waits before; else as ``transport.write``."""
    if (
        isinstance(transport, Connection)
        and not transport.dataBuffer
        and not transport._tempDataBuffer
        and transport.connected
        and not transport.disconnecting
        and not transport.TLS
    ):
        taken = transport.writeSomeData(data)
        if taken == len(data):
            return
        # An error is not ours to report: writing again meets it where the transport expects it.
        if isinstance(taken, int) and taken > 0:
            data = data[taken:]
    transport.write(data)


def beneath(transport: object) -> object:
    """The transport on which TLS runs; any other transport itself."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return transport


def unsent(transport: object) -> int:
    """How many of the bytes written to a socket the other end has not acknowledged.

    They wait in the transport or in the kernel; under TLS they are counted encrypted. 0 where that
    cannot be known.
    """
    transport = beneath(transport)
    if not isinstance(transport, Connection) or not transport.connected:
        return 0
    waiting = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    try:
        queued = ioctl(transport.fileno(), TIOCOUTQ, bytes(4))
    except OSError:
        return waiting
    return waiting + int.from_bytes(queued, sys.byteorder)


class TurnWriter:
    """Collects what is to be written to one transport until the end of the turn."""

    __slots__ = ("_parts", "_transport", "_turn")

    def __init__(self, transport: ITransport, turn: Turn) -> None:
        self._transport = transport
        self._turn = turn
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Write at the end of the turn, in order."""
        if not self._parts:
            self._turn.at_end(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Write now."""
        parts = self._parts
        if parts:
            self._parts = []
            write_now(self._transport, b"".join(parts) if len(parts) > 1 else parts[0])

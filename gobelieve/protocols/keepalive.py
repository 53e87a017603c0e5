"""Noticing an end that vanished without a word: its power went, or the network between.

The kernel probes a silent connection, by default first after two hours; so long a router would take
a dead gateway's users for online. Links between our daemons are probed sooner.
"""

import socket
from typing import Any

from gobelieve.protocols.writing import beneath

IDLE = 30
INTERVAL_SECONDS = 10
PROBES = 3
"""A connection silent for `IDLE` seconds is probed every `INTERVAL_SECONDS`; after `PROBES`
unanswered probes it is gone."""
UNACKNOWLEDGED = 60
"""Seconds after which one is gone that takes nothing of what was sent."""

_OPTIONS = {
    "TCP_KEEPIDLE": IDLE,
    "TCP_KEEPINTVL": INTERVAL_SECONDS,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": UNACKNOWLEDGED * 1000,
}


def probe_soon(transport: Any) -> None:
    """Have the kernel give the connection up a minute after the other end vanished.

    Without effect on what is no socket, and where the system has no such options.
    """
    handle = getattr(beneath(transport), "getHandle", lambda: None)()
    if isinstance(handle, socket.socket) and handle.family != getattr(socket, "AF_UNIX", None):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _OPTIONS.items():
            if hasattr(socket, name):
                handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

"""TCP keepalive: it detects a peer that vanished, such as after a power cut.

By default the kernel probes a silent connection only after two hours. For that time a router would
regard the users of a dead gateway as online. So the links between our daemons are probed sooner.
"""

import socket
from typing import Any

from gobelieve.protocols.writing import beneath

IDLE = 30
INTERVAL_SECONDS = 10
PROBES = 3
"""A connection that is silent for `IDLE` seconds is probed every `INTERVAL_SECONDS`. After `PROBES`
unanswered probes the kernel ends it."""
UNACKNOWLEDGED = 60
"""Seconds after which the kernel ends a connection whose peer acknowledges nothing."""

_OPTIONS = {
    "TCP_KEEPIDLE": IDLE,
    "TCP_KEEPINTVL": INTERVAL_SECONDS,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": UNACKNOWLEDGED * 1000,
}


def probe_soon(transport: Any) -> None:
    """Let the kernel end the connection about a minute after the peer vanished.

    This has no effect if the transport is no socket, or if the system lacks the options.
    """
    handle = getattr(beneath(transport), "getHandle", lambda: None)()
    if isinstance(handle, socket.socket) and handle.family != getattr(socket, "AF_UNIX", None):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _OPTIONS.items():
            if hasattr(socket, name):
                handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

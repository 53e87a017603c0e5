"""The limit on connections that have not logged in, in all and per address.

Anybody can connect. The time that a login may take limits the cost of that, and so does this limit:
when there is one connection too many, the oldest one is closed. A login takes milliseconds, so a
client that logs in is not concerned. An attacker closes mostly own connections, since the limit per
address is lower.
"""

from ipaddress import IPv6Address, ip_address

from gobelieve.interfaces import Connection
from gobelieve.metrics import Counters


class UnauthenticatedLimit:
    """Closes the oldest connection when there are too many. A bound of 0 means no limit."""

    def __init__(self, counters: Counters, bound: int, bound_per_address: int) -> None:
        self._counters = counters
        self._bound = bound
        self._bound_per_address = bound_per_address
        self._from: dict[Connection, str] = {}
        self._at: dict[str, dict[Connection, None]] = {}

    def __len__(self) -> int:
        """Return the number of connections that have not logged in."""
        return len(self._from)

    def entered(self, connection: Connection, host: str) -> None:
        """Add a new connection from an address."""
        network = network_of(host)
        neighbours = self._at.get(network)
        if neighbours is None:
            neighbours = self._at[network] = {}
        elif 0 < self._bound_per_address <= len(neighbours):
            self._send_away(next(iter(neighbours)), "closed_for_others_of_the_address")
            # If it was the only one, its address was removed.
            neighbours = self._at.setdefault(network, neighbours)
        if 0 < self._bound <= len(self._from):
            self._send_away(next(iter(self._from)), "closed_for_others")
            neighbours = self._at.setdefault(network, neighbours)
        self._from[connection] = network
        neighbours[connection] = None

    def left(self, connection: Connection) -> None:
        """Remove a connection that logged in or ended; no effect if it is not here."""
        network = self._from.pop(connection, None)
        if network is not None:
            neighbours = self._at[network]
            del neighbours[connection]
            if not neighbours:
                del self._at[network]

    def _send_away(self, connection: Connection, why: str) -> None:
        self.left(connection)
        self._counters.add(why)
        connection.abort()


def network_of(host: str) -> str:
    """Return what counts as one address; of IPv6 the first 64 bits, which one customer has."""
    if ":" not in host:
        return host
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))

"""Those who are connected and have not said who they are: not too many, in all and from an address.

Anybody can connect. What that costs is bounded by the time that a login may take, and by this: when
one comes too many, the one who has waited longest gives way. Whoever logs in, which takes
milliseconds, is past it; whoever only fills the room pushes out his own kind, since one address has
less of it.
"""

from ipaddress import IPv6Address, ip_address

from gobelieve.interfaces import Connection
from gobelieve.metrics import Counters


class UnauthenticatedLimit:
    """Keeps them in the order in which they came. A bound of 0 is none."""

    def __init__(self, counters: Counters, bound: int, bound_of_one: int) -> None:
        self._counters = counters
        self._bound = bound
        self._bound_of_one = bound_of_one
        self._from: dict[Connection, str] = {}
        self._at: dict[str, dict[Connection, None]] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._from)

    def entered(self, visitor: Connection, host: str) -> None:
        """Somebody connected from this address."""
        network = network_of(host)
        neighbours = self._at.get(network)
        if neighbours is None:
            neighbours = self._at[network] = {}
        elif 0 < self._bound_of_one <= len(neighbours):
            self._send_away(next(iter(neighbours)), "closed_for_others_of_the_address")
            # It may have been the last one, whose address is then forgotten.
            neighbours = self._at.setdefault(network, neighbours)
        if 0 < self._bound <= len(self._from):
            self._send_away(next(iter(self._from)), "closed_for_others")
            neighbours = self._at.setdefault(network, neighbours)
        self._from[visitor] = network
        neighbours[visitor] = None

    def left(self, visitor: Connection) -> None:
        """Somebody logged in, or is gone. Without effect on who is not here."""
        network = self._from.pop(visitor, None)
        if network is not None:
            neighbours = self._at[network]
            del neighbours[visitor]
            if not neighbours:
                del self._at[network]

    def _send_away(self, visitor: Connection, why: str) -> None:
        self.left(visitor)
        self._counters.add(why)
        visitor.abort()


def network_of(host: str) -> str:
    """What counts as one address: of IPv6 the first 64 bits, which one customer is given."""
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

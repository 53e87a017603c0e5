"""The status pages of a daemon, assembled from the figures of its parts."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from prometheus_client.registry import Collector
from twisted.web.resource import IResource

from gobelieve.config import parse_address
from gobelieve.protocols.http.status.pages import Figures, Trouble, status_site
from gobelieve.services.process.listening import Listening
from gobelieve.services.process.ordered import OrderedService


class PartStatus(Collector):
    """The metrics and the figures of one part of a daemon."""

    @abstractmethod
    def summary(self) -> dict[str, object]:
        """Return the figures for the page ``/summary``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStatus:
    """The contents of a daemon's status pages."""

    summary: Figures
    collectors: tuple[Collector, ...]
    trouble: Trouble
    """Returns the reason why the daemon cannot do its work, or ""; see ``/ready``."""


def status_of(
    role: PartStatus,
    parts: Mapping[str, PartStatus],
    *,
    collectors: Iterable[Collector],
    trouble: Trouble,
) -> DaemonStatus:
    """Return the status of a daemon: the figures of its role, and those of each part by its name.

    `collectors`: further metrics, which have no figures in the summary.
    """

    def summary() -> dict[str, object]:
        return {**role.summary(), **{name: part.summary() for name, part in parts.items()}}

    return DaemonStatus(
        summary=summary, collectors=(role, *collectors, *parts.values()), trouble=trouble
    )


def add_status(
    parent: OrderedService,
    address: str,
    status: DaemonStatus,
    pages: Mapping[bytes, IResource] = MappingProxyType({}),
) -> None:
    """Add ``http``, if there is an address. `pages`: further pages by their paths."""
    if address:
        site = status_site(status.summary, status.collectors, status.trouble, pages)
        parent.add("http", Listening(parse_address(address, "http_listen_address"), site))

"""The status pages of a daemon, put together from what its roles show."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from prometheus_client.registry import Collector
from twisted.web.resource import IResource

from gobelieve.config import parse_address
from gobelieve.protocols.http.status.pages import Figures, Trouble, status_site
from gobelieve.services.process.listening import Listening
from gobelieve.services.process.ordered import OrderedService


class Part(Protocol):
    """A part of a daemon with figures of its own."""

    def summary(self) -> dict[str, object]:
        """Its figures."""


def with_parts(summary: Figures, parts: Mapping[str, Part]) -> Figures:
    """The figures of a role, and those of its parts under their names."""
    return lambda: {**summary(), **{name: part.summary() for name, part in parts.items()}}


def add_status(
    parent: OrderedService,
    address: str,
    summary: Figures,
    collectors: Iterable[Collector],
    trouble: Trouble | None = None,
    pages: Mapping[bytes, IResource] = MappingProxyType({}),
) -> None:
    """Add ``http``, if there is an address. Without `trouble` there is no ``/ready``.

    `pages`: others, by their paths.
    """
    if address:
        site = status_site(summary, collectors, trouble, pages)
        parent.add("http", Listening(parse_address(address, "http_listen_address"), site))

"""The security of the links between our own daemons: the secret, TLS, and a warning without them.

Each port for our own daemons and each connection to one is made here, so that none is forgotten.
"""

import os
import secrets
from collections.abc import Callable
from random import random
from stat import S_IROTH
from typing import Any

from twisted.application.internet import ClientService
from twisted.application.service import Service
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from gobelieve.config import SHORTEST_SECRET, ClusterConfig, is_loopback, parse_address
from gobelieve.errors import ConfigError
from gobelieve.event_loop.connecting import QuietClientService
from gobelieve.event_loop.reactor import Reactor
from gobelieve.metrics import Counters
from gobelieve.protocols.cluster.endpoints import (
    AuthenticatedEndpoint,
    AuthenticatedFactory,
    LinkSecurity,
    PlainEndpoint,
    PlainFactory,
)
from gobelieve.protocols.cluster.retrying_endpoint import RetryingEndpoint
from gobelieve.protocols.http.status.metrics import CountersCollector
from gobelieve.protocols.tls import TLSEndpoint, TLSFactory, TLSFiles
from gobelieve.services.process.daemon import DaemonService
from gobelieve.services.process.listening import Listening
from gobelieve.services.process.starting import cannot_start
from gobelieve.wire.cluster import NONCE_SIZE, Port

PEERS = {
    Port.ROUTE: "router",
    Port.STORAGE_RPC: "storage",
    Port.REPLICATION: "master",
}
"""The daemon that listens on each port, as the log of the connecting daemon names it."""
DANGERS = {
    Port.ROUTE: "can read and forge deliveries",
    Port.STORAGE_RPC: "can read and write every queue",
    Port.STORAGE_CLIENTS: "can read and write every queue",
    Port.REPLICATION: "is given every message that there is",
}
"""For each port without authentication: what anyone who reaches it can do."""


class Cluster(Service):
    """Reads secret and certificates when the daemon starts, before it gives up its privileges.

    It is the first of a daemon's services.
    """

    log = Logger("gobelieve.cluster")

    def __init__(self, config: ClusterConfig, reactor: Reactor) -> None:
        self._config = config
        self._reactor = reactor
        self._secret = b""
        self._loaded = False
        self._open: list[str] = []
        self.counters = Counters()
        what = "Connections between daemons that were refused here, or not made from here."
        self.metrics = CountersCollector("gobelieve_cluster_events", what, self.counters)
        self._tls: TLSFiles | None = None
        # Before twistd changes to another directory.
        self._secret_file = config.secret_file and os.path.abspath(config.secret_file)
        if config.cert_file:
            names = (config.cert_file, config.key_file, config.ca_file)
            self._tls = TLSFiles(*map(os.path.abspath, names))
        self._security = LinkSecurity(
            secret=lambda: self._secret,
            nonce=lambda: secrets.token_bytes(NONCE_SIZE),
            time=reactor,
            counters=self.counters,
            log=self.log,
            greets=bool(config.secret or config.secret_file or self._tls),
            tls=self._tls is not None,
        )

    # --- ports and links

    def listening(self, port: Port, address: str, factory: Factory) -> Listening:
        """Return the service that listens on a port for our own daemons."""
        where = parse_address(address)
        guarded: IProtocolFactory = (
            AuthenticatedFactory if self._security.greets else PlainFactory
        )(factory, port, self._security)
        if self._tls is not None:
            guarded = TLSFactory(self._tls, False, guarded, self._reactor)
        if not self._security.greets and not is_loopback(where.host):
            what = f"port {port.name} listens on {address} without authentication"
            self._open.append(f"{what}: who reaches it {DANGERS[port]}; see cluster.secret")
        return Listening(where, guarded)

    def connecting(
        self,
        port: Port,
        address: str,
        link: Factory,
        special_delay: Callable[[], float | None] = lambda: None,
    ) -> ClientService:
        """Return the service that keeps a link connected.

        `special_delay` returns the seconds until the next attempt, or None for the usual delay.
        """
        endpoint = RetryingEndpoint(
            self.endpoint(port, address), f"{PEERS[port]} {address}", self._reactor, random
        )

        def delay(attempt: int) -> float:
            special = special_delay()
            return endpoint.delay(attempt) if special is None else special

        return QuietClientService(endpoint, link, retryPolicy=delay, clock=self._reactor)

    def endpoint(self, port: Port, address: str) -> IStreamClientEndpoint:
        """Return the endpoint that connects to a port of another daemon."""
        host, number = parse_address(address)
        host = host or "127.0.0.1"
        endpoint: Any = HostnameEndpoint(self._reactor, host, number, timeout=3)
        if not self._security.greets:
            return PlainEndpoint(endpoint, port, self._security)
        if self._tls is not None:
            endpoint = TLSEndpoint(endpoint, self._tls, host, self._reactor)
        return AuthenticatedEndpoint(endpoint, port, self._security)

    # --- start and reload

    def privilegedStartService(self) -> None:
        """Read the files before the ports listen: a handshake needs the secret."""
        super().privilegedStartService()
        self._load_first()

    def startService(self) -> None:
        super().startService()
        self._load_first()
        for warning in self._open:
            self.log.warn("{warning}", warning=warning)

    def reload(self) -> None:
        """Read the files again, for new connections.

        `ConfigError` if one cannot be used; then all keep their former content.
        """
        self._load()

    def _load_first(self) -> None:
        if not self._loaded:
            self._loaded = True
            try:
                self._load()
            except ConfigError as why:
                cannot_start(why)

    def _load(self) -> None:
        secret = self._config.secret.encode()
        if self._secret_file:
            secret = self._read_secret(self._secret_file)
        if self._tls is not None:
            self._tls.load()
        self._secret = secret

    def _read_secret(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                secret = file.read().strip()
                mode = os.fstat(file.fileno()).st_mode
        except OSError as why:
            raise ConfigError(f"cluster.secret_file {path}: {why.strerror}") from None
        if len(secret) < SHORTEST_SECRET:
            raise ConfigError(
                f"cluster.secret_file {path} has {len(secret)} bytes; at least"
                f" {SHORTEST_SECRET} are needed"
            )
        if mode & S_IROTH:
            self.log.warn("{path} has the cluster's secret, and other users may read it", path=path)
        return secret


def add_cluster(parent: DaemonService, config: ClusterConfig, reactor: Reactor) -> Cluster:
    """Add ``cluster``; it reads its files again at SIGHUP."""
    cluster = Cluster(config, reactor)
    parent.add("cluster", cluster)
    if config.secret_file or config.cert_file:
        parent.hangup.add("the cluster's secret and certificates are read again", cluster.reload)
    return cluster

"""The ports for clients: TCP, WebSocket and engine.io, each plain and on TLS."""

import os
import secrets
from collections.abc import Callable
from typing import NamedTuple

from twisted.application.internet import TimerService
from twisted.application.service import Service
from twisted.internet.interfaces import IProtocolFactory

from gobelieve.config import Address, ClientsConfig, parse_address
from gobelieve.errors import ConfigError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import Turn
from gobelieve.protocols.clients.engine_io import EngineFactory
from gobelieve.protocols.clients.load_shedder import LoadShedder
from gobelieve.protocols.clients.tcp import ClientFactory
from gobelieve.protocols.clients.websocket import WebSocketFactory, WebSocketSettings
from gobelieve.protocols.tls import TLSFactory, TLSFiles
from gobelieve.services.components.gateway import Gateway
from gobelieve.services.components.shutdown import GracefulShutdown, safe_sweep
from gobelieve.services.process.daemon import DaemonService
from gobelieve.services.process.listening import Listening
from gobelieve.services.process.memory import MemoryWatch
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.starting import cannot_start


class CertificateService(Service):
    """Reads certificate and key when the daemon starts, before it gives up its privileges."""

    def __init__(self, config: ClientsConfig) -> None:
        # Before twistd changes to another directory.
        self.files = TLSFiles(os.path.abspath(config.cert_file), os.path.abspath(config.key_file))
        self._loaded = False

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self._load_first()

    def startService(self) -> None:
        super().startService()
        self._load_first()

    def _load_first(self) -> None:
        if not self._loaded:
            self._loaded = True
            try:
                self.files.load()
            except ConfigError as why:
                cannot_start(why)


def add_listeners(
    parent: OrderedService,
    daemon: DaemonService,
    config: ClientsConfig,
    *,
    gateway: Gateway,
    reactor: Reactor,
    turn: Turn,
) -> None:
    """Add the ports for clients, and the services that watch and end the connections.

    The certificate is read again when the daemon gets SIGHUP.
    """
    timeouts = TimerService(1, safe_sweep(gateway.clients.timeouts))
    timeouts.clock = reactor
    parent.add("watch", timeouts)
    parent.add("sessions", GracefulShutdown(gateway, reactor, config.drain_seconds))
    memory = MemoryWatch(config.memory_bytes, reactor, gateway.counters)
    if config.memory_bytes:
        parent.add("memory", memory)
    on_tls = _tls(parent, daemon, config, reactor)
    for port in _ports(config, ClientFactories(config, gateway, reactor, turn)):
        if port.address is not None:
            factory = port.make(port.name)
            if port.is_tls:
                factory = on_tls(factory)
            parent.add(port.name, Listening(port.address, LoadShedder(factory, memory.is_low)))


class ClientFactories:
    """Makes the factory of each kind of port; its argument is the name in metrics and logs."""

    def __init__(
        self, config: ClientsConfig, gateway: Gateway, reactor: Reactor, turn: Turn
    ) -> None:
        self._registry = gateway.clients.registry
        self._reactor = reactor
        self._turn = turn
        self._settings = WebSocketSettings(
            config.ws_allowed_origins,
            config.ws_ping_interval,
            ping_timeout=config.write_timeout,
            open_timeout=config.auth_timeout,
        )

    def tcp(self, name: str) -> IProtocolFactory:
        return ClientFactory(self._turn, self._registry, name)

    def websocket(self, name: str) -> IProtocolFactory:
        return WebSocketFactory(self._turn, self._registry, self._reactor, self._settings, name)

    def engine_io(self, name: str) -> IProtocolFactory:
        return EngineFactory(
            self._turn, self._registry, self._reactor, self._settings, name, _session_id
        )


class _Port(NamedTuple):
    name: str
    address: Address | None
    """None if the port is not configured."""
    make: Callable[[str], IProtocolFactory]
    is_tls: bool = False


def _ports(config: ClientsConfig, make: ClientFactories) -> list[_Port]:
    ssl_port = Address(config.host, config.ssl_port) if config.ssl_port else None
    return [
        _Port("tcp", Address(config.host, config.port), make.tcp),
        _Port("websocket", _address(config.ws_address), make.websocket),
        _Port("engine-io", _address(config.socket_io_address), make.engine_io),
        _Port("tls", ssl_port, make.tcp, is_tls=True),
        _Port("websocket-tls", _address(config.wss_address), make.websocket, is_tls=True),
        _Port("engine-io-tls", _address(config.tls_address), make.engine_io, is_tls=True),
    ]


def _address(text: str) -> Address | None:
    return parse_address(text) if text else None


def _session_id() -> str:
    """Return 20 characters that nobody can guess."""
    return secrets.token_urlsafe(15)


def _tls(
    parent: OrderedService, daemon: DaemonService, config: ClientsConfig, reactor: Reactor
) -> Callable[[IProtocolFactory], IProtocolFactory]:
    """Return a function that puts TLS below a factory; without TLS it returns it unchanged."""
    if not config.has_tls:
        return lambda factory: factory
    certificate = CertificateService(config)
    parent.add("certificate", certificate)
    daemon.hangup.add("the certificate for clients is read again", certificate.files.load)

    def on_tls(factory: IProtocolFactory) -> IProtocolFactory:
        return TLSFactory(certificate.files, False, factory, reactor)

    return on_tls

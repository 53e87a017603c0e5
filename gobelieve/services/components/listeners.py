"""The ports through which clients come: TCP, WebSocket and engine.io, each plain and on TLS."""

import os
import secrets
from collections.abc import Callable

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

MakeFactory = Callable[[str], IProtocolFactory]
"""Makes a factory for clients who come by what is named so."""


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
    gateway: Gateway,
    config: ClientsConfig,
    reactor: Reactor,
    turn: Turn,
) -> None:
    """Add the services through which clients come; they end before what they need.

    The certificate is read again when the daemon is sent SIGHUP.
    """
    timeouts = TimerService(1, safe_sweep(gateway.clients.timeouts))
    timeouts.clock = reactor
    parent.add("watch", timeouts)
    parent.add("sessions", GracefulShutdown(gateway, reactor, config.drain_seconds))
    memory = MemoryWatch(config.memory_bytes, reactor, gateway.counters)
    if config.memory_bytes:
        parent.add("memory", memory)
    tls = _tls(parent, daemon, config, reactor)
    settings = WebSocketSettings(
        config.ws_allowed_origins,
        config.ws_ping_interval,
        ping_timeout=config.write_timeout,
        open_timeout=config.auth_timeout,
    )
    registry = gateway.clients.registry

    def tcp(transport_name: str) -> IProtocolFactory:
        return ClientFactory(turn, registry, transport_name)

    def websocket(transport_name: str) -> IProtocolFactory:
        return WebSocketFactory(turn, registry, reactor, settings, transport_name)

    def engine_io(transport_name: str) -> IProtocolFactory:
        return EngineFactory(turn, registry, reactor, settings, transport_name, _session_id)

    def listen(name: str, where: Address | None, make: MakeFactory, on_tls: bool = False) -> None:
        if where is not None:
            factory = tls(make(name)) if on_tls else make(name)
            parent.add(name, Listening(where, LoadShedder(factory, memory.is_low)))

    listen("tcp", Address(config.host, config.port), tcp)
    listen("websocket", _address(config.ws_address), websocket)
    listen("engine-io", _address(config.socket_io_address), engine_io)
    ssl_port = Address(config.host, config.ssl_port) if config.ssl_port else None
    listen("tls", ssl_port, tcp, on_tls=True)
    listen("websocket-tls", _address(config.wss_address), websocket, on_tls=True)
    listen("engine-io-tls", _address(config.tls_address), engine_io, on_tls=True)


def _address(text: str) -> Address | None:
    return parse_address(text) if text else None


def _session_id() -> str:
    """20 characters that nobody can guess."""
    return secrets.token_urlsafe(15)


def _tls(
    parent: OrderedService, daemon: DaemonService, config: ClientsConfig, reactor: Reactor
) -> Callable[[IProtocolFactory], IProtocolFactory]:
    """What puts TLS below a factory."""
    if not config.has_tls:
        return lambda factory: factory
    certificate = CertificateService(config)
    parent.add("certificate", certificate)
    daemon.hangup.add("the certificate for clients is read again", certificate.files.load)

    def on_tls(factory: IProtocolFactory) -> IProtocolFactory:
        return TLSFactory(certificate.files, False, factory, reactor)

    return on_tls

"""The ports through which clients come: TCP, WebSocket and engine.io, each plain and on TLS."""

import os
import secrets
from collections.abc import Callable
from typing import Any

from twisted.application.internet import TimerService
from twisted.application.service import Service
from twisted.internet.interfaces import IProtocolFactory

from gobelieve.config import Address, ClientsConfig, parse_address
from gobelieve.errors import ConfigError
from gobelieve.interfaces import Turn
from gobelieve.protocols.client_listener import ClientFactory
from gobelieve.protocols.engine_io import EngineFactory
from gobelieve.protocols.tls import TLSFactory, TLSFiles
from gobelieve.protocols.websocket import WebSocketFactory, WebSocketTerms
from gobelieve.services.daemon import DaemonService
from gobelieve.services.gateway import Farewell, Gateway, sweeping
from gobelieve.services.listening import Listening
from gobelieve.services.ordered import OrderedService
from gobelieve.services.starting import cannot_start


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
    reactor: Any,
    turn: Turn,
) -> None:
    """Add the services through which clients come; they end before what they need.

    The certificate is read again when the daemon is sent SIGHUP.
    """
    watch = TimerService(1, sweeping(gateway.watch))
    watch.clock = reactor
    parent.add("watch", watch)
    parent.add("sessions", Farewell(gateway, reactor))
    tls = _tls(parent, daemon, config, reactor)
    terms = WebSocketTerms(
        config.ws_allowed_origins,
        config.ws_ping_interval,
        ping_timeout=config.write_timeout,
        open_timeout=config.auth_timeout,
    )
    reception = gateway.reception

    def listen(name: str, address: str, factory: IProtocolFactory) -> None:
        if address:
            parent.add(name, Listening(parse_address(address), factory))

    tcp = ClientFactory(turn, reception)
    websocket = WebSocketFactory(turn, reception, reactor, terms)
    engine_io = EngineFactory(turn, reception, reactor, terms, lambda: secrets.token_urlsafe(15))
    parent.add("tcp", Listening(Address(config.host, config.port), tcp))
    listen("websocket", config.ws_address, websocket)
    listen("engine-io", config.socket_io_address, engine_io)
    if config.ssl_port:
        parent.add("tls", Listening(Address(config.host, config.ssl_port), tls(tcp)))
    listen("websocket-tls", config.wss_address, tls(websocket))
    listen("engine-io-tls", config.tls_address, tls(engine_io))


def _tls(
    parent: OrderedService, daemon: DaemonService, config: ClientsConfig, reactor: Any
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

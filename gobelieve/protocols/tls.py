"""TLS from files that may be replaced while the daemon runs: certificate, key and authorities.

A connection keeps the certificates with which it began. A new connection gets those that were read
last. Files that cannot be used raise `ConfigError`, and the ones that were read before stay in use.
"""

from typing import Any, NamedTuple

from OpenSSL import SSL, crypto
from service_identity import VerificationError
from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from gobelieve.errors import ConfigError

_BEGIN = b"-----BEGIN CERTIFICATE-----"


class _Loaded(NamedTuple):
    """The contents of the files, as they were read last."""

    options: dict[str, Any]
    server: SSL.Context


@implementer(IOpenSSLServerConnectionCreator)
class TLSFiles:
    """The certificate of a daemon, and the authorities that it trusts.

    - `cert_file`: PEM; the daemon's own certificate, then those between it and the authority.
    - `key_file`: PEM, not encrypted.
    - `ca_file`: PEM; if it is set, a peer that connects must have a certificate signed by one of
      these authorities.

    Nothing is read before `load`.
    """

    def __init__(self, cert_file: str, key_file: str, ca_file: str = "") -> None:
        self._cert_file = cert_file
        self._key_file = key_file
        self._ca_file = ca_file
        self._loaded: _Loaded | None = None

    def load(self) -> None:
        """Read the files; `ConfigError` if they cannot be used."""
        own, *between = _certificates(self._cert_file)
        options: dict[str, Any] = {
            "privateKey": _key(self._key_file),
            "certificate": own,
            "extraCertChain": between,
        }
        if self._ca_file:
            trusted = [Certificate(one) for one in _certificates(self._ca_file)]
            options["trustRoot"] = trustRootFromCertificates(trusted)
        try:
            context = CertificateOptions(**options).getContext()
            context.check_privatekey()
        except SSL.Error as why:
            pair = f"{self._cert_file} and {self._key_file}"
            raise ConfigError(f"{pair} do not go together: {_words(why)}") from None
        self._loaded = _Loaded(options, context)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Return the TLS connection of a server; called by Twisted."""
        return SSL.Connection(self._now().server, None)

    def client_options(self, host: str) -> IOpenSSLClientConnectionCreator:
        """Return the TLS options of a new connection to this host."""
        options = dict(self._now().options)
        trust = options.pop("trustRoot", None)
        made: IOpenSSLClientConnectionCreator = optionsForClientTLS(
            host, trustRoot=trust, extraCertificateOptions=options
        )
        return made

    def _now(self) -> _Loaded:
        assert self._loaded is not None, "load() comes first"
        return self._loaded


class TLSConnection(TLSMemoryBIOProtocol):
    """TLS that ends like a plain connection.

    Twisted's own class waits for two things: that its producer is unregistered, and that the peer
    sends its close_notify. Our producers only watch how fast the peer reads, and a paused
    connection does not read the close_notify. It is enough to send our own (RFC 8446, 6.1).
    """

    def loseConnection(self) -> None:
        """Send what waits, then end the connection."""
        self.unregisterProducer()
        super().loseConnection()
        below: Any = self.transport
        below.loseConnection()


class TLSFactory(TLSMemoryBIOFactory):
    """Runs TLS below the protocols of a factory.

    Twisted's own class collects small writes until the next turn. Our writes are collected already.
    """

    protocol = TLSConnection
    noisy = False


@implementer(IStreamClientEndpoint)
class TLSEndpoint:
    """Runs TLS on the connections of another endpoint, with the files that were read last.

    `host` is the name or IP address that the certificate of the peer must contain.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, files: TLSFiles, host: str, clock: IReactorTime
    ) -> None:
        self._endpoint = endpoint
        self._files = files
        self._host = host
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect by TCP. If TLS succeeds, the protocol's `handshakeCompleted` is called later."""
        # A host that is no valid name fails this attempt. It is no error of the caller.
        creating: Deferred[Any] = execute(self._files.client_options, self._host)
        return creating.addCallback(self._connect, protocolFactory)

    def _connect(
        self, creator: IOpenSSLClientConnectionCreator, protocolFactory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        factory = TLSFactory(creator, True, protocolFactory, self._clock)
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallback(lambda tls: tls.wrappedProtocol)


def tls_trouble(reason: Failure) -> str | None:
    """Return a sentence on why TLS ended a connection, or None if TLS was not the reason."""
    if isinstance(reason.value, VerificationError):
        return "its certificate is for another name or address"
    if isinstance(reason.value, SSL.Error):
        return f"TLS with it failed: {_words(reason.value) or 'it ended within the handshake'}"
    return None


def _words(why: SSL.Error) -> str:
    """Return the messages of the library. It has none if the peer only ended the connection."""
    errors = why.args[0] if why.args and isinstance(why.args[0], list) else []
    return ", ".join(error[-1] for error in errors)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as why:
        raise ConfigError(f"{path}: {why.strerror}") from None


def _certificates(path: str) -> list[crypto.X509]:
    try:
        parts = [_BEGIN + part for part in _read(path).split(_BEGIN)[1:]]
        found = [crypto.load_certificate(crypto.FILETYPE_PEM, part) for part in parts]
    except crypto.Error:
        raise ConfigError(f"{path} has a certificate that cannot be read") from None
    if not found:
        raise ConfigError(f"{path} has no certificate (PEM)")
    return found


def _key(path: str) -> crypto.PKey:
    data = _read(path)
    try:
        # Without a passphrase the library would ask for one on the terminal.
        return crypto.load_privatekey(crypto.FILETYPE_PEM, data, passphrase=b"")
    except (crypto.Error, ValueError, TypeError):
        raise ConfigError(f"{path} has no key that can be read (PEM, not encrypted)") from None

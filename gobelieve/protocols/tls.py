"""TLS from files that may be replaced while we run: certificate, key, and whom to trust.

Connections that are there keep what they began with, new ones get what was read last. Files that
cannot be used are a `ConfigError`; what was read before then stays.
"""

from typing import Any, NamedTuple

from OpenSSL import SSL, crypto
from service_identity import VerificationError
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
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
    """What the files had."""

    options: dict[str, Any]
    server: SSL.Context


@implementer(IOpenSSLServerConnectionCreator)
class TLSFiles:
    """What a daemon shows of itself, and whom it trusts.

    `cert_file`: PEM, the daemon's own certificate first, then those between it and the authority.
    `key_file`: PEM, not encrypted. `ca_file`: PEM; with it an end that calls must have a
    certificate signed by one of these authorities. Nothing is read before `load`.
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
        context = CertificateOptions(**options).getContext()
        try:
            context.check_privatekey()
        except SSL.Error:
            raise ConfigError(f"{self._key_file} is not the key of {self._cert_file}") from None
        self._loaded = _Loaded(options, context)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """For who listens."""
        return SSL.Connection(self._now().server, None)

    def calling(self, host: str) -> "Calling":
        """For who connects to this name or IP address, which the certificate there must have."""
        return Calling(self, host)

    def client_options(self, host: str) -> IOpenSSLClientConnectionCreator:
        """What a connection to this host needs now."""
        options = dict(self._now().options)
        trust = options.pop("trustRoot", None)
        made: IOpenSSLClientConnectionCreator = optionsForClientTLS(
            host, trustRoot=trust, extraCertificateOptions=options
        )
        return made

    def _now(self) -> _Loaded:
        assert self._loaded is not None, "load() comes first"
        return self._loaded


@implementer(IOpenSSLClientConnectionCreator)
class Calling:
    """Connections to one host, each with what was read last."""

    def __init__(self, files: TLSFiles, host: str) -> None:
        self._files = files
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """For who connects."""
        return self._files.client_options(self._host).clientConnectionForTLS(tlsProtocol)


class TLSFactory(TLSMemoryBIOFactory):
    """Runs TLS below the protocols of a factory.

    Twisted's own gathers small writes until the next turn; ours are gathered already.
    """

    protocol = TLSMemoryBIOProtocol
    noisy = False


def tls_trouble(reason: Failure) -> str | None:
    """Why a connection ended, in words, if TLS was why."""
    if isinstance(reason.value, VerificationError):
        return "its certificate is for another name or address"
    if isinstance(reason.value, SSL.Error):
        (errors,) = reason.value.args or ((),)
        said = ", ".join(error[-1] for error in errors) or "it ended within the handshake"
        return f"TLS with it failed: {said}"
    return None


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

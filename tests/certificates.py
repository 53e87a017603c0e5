"""Certificates for tests: an authority, and the certificates that it signs."""

import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


class Files(NamedTuple):
    """The names of PEM files."""

    cert_file: str
    key_file: str
    ca_file: str


class Authority:
    """Signs certificates, which are in `folder`. Another authority may sign its own certificate."""

    def __init__(self, folder: Path, name: str = "ca", signed_by: "Authority | None" = None):
        self.folder = folder
        self._above = signed_by
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        above = signed_by or self
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = (
            _begin(self._name, above._name, self._key.public_key())
            .add_extension(constraints, critical=True)
            .sign(above._key, SHA256())
        )
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str = "daemon", host: str = "127.0.0.1", days: int = 30) -> Files:
        """Return a certificate for a host, with those between it and the root.

        `days`: it is valid until then; a negative number is in the past.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        try:
            names: x509.GeneralName = x509.IPAddress(ip_address(host))
        except ValueError:
            names = x509.DNSName(host)
        certificate = (
            _begin(subject, self._name, key.public_key(), days)
            .add_extension(x509.SubjectAlternativeName([names]), critical=False)
            .sign(self._key, SHA256())
        )
        chain, above = certificate.public_bytes(Encoding.PEM), self
        while above._above is not None:
            chain += above.certificate.public_bytes(Encoding.PEM)
            above = above._above
        cert_file, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert_file.write_bytes(chain)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key_file.write_bytes(pem)
        return Files(str(cert_file), str(key_file), str(above.path))


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int = 30
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
    )

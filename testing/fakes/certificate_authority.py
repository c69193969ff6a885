"""A throwaway certificate authority, for TLS on this machine."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=7)
# Clients whose clock is slightly behind must accept the certificate too.
_BEFORE = dt.timedelta(minutes=5)
NAMES = ("localhost", "*.localhost")
_ADDRESSES = ("127.0.0.1", "::1")


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode("ascii"))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


class CertificateAuthority:
    """A certificate authority, and the certificate that it issued to one server on this machine.

    The authority's private key is discarded once it has signed both.

    Args:
        names: the DNS names and IP addresses of the server, in addition to its loopback addresses. An IPv6 address may
            be in brackets.

    Attributes:
        certificate: the authority's certificate, in PEM, which clients have to trust.
        server_certificate: the server's certificate, in PEM.
        server_key: the server's private key, in PEM. A secret.
    """

    def __init__(self, names: Sequence[str] = NAMES) -> None:
        """Generate the keys and certificates."""
        key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Cloud Run on this machine")])
        # RFC 5280, section 4.2.1, requires key identifiers in both certificates, and Python's ssl module checks them.
        own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        own = (
            _builder(name, name, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(own_id, critical=False)
        )
        hosts = x509.SubjectAlternativeName(dict.fromkeys(map(_general_name, (*names, *_ADDRESSES))))
        servers = (
            _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), name, server_key)
            .add_extension(hosts, critical=False)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_id), critical=False)
        )
        pem = serialization.Encoding.PEM
        self.certificate = own.sign(key, hashes.SHA256()).public_bytes(pem)
        self.server_certificate = servers.sign(key, hashes.SHA256()).public_bytes(pem)
        self.server_key = _pem(server_key)

    def write(self, folder: Path) -> tuple[Path, Path, Path]:
        """Write the certificates and the server key into a folder, readable only by the owner.

        Returns:
            The paths of ca.crt, server.crt and server.key.
        """
        files = folder / "ca.crt", folder / "server.crt", folder / "server.key"
        for file, content in zip(files, (self.certificate, self.server_certificate, self.server_key), strict=True):
            file.touch(0o600)
            file.write_bytes(content)
        return files

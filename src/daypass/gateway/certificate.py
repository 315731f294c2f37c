"""The certificate clients see: yours, or one that Daypass makes itself and keeps in its state."""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daypass.domain.errors import Invalid

_VALID_FOR = timedelta(days=825)
_RENEWED_BEFORE = timedelta(days=30)
_CERTIFICATE = "gateway.crt"
_KEY = "gateway.key"


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What TLS toward clients takes; `der` is the certificate, `file` where it is kept."""

    context: ssl.SSLContext
    der: bytes
    file: Path


def given_certificate(certificate: Path, key: Path) -> ServerTls:
    """Load a certificate of yours, with its chain. Raises `Invalid` when it cannot be used."""
    try:
        return _loaded(certificate, key)
    except (OSError, ValueError) as error:
        # The text of an error of OpenSSL's names no secret.
        raise Invalid(
            f"the gateway's certificate {certificate} and key {key} cannot be used: {error}",
            next_step="name a PEM file of each, or none for one that Daypass makes itself",
            code="gateway_certificate",
        ) from error


def own_certificate(folder: Path, names: Sequence[str], *, moment: datetime) -> ServerTls:
    """Return the certificate kept in a folder, made anew when it lacks a name or ends soon.

    Several processes may do so at once: they end up with the same.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = _alternatives(names)
    with (folder / "gateway.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _good(folder, wanted, moment):
            _make(folder, wanted, moment)
    return _loaded(folder / _CERTIFICATE, folder / _KEY)


def usual_names(*more: str) -> tuple[str, ...]:
    """Return names under which clients may reach this machine, and some more."""
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname(), socket.getfqdn()]
    return tuple(dict.fromkeys(each for each in (*more, *names) if each))


def _loaded(certificate: Path, key: Path) -> ServerTls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.load_cert_chain(certificate, key)
    first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    return ServerTls(context, first.public_bytes(serialization.Encoding.DER), certificate)


def _alternatives(names: Sequence[str]) -> tuple[x509.DNSName | x509.IPAddress, ...]:
    found: list[x509.DNSName | x509.IPAddress] = []
    for name in dict.fromkeys(names):
        address: IPv4Address | IPv6Address | None
        try:
            address = ip_address(name)
        except ValueError:
            address = None
        if address is not None:
            found.append(x509.IPAddress(address))
        elif name.isascii() and len(name) < 254:
            found.append(x509.DNSName(name))
    return tuple(found)


def _good(folder: Path, wanted: Sequence[x509.DNSName | x509.IPAddress], moment: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate((folder / _CERTIFICATE).read_bytes())
        key = serialization.load_pem_private_key((folder / _KEY).read_bytes(), None)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    return (
        key.public_key() == certificate.public_key()
        and certificate.not_valid_after_utc > moment + _RENEWED_BEFORE
        and all(each in names for each in wanted)
    )


def _make(folder: Path, wanted: Sequence[x509.DNSName | x509.IPAddress], moment: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Daypass gateway")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks differ.
        .not_valid_before(moment.astimezone(UTC) - timedelta(hours=1))
        .not_valid_after(moment.astimezone(UTC) + _VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(wanted), critical=False)
        # Clients are given it as their root; it can vouch for nothing but itself.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(
        folder / _KEY,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    _write(folder / _CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))


def _write(file: Path, data: bytes) -> None:
    """Write a file only its owner reads, whole or not at all."""
    draft = file.with_suffix(file.suffix + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)

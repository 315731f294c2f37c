"""TLS toward a target: an instance's mode and options mean what they mean to libpq."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from daypass.domain.errors import Unavailable
from daypass.engines.contract import TargetAddress

_VERSIONS: Final = {
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_UNDERSTOOD: Final = frozenset(
    {
        "connect_timeout", "hostaddr", "sslcert", "sslcrl", "sslkey", "sslpassword", "sslrootcert",
        "ssl_max_protocol_version", "ssl_min_protocol_version", "sslsni",
    }
)  # fmt: skip
_INDIFFERENT: Final = frozenset(
    {
        "gssencmode", "gssdelegation", "keepalives", "keepalives_count", "keepalives_idle",
        "keepalives_interval", "load_balance_hosts", "sslcompression", "sslnegotiation",
        "target_session_attrs", "tcp_user_timeout",
    }
)  # fmt: skip
_FINE_VALUES: Final = {
    "channel_binding": frozenset({"prefer", "disable"}),
    "require_auth": frozenset({"scram-sha-256"}),
}


def check_options(options: Mapping[str, str]) -> None:
    """Raise `Unavailable` for an option that may promise something which is not kept here."""
    for name, value in options.items():
        if name in _UNDERSTOOD or name in _INDIFFERENT:
            continue
        if value not in _FINE_VALUES.get(name, frozenset()):
            raise Unavailable(
                f"the gateway does not know the instance's option {name}",
                next_step="daypass instance change takes it away",
                code="target_option",
            )


def target_tls(address: TargetAddress) -> tuple[str, ssl.SSLContext | None]:
    """Return how TLS is asked for (`required`, `offered`, `none`) and what it takes.

    Raises `Unavailable` when a file it needs cannot be read.
    """
    mode, options = address.tls_mode, address.options
    if mode == "disable" or address.host.startswith("/"):
        return "none", None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["postgresql"])
    context.check_hostname = False
    root = options.get("sslrootcert", "")
    # libpq: `require` with a root at hand is `verify-ca`.
    verified = mode in ("verify-ca", "verify-full") or (mode == "require" and bool(root))
    try:
        context.minimum_version = _VERSIONS[options.get("ssl_min_protocol_version", "TLSv1.2")]
        if "ssl_max_protocol_version" in options:
            context.maximum_version = _VERSIONS[options["ssl_max_protocol_version"]]
        if verified:
            context.check_hostname = mode == "verify-full" or root == "system"
            _load_root(context, root)
        else:
            context.verify_mode = ssl.CERT_NONE
        if verified and options.get("sslcrl"):
            context.load_verify_locations(options["sslcrl"])
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        if options.get("sslcert"):
            context.load_cert_chain(
                options["sslcert"], options.get("sslkey"), options.get("sslpassword")
            )
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable(
            f"TLS to the target cannot be set up: {error}",
            next_step="see to the instance's TLS options",
            code="target_tls",
        ) from error
    return ("required" if mode in ("require", "verify-ca", "verify-full") else "offered"), context


def server_name(address: TargetAddress) -> str | None:
    """Return the name the target's certificate is for, and is asked for by; None asks for none."""
    if address.options.get("sslsni") == "0" and address.tls_mode != "verify-full":
        return None
    try:
        ip_address(address.host)
    except ValueError:
        return address.host
    return address.host if address.tls_mode == "verify-full" else None


def _load_root(context: ssl.SSLContext, root: str) -> None:
    if root == "system":
        context.load_default_certs()
        return
    context.load_verify_locations(root or str(Path.home() / ".postgresql" / "root.crt"))

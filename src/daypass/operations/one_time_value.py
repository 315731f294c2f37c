"""Random values that prove who presents them; the store keeps their digests only."""

from __future__ import annotations

import hashlib
import secrets

from daypass.domain.secret import Secret

_BYTES = 32


def one_time_value() -> Secret:
    """Return 256 random bits as 43 characters that are safe in addresses and cookies."""
    return Secret(secrets.token_urlsafe(_BYTES))


def digest_of(value: Secret) -> bytes:
    """Return what is kept of a value; at 256 random bits a plain digest cannot be reversed."""
    return hashlib.sha256(value.reveal().encode("utf-8", "surrogatepass")).digest()

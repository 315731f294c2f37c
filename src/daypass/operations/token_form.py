"""The form of access tokens, `dpt_<id>_<43 characters>`, and the verifiers that are kept of them.

SCRAM-SHA-256 keys are those of RFC 5802 section 3 and RFC 7677 with the whole token as password, so
that clients of a database can prove they hold it without sending it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from daypass.domain.ids import TokenId
from daypass.domain.secret import Secret

SCRAM_ITERATIONS = 4096
SCRAM_SALT_BYTES = 16

_FORM = re.compile(r"dpt_([1-9][0-9]{0,17})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a SCRAM server keeps: neither lets anybody sign in."""

    stored_key: bytes
    server_key: bytes


def new_token(token_id: TokenId) -> Secret:
    """Return a fresh token of 256 random bits that carries its id."""
    return Secret(f"dpt_{token_id}_{secrets.token_urlsafe(32)}")


def token_id_of(token: Secret) -> TokenId | None:
    """Return the id a token carries, or None for what has not the form of one."""
    match = _FORM.fullmatch(token.reveal())
    return TokenId(int(match[1])) if match else None


def scram_keys(password: Secret, salt: bytes, iterations: int) -> ScramKeys:
    """Derive the keys; takes milliseconds of processor time, so call it in a thread.

    A token is ASCII, for which SASLprep changes nothing.
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.reveal().encode("ascii"), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramKeys(
        stored_key=hashlib.sha256(client_key).digest(),
        server_key=hmac.digest(salted, b"Server Key", "sha256"),
    )

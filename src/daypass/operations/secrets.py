"""Secret references: `env:NAME`, `file:/path`, or `sealed:…` under Daypass's own key."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daypass.domain.errors import Invalid
from daypass.domain.secret import Secret

_KEY_BYTES = 32
_NONCE_BYTES = 12


class SecretStore:
    """Seal secrets for the store and resolve references to them."""

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise Invalid(f"the secret key must be {_KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)
        self._derivation = hmac.digest(key, b"daypass derivation", "sha256")

    @staticmethod
    def new_key() -> bytes:
        """Return a fresh random key."""
        return secrets.token_bytes(_KEY_BYTES)

    def derive(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for one purpose, the same in every process with this key."""
        return hmac.digest(self._derivation, purpose.encode(), "sha256")

    def seal(self, secret: Secret, purpose: str) -> str:
        """Return a `sealed:` reference that only opens for the same purpose."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.reveal().encode(), purpose.encode())
        return "sealed:" + base64.urlsafe_b64encode(nonce + sealed).decode()

    def resolve(self, reference: str, purpose: str) -> Secret:
        """Return the secret a reference stands for. Raises `Invalid` when it stands for none."""
        scheme, _, rest = reference.partition(":")
        match scheme:
            case "env":
                value = os.environ.get(rest)
                if not value:
                    raise Invalid(
                        f"the environment has no variable {rest!r}", code="secret_missing"
                    )
                return Secret(value)
            case "file":
                try:
                    return Secret(Path(rest).read_text(encoding="utf-8").rstrip("\n"))
                except OSError as error:
                    raise Invalid(
                        f"the secret file {rest} cannot be read: {error.strerror}",
                        code="secret_missing",
                    ) from error
            case "sealed":
                raw = base64.urlsafe_b64decode(rest)
                try:
                    clear = self._cipher.decrypt(
                        raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode()
                    )
                except InvalidTag as error:
                    raise Invalid(
                        "a stored secret does not open with this Daypass's key",
                        next_step="start Daypass with the secret key it was sealed with",
                        code="secret_key_wrong",
                    ) from error
                return Secret(clear.decode())
            case _:
                raise Invalid(
                    f"{scheme!r} is no kind of secret reference",
                    next_step="write env:NAME or file:/path",
                    code="secret_reference",
                )

"""The keys that sign the log: given by reference, or made at the first start of an own store."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from daypass.audit.note import ED25519, NoteError, SignerKey
from daypass.domain.errors import Invalid
from daypass.domain.secret import Secret
from daypass.operations.secrets import SecretStore

_SEED_BYTES = 32
KEY_FILE = "log.key"


def new_log_key(name: str, kind: int = ED25519) -> SignerKey:
    """Return a fresh key. Raises `Invalid` for a name that keys of notes cannot have."""
    try:
        return SignerKey(name, secrets.token_bytes(_SEED_BYTES), kind)
    except NoteError as error:
        raise Invalid(str(error), code="log_key_name") from error


def read_log_key(text: Secret) -> SignerKey:
    """Read a key. Raises `Invalid`, which never says the key."""
    try:
        key = SignerKey.parse(text.reveal())
    except NoteError as error:
        raise Invalid(
            f"the log's key is not one: {error}",
            next_step="make one: daypass audit new-key NAME FILE",
            code="log_key_wrong",
        ) from error
    if key.kind != ED25519:
        raise Invalid("the log's key is one of a witness", code="log_key_wrong")
    return key


def log_keys(
    references: tuple[str, ...], store: SecretStore, own_folder: Path | None
) -> tuple[SignerKey, ...]:
    """Return the keys that sign, the log's own first.

    Without any, one is made in the folder of an own store, at its first start. On a store of yours
    `own_folder` is None: several machines sign one log, and which key that is has to be said.
    Raises `Invalid` where that is missing, and where names differ.
    """
    if not references:
        if own_folder is None:
            raise Invalid(
                "no key of the audit log is set, and on a store of yours Daypass makes none",
                next_step="daypass audit new-key NAME FILE, then set log.key = 'file:FILE'",
                code="log_key_missing",
            )
        return (_kept(own_folder / KEY_FILE),)
    keys = tuple(read_log_key(store.resolve(each, "log.key")) for each in references)
    if len({key.name for key in keys}) != 1:
        raise Invalid(
            "the keys of the log have different names, and a log has one",
            next_step="make the new key with the name of the one before",
            code="log_key_name",
        )
    return keys


def _kept(file: Path) -> SignerKey:
    if not file.exists():
        write_key(file, new_log_key(f"daypass.invalid/{secrets.token_hex(8)}"))
    return read_log_key(Secret(file.read_text(encoding="utf-8")))


def write_key(file: Path, key: SignerKey) -> None:
    """Write a key for its owner alone, whole or not at all; one that is there is never replaced.

    Raises `FileExistsError`.
    """
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(key.text() + "\n")
            stream.flush()
            os.fsync(handle)
        os.link(draft, file)
    finally:
        draft.unlink()

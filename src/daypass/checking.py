"""Check a published log from outside: what `daypass audit` does, and what a witness does.

Nothing here asks a running Daypass whether it is honest: all it needs are the log's parts, from a
folder or by whatever fetches them, and the log's public key from somebody who is trusted.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from daypass.audit.checkpoint import (
    Checkpoint,
    cosign,
    cosigned_at,
    open_checkpoint,
    parse_proof,
    verify_proof,
)
from daypass.audit.entry import Json
from daypass.audit.leaf import LeafError, detached_paths, open_leaf, read_leaf
from daypass.audit.note import COSIGNATURE, NoteError, SignerKey, VerifierKey, parse_note
from daypass.audit.tiles import CHECKPOINT_PATH
from daypass.audit.verify import Fetch, LogBroken, Verified, consistent_with, verify_log
from daypass.domain.errors import Conflict, Invalid
from daypass.operations.log_keys import new_log_key, write_key
from daypass.store.log_folder import LogFolder

SEEN = "checkpoint"
REFUSED = "refused"


class ProofFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A proof as it is handed around: the API's answer, kept in a file."""

    entry: int
    index: int
    leaf: str
    proof: str
    seal_keys: list[str | None]


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry that a proof shows to be in a log, with what the proof's keys open of it."""

    checkpoint: Checkpoint
    index: int
    entry: Mapping[str, Json]
    closed: int
    """So many seals stay closed."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a witness saw: the log grew from one size to the other, and it has signed that."""

    before: int
    size: int
    note: str


def folder_of(root: Path) -> Fetch:
    """Return what reads the parts of a log in a folder."""
    return LogFolder(root).read


def read_keys(texts: Sequence[str]) -> list[VerifierKey]:
    """Read public keys. Raises `Invalid`."""
    try:
        return [VerifierKey.parse(each) for each in texts]
    except NoteError as error:
        raise Invalid(f"this is no public key of a log: {error}", code="log_key_wrong") from error


def check_log(
    fetch: Fetch,
    keys: Sequence[VerifierKey],
    *,
    since: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verified:
    """Verify a whole log, and that it grew out of an older checkpoint. Raises `LogBroken`."""
    origin = keys[0].name
    found = verify_log(fetch, keys, origin, progress=progress)
    if since is not None:
        check_growth(fetch, keys, since, found.checkpoint)
    return found


def check_growth(
    fetch: Fetch, keys: Sequence[VerifierKey], since: str, now: Checkpoint
) -> tuple[Checkpoint, tuple[bytes, ...]]:
    """Return an older checkpoint, and the proof that the log grew out of it.

    Raises `LogBroken`, also where nobody who is trusted signed the older one.
    """
    try:
        old = open_checkpoint(parse_note(since), keys, keys[0].name)
    except NoteError as error:
        raise LogBroken(f"the older checkpoint is none of this log: {error}") from error
    return old, consistent_with(fetch, old, now)


def check_proof(data: bytes, keys: Sequence[VerifierKey], beside: Fetch | None = None) -> Proven:
    """Check a proof file. Raises `LogBroken` when it proves nothing."""
    try:
        file = msgspec.json.decode(data, type=ProofFile)
        leaf = file.leaf.encode()
        checkpoint = verify_proof(parse_proof(file.proof), leaf, keys, keys[0].name)
        shown = read_leaf(leaf)
        opened = [None if each is None else base64.b64decode(each) for each in file.seal_keys]
        paths = detached_paths(shown)
        texts = [text for path in paths if beside and (text := beside(path)) is not None]
        if len(texts) < len(paths):
            # The text is elsewhere; what was proven stays proven.
            seals = shown["sealed"] if isinstance(shown["sealed"], list) else []
            opened = [
                None if "text_hash" in str(seal) else key
                for seal, key in zip(seals, opened, strict=True)
            ]
        entry = open_leaf(shown, opened, texts)
    except (NoteError, LeafError, ValueError, msgspec.DecodeError) as error:
        raise LogBroken(f"this proves nothing: {error}") from error
    return Proven(checkpoint, parse_proof(file.proof).index, entry, opened.count(None))


def make_key(name: str, file: Path, *, witness: bool) -> VerifierKey:
    """Make a key in a file of its own and return its public half. Raises `Invalid`."""
    key = new_log_key(name, COSIGNATURE) if witness else new_log_key(name)
    try:
        write_key(file, key)
    except FileExistsError as error:
        raise Invalid(f"{file} is there already, and no key is replaced") from error
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}") from error
    return key.verifier


def read_witness_key(file: Path) -> SignerKey:
    """Read a witness's key. Raises `Invalid`."""
    try:
        key = SignerKey.parse(file.read_text(encoding="utf-8"))
    except (OSError, NoteError) as error:
        raise Invalid(f"{file} holds no key of a witness: {error}") from error
    if key.kind != COSIGNATURE:
        raise Invalid(f"{file} holds a key of a log, and a witness needs one of its own")
    return key


def witness_once(
    fetch: Fetch, keys: Sequence[VerifierKey], key: SignerKey, state: Path
) -> Witnessed:
    """Look at a log once: sign that it only grew since the last look.

    What was signed is in the state's folder before it is shown. Raises `LogBroken` where history
    was rewritten; the checkpoint that shows it is kept beside as evidence, and nothing is signed.
    """
    data = fetch(CHECKPOINT_PATH)
    if data is None:
        raise LogBroken("there is no checkpoint", path=CHECKPOINT_PATH)
    seen = state / SEEN
    before = 0
    try:
        note = parse_note(data)
        now = open_checkpoint(note, keys, keys[0].name)
        if seen.exists():
            last = parse_note(seen.read_bytes())
            # A state somebody put there would have the witness forget.
            cosigned_at(last, key.verifier)
            old = open_checkpoint(last, keys, keys[0].name)
            before = old.size
            consistent_with(fetch, old, now)
        else:
            # The first look has nothing to compare with: it reads everything.
            found = verify_log(
                lambda path: data if path == CHECKPOINT_PATH else fetch(path), keys, keys[0].name
            )
            now = found.checkpoint
    except NoteError as error:
        raise LogBroken(str(error), path=CHECKPOINT_PATH) from error
    except LogBroken:
        _keep(state / REFUSED, data)
        raise
    signed = str(cosign(note, key, int(time.time())))
    _keep(seen, signed.encode())
    return Witnessed(before, now.size, signed)


def _keep(file: Path, data: bytes) -> None:
    """Write a file so that it is on disk, whole, when this returns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    with draft.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        raise Conflict(f"{file} is not safely on disk: {error.strerror}") from error
    finally:
        os.close(folder)

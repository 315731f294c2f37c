"""Checkpoints, cosignatures, proofs: C2SP `tlog-checkpoint`, `tlog-cosignature`, `tlog-proof`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from daypass.audit.note import (
    COSIGNATURE,
    Note,
    NoteError,
    Signature,
    SignerKey,
    VerifierKey,
    from_base64,
    parse_note,
    require_signed,
    sign_note,
)
from daypass.audit.tree import HASH_BYTES, includes, leaf_hash

_PROOF = "c2sp.org/tlog-proof@v1"
_TIMESTAMP = Struct(">Q")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: who it is, how many leaves it has, and the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof that a leaf is in a log; anybody who has the log's public key can check it."""

    index: int
    path: tuple[bytes, ...]
    note: Note
    extra: bytes | None = None

    def __str__(self) -> str:
        lines = [_PROOF]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(each).decode() for each in self.path]
        return "\n".join(lines) + f"\n\n{self.note}"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint; what a log adds in further lines is left aside.

    Raises `NoteError`.
    """
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines) or not text.endswith("\n"):
        raise NoteError("a checkpoint has three lines: origin, size, root")
    root = from_base64(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError("a root has 32 bytes")
    return Checkpoint(lines[0], _number(lines[1]), root)


def sign_checkpoint(checkpoint: Checkpoint, keys: Sequence[SignerKey]) -> Note:
    """Sign a checkpoint. A log signs none that does not agree with all it signed before."""
    return sign_note(checkpoint.text(), keys)


def open_checkpoint(note: Note, keys: Sequence[VerifierKey], origin: str) -> Checkpoint:
    """Return what a checkpoint says, once it is known who signed it. Raises `NoteError`."""
    require_signed(note, keys)
    found = parse_checkpoint(note.text)
    if found.origin != origin:
        raise NoteError(f"this is a checkpoint of {found.origin}, not of {origin}")
    return found


def cosign(note: Note, key: SignerKey, at_s: int) -> Note:
    """Add a witness's cosignature; one by the same key is replaced."""
    verifier = key.verifier
    data = _TIMESTAMP.pack(at_s) + key.sign(_cosigned(note.text, at_s))
    kept = tuple(each for each in note.signatures if not each.is_by(verifier))
    return Note(note.text, (*kept, Signature(key.name, verifier.id, data)))


def cosigned_at(note: Note, key: VerifierKey) -> int:
    """Return when a witness cosigned, in seconds since 1970. Raises `NoteError` if it has not."""
    if key.kind != COSIGNATURE:
        raise NoteError(f"the key of {key.name} is not for cosignatures")
    for signature in note.signatures:
        if signature.is_by(key) and len(signature.data) == 72:
            (at_s,) = _TIMESTAMP.unpack_from(signature.data)
            if at_s < 2**63 and key.verifies(_cosigned(note.text, at_s), signature.data[8:]):
                return int(at_s)
            raise NoteError(f"the cosignature of {key.name} is not of this checkpoint")
    raise NoteError(f"{key.name} has not cosigned")


def parse_proof(text: str) -> Proof:
    """Read a proof; nothing is verified. Raises `NoteError`."""
    head, blank, rest = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or lines[0] != _PROOF or len(lines) < 2:
        raise NoteError(f"a proof begins with {_PROOF}")
    extra = None
    if lines[1].startswith("extra "):
        extra = from_base64(lines.pop(1).removeprefix("extra "))
    if len(lines) < 2 or not lines[1].startswith("index "):
        raise NoteError("a proof says which index it is of")
    path = tuple(from_base64(line) for line in lines[2:])
    if len(path) > 63 or any(len(each) != HASH_BYTES for each in path):
        raise NoteError("a proof has 63 hashes of 32 bytes at most")
    return Proof(_number(lines[1].removeprefix("index ")), path, parse_note(rest), extra)


def verify_proof(proof: Proof, leaf: bytes, keys: Sequence[VerifierKey], origin: str) -> Checkpoint:
    """Return the checkpoint that a proof shows a leaf to be in. Raises `NoteError`."""
    checkpoint = open_checkpoint(proof.note, keys, origin)
    if not includes(leaf_hash(leaf), proof.index, checkpoint.size, proof.path, checkpoint.root):
        raise NoteError(
            f"the log of {checkpoint.size} entries does not have this one at {proof.index}"
        )
    return checkpoint


def _cosigned(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or (text != "0" and text[0] == "0"):
        raise NoteError(f"{text!r} is no number as it is written here")
    number = int(text)
    if number >= 2**63:
        raise NoteError(f"{text} is too large a number")
    return number

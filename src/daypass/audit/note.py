"""Signed notes: C2SP `signed-note`, with Ed25519 keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE = 0x04
_PRIVATE = "PRIVATE+KEY+"
_MAX_SIGNATURES = 64


class NoteError(ValueError):
    """A note or a key is not as the format wants it, or not signed as it has to be."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name: `name+id+base64(type ‖ key)` as text."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """Return the four bytes that signatures name the key by."""
        given = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(given).digest()[:4]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read a key from its text. Raises `NoteError`."""
        name, kind, public, key_id = _parse_key(text.strip())
        key = cls(name, kind, public)
        if key.id.hex() != key_id:
            raise NoteError(f"the id of the key of {name} is not that of its name and bytes")
        return key

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Say whether a message was signed with this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private key with its name; `kind` is what it signs: notes, or cosignatures."""

    name: str
    seed: bytes = field(repr=False)
    kind: int = ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)

    @property
    def verifier(self) -> VerifierKey:
        """Return the public half."""
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return VerifierKey(self.name, self.kind, public.public_bytes_raw())

    def text(self) -> str:
        """Return the key as `PRIVATE+KEY+name+id+base64(type ‖ seed)`."""
        material = base64.b64encode(bytes([self.kind]) + self.seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> SignerKey:
        """Read a key from its text. Raises `NoteError`, which never says the key."""
        if not text.startswith(_PRIVATE):
            raise NoteError("this is no private key of a note")
        name, kind, seed, key_id = _parse_key(text.removeprefix(_PRIVATE).strip())
        key = cls(name, seed, kind)
        if key.verifier.id.hex() != key_id:
            raise NoteError(f"the id of the key of {name} is not that of its name and bytes")
        return key

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of a message."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: `data` is what follows the key's id."""

    name: str
    key_id: bytes
    data: bytes

    def is_by(self, key: VerifierKey) -> bool:
        """Say whether the line names the key; that alone proves nothing."""
        return self.name == key.name and self.key_id == key.id

    def __str__(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.data).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signatures, which are not verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(str(each) for each in self.signatures)}"


def parse_note(data: bytes | str) -> Note:
    """Read a note; nothing is verified. Raises `NoteError`."""
    try:
        whole = data.decode() if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise NoteError("a note is UTF-8") from error
    if any(each < " " and each != "\n" for each in whole):
        raise NoteError("a note holds no control characters")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise NoteError("a note is a text, an empty line, and signatures")
    given = lines.removesuffix("\n").split("\n")
    if len(given) > _MAX_SIGNATURES:
        raise NoteError(f"a note has {_MAX_SIGNATURES} signatures at most")
    return Note(text + "\n", tuple(_parse_signature(line) for line in given))


def sign_note(text: str, keys: Sequence[SignerKey]) -> Note:
    """Sign a text that ends in a newline."""
    if not text.endswith("\n"):
        raise NoteError("the text of a note ends in a newline")
    message = text.encode()
    return Note(
        text, tuple(Signature(key.name, key.verifier.id, key.sign(message)) for key in keys)
    )


def require_signed(note: Note, keys: Sequence[VerifierKey]) -> None:
    """Raise `NoteError` unless one of the keys signed, and none of their signatures is wrong."""
    signed = False
    message = note.text.encode()
    for signature in note.signatures:
        for key in keys:
            if not signature.is_by(key):
                continue
            if key.kind != ED25519 or not key.verifies(message, signature.data):
                raise NoteError(f"the signature of {key.name} is not of this text")
            signed = True
    if not signed:
        names = ", ".join(str(key) for key in keys)
        raise NoteError(f"nobody who is trusted has signed: none of {names}")


def _parse_signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—":
        raise NoteError("a signature is: an em dash, a name, base64")
    data = from_base64(parts[2])
    if len(data) < 5:
        raise NoteError("a signature has four bytes of a key's id, and more")
    _check_name(parts[1])
    return Signature(parts[1], data[:4], data[4:])


def _parse_key(text: str) -> tuple[str, int, bytes, str]:
    # The base64 may have a plus of its own; neither name nor id may.
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise NoteError("a key is: name+id+base64")
    material = from_base64(parts[2])
    if len(material) != 33 or material[0] not in (ED25519, COSIGNATURE):
        raise NoteError("only Ed25519 keys are known here")
    _check_name(parts[0])
    return parts[0], material[0], material[1:], parts[1]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(unicodedata.category(c)[0] in "ZC" for c in name):
        raise NoteError(f"{name!r} is no name of a key: it has a plus or a space, or is empty")


def from_base64(text: str) -> bytes:
    """Read base64 that is written as it would be here. Raises `NoteError`."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("this is no base64") from error
    if base64.b64encode(data).decode() != text:
        raise NoteError("this base64 has bits to spare")
    return data

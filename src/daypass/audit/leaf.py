"""Leaves: entries as they enter the tree, what is personal in them sealed (ADR 27).

A leaf is canonical JSON: the entry without its personal parts, its number, and up to two seals.

- One holds `address` and `application`. Its subject is whoever acted.
- The other holds the content but for the members in `CLEAR`. Its subject is the session or request
  the entry belongs to, or the person it is about.

A seal is AES-256-GCM under a key of its own, made of the subject's key and a salt. The salt comes
of the subject's key and the whole entry, so that the same entry under the same keys is always the
same leaf, and no key seals two texts. `key` is the SHA-256 of the seal's key: it binds the sealed
text, since GCM alone lets one text be opened in two ways. Whoever is shown a seal's key can open
this one and no other. Without the subject's key nobody can.

What this version of leaves says must never change: rows are checked by making their leaf again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daypass.audit.entry import Json, canonical_json
from daypass.audit.tiles import MAX_LEAF

LEAF_VERSION = 1
SUBJECT_KEY_BYTES = 32
CLEAR = frozenset(
    {
        *("journal", "sequence", "last_sequence", "statement", "classes", "read", "written"),
        *("functions", "fingerprints", "length", "outcome", "sqlstate", "command", "rows"),
        *("size_bytes", "duration_us", "code", "principal", "login", "token", "duration"),
        *("starts_at", "deadline", "due_at", "closed_at", "removed_at", "lag_ms"),
        *("break_glass", "direct_credentials", "verdict", "step", "terminated", "strict"),
    }
)
"""Members of contents that are nobody's personal data."""
NOBODY = "nobody"
"""The subject of entries that concern no person Daypass knows."""
_MOST_CLEAR = 1024
"""Longer members are sealed: a leaf has room for 65,535 bytes (C2SP)."""
_MOST_SEALED = 8192
"""Longer texts are kept beside the log, by their hash."""
_SALT_BYTES = 16
_NONCE = bytes(12)
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
Keys: TypeAlias = Mapping[str, bytes]
_Document: TypeAlias = dict[str, Json]


class LeafError(ValueError):
    """A leaf is not one, or cannot be opened with what was given."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf, and the sealed texts that are too long for it: kept beside the log."""

    data: bytes
    detached: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Subjects:
    """Whose keys an entry's two seals are under; None where there is nothing to seal."""

    person: str | None
    content: str | None


def detached_path(text: bytes) -> str:
    """Return where a sealed text is kept that is too long for its leaf: under its SHA-256."""
    digest = hashlib.sha256(text).hexdigest()
    return f"sealed/{digest[:2]}/{digest}"


def detached_paths(leaf: Mapping[str, Json]) -> list[str]:
    """Return where the sealed texts of a leaf are that are not in it."""
    hashes = [
        str(each["text_hash"])
        for each in map(_mapping, _list(leaf["sealed"]))
        if "text_hash" in each
    ]
    return [f"sealed/{each[:2]}/{each}" for each in hashes]


def read_entry(canonical_text: str | bytes) -> _Document:
    """Read an entry's canonical JSON. Raises `LeafError`."""
    try:
        document = orjson.loads(canonical_text)
    except orjson.JSONDecodeError as error:
        raise LeafError("the entry is no JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("content"), dict):
        raise LeafError("the entry is no entry")
    return document


def subjects_of(document: Mapping[str, Json]) -> Subjects:
    """Return whose keys are needed to make an entry's leaf."""
    content = document["content"]
    actor = document["actor"]
    if not isinstance(content, dict):
        raise LeafError("the entry is no entry")
    about = content.get("principal")
    if not isinstance(about, int):
        about = None
    person = None
    if document["address"] or document["application"]:
        known = about if actor is None else actor
        person = NOBODY if known is None else f"principal:{known}"
    of_content = None
    if (
        not CLEAR.issuperset(content)
        or not _is_short(document["rule"])
        or any(not _is_short(each) for each in content.values())
    ):
        for name, number in (
            ("principal", about),
            ("session", document["session"]),
            ("request", document["request"]),
            ("grant", document["grant"]),
            ("principal", actor),
        ):
            if number is not None:
                of_content = f"{name}:{number}"
                break
        else:
            of_content = NOBODY
    return Subjects(person, of_content)


def make_leaf(
    number: int,
    canonical_text: bytes,
    document: _Document,
    keys: Keys,
    subjects: Subjects | None = None,
) -> Leaf:
    """Return the leaf of entry `number`; `document` is its canonical text, read.

    `keys` has those of `subjects`, what `subjects_of` returns. The same entry and keys always give
    the same leaf.
    """
    if subjects is None:
        subjects = subjects_of(document)
    content = _mapping(document["content"])
    # No part of a short text is long.
    is_small = len(canonical_text) <= _MOST_CLEAR
    leaf = dict(document)
    seals: list[Json] = []
    detached: tuple[bytes, ...] = ()
    for name in ("address", "application"):
        del leaf[name]
    if subjects.person is not None:
        personal = {name: document[name] for name in ("address", "application")}
        seal, beside = _seal(keys, subjects.person, number, canonical_text, personal)
        seals.append(seal)
        detached += beside
    if subjects.content is not None:
        clear = {
            name: each
            for name, each in content.items()
            if name in CLEAR and (is_small or _is_short(each))
        }
        hidden: _Document = {n: each for n, each in content.items() if n not in clear}
        leaf["content"] = clear
        personal = {"content": hidden}
        if not is_small and not _is_short(document["rule"]):
            personal["rule"] = document["rule"]
            leaf["rule"] = None
        seal, beside = _seal(keys, subjects.content, number, canonical_text, personal)
        seals.append(seal)
        detached += beside
    leaf["entry"] = number
    leaf["leaf"] = LEAF_VERSION
    leaf["sealed"] = seals
    data = _canonical(leaf)
    if len(data) > MAX_LEAF:
        raise LeafError(f"the leaf of entry {number} would have {len(data)} bytes")
    return Leaf(data, detached)


def read_leaf(data: bytes) -> _Document:
    """Read a leaf and check that it is one, in canonical form. Raises `LeafError`."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise LeafError("is no JSON") from error
    if not isinstance(document, dict) or document.get("leaf") != LEAF_VERSION:
        raise LeafError("is no leaf of a version this release knows")
    if not isinstance(document.get("entry"), int) or not isinstance(document.get("content"), dict):
        raise LeafError("lacks its number or its content")
    if _canonical(document) != data:
        raise LeafError("is not in canonical form")
    return document


def seal_keys(leaf: Mapping[str, Json], keys: Keys) -> list[bytes | None]:
    """Return the key of each of a leaf's seals, to show to somebody; None without the subject's."""
    found: list[bytes | None] = []
    for seal in map(_mapping, _list(leaf["sealed"])):
        subject_key = keys.get(str(seal["subject"]))
        salt = base64.b64decode(str(seal["salt"]))
        found.append(None if subject_key is None else _seal_key(subject_key, salt))
    return found


def open_leaf(
    leaf: Mapping[str, Json], opened: list[bytes | None], detached: Sequence[bytes] = ()
) -> _Document:
    """Return the entry of a leaf, with what those keys of its seals open.

    Seals without a key stay closed, and their members away. Raises `LeafError` for a wrong key.
    """
    entry = {name: each for name, each in leaf.items() if name not in ("entry", "leaf", "sealed")}
    entry |= {"address": "", "application": ""}
    beside = {hashlib.sha256(each).hexdigest(): each for each in detached}
    for seal, key in zip(map(_mapping, _list(leaf["sealed"])), opened, strict=True):
        if key is None:
            continue
        if hashlib.sha256(key).digest() != base64.b64decode(str(seal["key"])):
            raise LeafError("the key is not the one the seal was made with")
        if "text" in seal:
            text = base64.b64decode(str(seal["text"]))
        elif seal["text_hash"] in beside:
            text = beside[str(seal["text_hash"])]
        else:
            raise LeafError("the sealed text beside the log is missing, or another one")
        try:
            clear = AESGCM(key).decrypt(_NONCE, text, str(seal["subject"]).encode())
        except InvalidTag as error:
            raise LeafError("the sealed text does not open") from error
        for name, each in orjson.loads(clear).items():
            entry[name] = {**_mapping(entry["content"]), **each} if name == "content" else each
    return entry


def _seal(
    keys: Keys, subject: str, number: int, entry: bytes, personal: Mapping[str, Json]
) -> tuple[_Document, tuple[bytes, ...]]:
    subject_key = keys[subject]
    made_of = f"{number} {'content' if 'content' in personal else 'person'} ".encode() + entry
    salt = hmac.digest(subject_key, b"salt " + made_of, "sha256")[:_SALT_BYTES]
    key = _seal_key(subject_key, salt)
    text = AESGCM(key).encrypt(_NONCE, _canonical(personal), subject.encode())
    seal: _Document = {
        "key": base64.b64encode(hashlib.sha256(key).digest()).decode(),
        "salt": base64.b64encode(salt).decode(),
        "subject": subject,
    }
    if len(text) > _MOST_SEALED:
        seal["text_hash"] = hashlib.sha256(text).hexdigest()
        return seal, (text,)
    seal["text"] = base64.b64encode(text).decode()
    return seal, ()


def _seal_key(subject_key: bytes, salt: bytes) -> bytes:
    return hmac.digest(subject_key, b"seal " + salt, "sha256")


def _is_short(value: Json) -> bool:
    if value is None or isinstance(value, int):
        return True
    if isinstance(value, str) and len(value) <= _MOST_CLEAR // 8:
        return True
    return len(orjson.dumps(value)) <= _MOST_CLEAR


def _canonical(document: Mapping[str, Json]) -> bytes:
    text = orjson.dumps(document, option=_OPTIONS)
    # Beyond ASCII the order of names by UTF-8 may be another than that by UTF-16.
    return text if text.isascii() else canonical_json(document)


def _mapping(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise LeafError("lacks an object where one has to be")
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise LeafError("lacks a list where one has to be")
    return value

"""The journal's format: segments of records, each bound to its journal and its place by a key.

A segment begins with a header: `DPJRNL01`, the length of its body (u32), a keyed hash of both (16
bytes), the body as JSON. Records follow without gaps up to the first zero byte where one should
begin; what is reserved beyond is zero. A record is

    mark (4)  crc32 of the next three (u32)  length (u32)  sequence (u64)  synced (u64)  hash (16)

and its body: an entry as canonical JSON, which ends in `}` and never in zero. All numbers are
little-endian. `synced` is the last record known to be on disk when this one was written. The hash
is BLAKE2b under a key derived from the secret key, over the journal's id, these three numbers and
the body: a record that was changed, moved, or comes from another journal does not verify, and
nobody without the key makes one that does. The CRC is for the header alone: it tells a length that
was damaged from a record that was cut off.
"""

from __future__ import annotations

import hashlib
import uuid
import zlib
from dataclasses import dataclass, field
from struct import Struct
from typing import BinaryIO

import msgspec

from daypass.domain.errors import Unavailable
from daypass.domain.ids import DatabaseId, GrantId, PrincipalId, SessionId

MAGIC = b"DPJRNL01"
MARK = b"\xd1\x9a\x0d\xa1"
VERSION = 1
MAX_RECORD = 256 * 2**20
_HASH_BYTES = 16
_PREAMBLE = Struct(f"<8sI{_HASH_BYTES}s")
_RECORD = Struct(f"<4sIIQQ{_HASH_BYTES}s")
_NUMBERS = Struct("<IQQ")
_crc32 = zlib.crc32
RECORD_HEADER = _RECORD.size


class Corrupt(Unavailable):
    """A journal is not as it was written; `offset` is where in which file."""

    code = "journal_corrupt"

    def __init__(self, file: str, offset: int, what: str) -> None:
        super().__init__(
            f"{file}, byte {offset}: {what}",
            next_step="nothing was skipped or removed: keep the folder, find out who or what "
            "changed it (docs/operations.md, “The journal”)",
        )
        self.file = file
        self.offset = offset
        self.what = what


class OpenStatement(msgspec.Struct, frozen=True, array_like=True):
    """A statement that was started and has no end yet: what its end has to say of it."""

    reference: str
    actor: PrincipalId | None
    database: DatabaseId | None
    grant: GrantId | None
    session: SessionId | None


class SegmentHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header's body: `open` are the statements that were running when the segment began."""

    version: int
    journal: uuid.UUID
    first: int
    boot: str
    synced: int
    open: tuple[OpenStatement, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a journal: its text is canonical JSON."""

    sequence: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A record header that was read: the body lies from `start` to `end`."""

    sequence: int
    synced: int
    start: int
    end: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """The key of one journal's records."""

    journal: uuid.UUID
    _key: bytes = field(repr=False)
    _begun: hashlib.blake2b = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        begun = hashlib.blake2b(self.journal.bytes, digest_size=_HASH_BYTES, key=self._key)
        object.__setattr__(self, "_begun", begun)

    def record(self, sequence: int, synced: int, body: bytes) -> bytes:
        """Return a record as it is written."""
        size = len(body)
        numbers = _NUMBERS.pack(size, sequence, synced)
        seal = self._begun.copy()
        seal.update(numbers + body)
        head = _RECORD.pack(MARK, _crc32(numbers), size, sequence, synced, seal.digest())
        return head + body

    def verifies(self, place: Place, body: bytes | memoryview) -> bool:
        """Say whether a record's body is the one that was written at its place."""
        numbers = _NUMBERS.pack(len(body), place.sequence, place.synced)
        return self._hash(numbers, body) == place.hash

    def head(self, head: SegmentHead) -> bytes:
        """Return a segment's header as it is written."""
        body = msgspec.json.encode(head)
        return _PREAMBLE.pack(MAGIC, len(body), self._hash(MAGIC, body)) + body

    def _hash(self, first: bytes, body: bytes | memoryview) -> bytes:
        seal = self._begun.copy()
        seal.update(first)
        seal.update(body)
        return seal.digest()


def read_head(data: bytes, seal: Seal, file: str) -> tuple[SegmentHead, int]:
    """Read a segment's header; return it and where records begin. Raises `Corrupt`."""
    if len(data) < _PREAMBLE.size:
        raise Corrupt(file, 0, "the header of the segment is missing")
    magic, length, _ = _PREAMBLE.unpack_from(data)
    end = _PREAMBLE.size + length
    if magic != MAGIC:
        raise Corrupt(file, 0, "this is no segment of a journal")
    try:
        head = msgspec.json.decode(data[_PREAMBLE.size : end], type=SegmentHead)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(file, _PREAMBLE.size, "the header of the segment was changed") from error
    if head.version != VERSION:
        raise Corrupt(file, 0, f"format {head.version} is not known to this release")
    if seal.head(head) != data[:end]:
        raise Corrupt(
            file, 0, "the header of the segment was changed, or written under another secret key"
        )
    return head, end


def read_first(file: BinaryIO, seal: Seal, name: str) -> tuple[SegmentHead, int]:
    """Read a segment's header from its file, at its beginning; as `read_head`."""
    data = file.read(_PREAMBLE.size)
    if len(data) == _PREAMBLE.size:
        data += file.read(_PREAMBLE.unpack(data)[1])
    return read_head(data, seal, name)


def read_place(data: bytes, offset: int) -> Place | None:
    """Read a record's header; None when it is not whole or not one."""
    if len(data) < offset + RECORD_HEADER:
        return None
    mark, crc, length, sequence, synced, seal = _RECORD.unpack_from(data, offset)
    if mark != MARK or crc != zlib.crc32(_NUMBERS.pack(length, sequence, synced)):
        return None
    if not 0 < length <= MAX_RECORD:
        return None
    start = offset + RECORD_HEADER
    return Place(sequence, synced, start, start + length, seal)

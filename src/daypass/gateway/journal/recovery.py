"""Read a journal that a process left: verify every record, and find where its tail was cut off.

While the machine ran on, everything a process wrote is there: only the very last record may be cut
off, and is then followed by nothing. When the machine itself stopped, what was not yet on disk may
be missing in any order: the tail ends where the first record fails, unless a record that says this
one was on disk proves that something else happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from daypass.audit.entry import EntryKind
from daypass.domain.ids import DatabaseId, GrantId, PrincipalId, SessionId
from daypass.gateway.journal.files import Segment, segment_paths
from daypass.gateway.journal.format import (
    MARK,
    RECORD_HEADER,
    Corrupt,
    OpenStatement,
    Place,
    Seal,
    SegmentHead,
    read_head,
    read_place,
)


class _Content(msgspec.Struct, frozen=True):
    statement: str | int | None = None


class _Written(msgspec.Struct, frozen=True):
    """What recovery reads of an entry."""

    kind: str
    actor: PrincipalId | None
    database: DatabaseId | None
    grant: GrantId | None
    session: SessionId | None
    content: _Content


_ENTRIES = msgspec.json.Decoder(_Written)


@dataclass(slots=True)
class Found:
    """A journal as it was left; `cut_bytes` of its last segment are no record and have to go."""

    segments: list[Segment] = field(default_factory=list)
    open: dict[str, OpenStatement] = field(default_factory=dict)
    last: int = 0
    synced: int = 0
    cut_bytes: int = 0


def read_journal(folder: Path, seal: Seal, boot: str) -> Found:
    """Read all of a journal; nothing is changed. Raises `Corrupt` with file and offset."""
    found = Found()
    paths = segment_paths(folder)
    for number, (first, path) in enumerate(paths):
        name = f"{folder.name}/{path.name}"
        if found.segments and first != found.last + 1:
            raise Corrupt(
                name, 0, f"a segment is missing: records {found.last + 1} to {first - 1} are gone"
            )
        data = path.read_bytes()
        head, start = read_head(data, seal, name)
        if head.first != first or head.journal != seal.journal:
            raise Corrupt(name, 0, "the segment has been renamed or comes from another journal")
        if not found.segments:
            found.open = {each.reference: each for each in head.open}
            found.last = first - 1
        found.synced = max(found.synced, head.synced)
        segment = Segment(path, first, len(data), start, start, first - 1)
        found.segments.append(segment)
        for place, body in _records(data, segment, seal):
            _note(found, place, body)
        _check_tail(found, data, segment, head, seal, _Tail(name, boot, number == len(paths) - 1))
    return found


@dataclass(frozen=True, slots=True)
class _Tail:
    name: str
    boot: str
    is_last: bool


def _records(data: bytes, segment: Segment, seal: Seal) -> Iterator[tuple[Place, bytes]]:
    """Yield records as long as they verify; the segment's end moves with them."""
    while True:
        place = read_place(data, segment.end)
        if place is None or place.sequence != segment.last + 1 or place.end > len(data):
            return
        body = data[place.start : place.end]
        if not seal.verifies(place, body):
            return
        segment.end, segment.last = place.end, place.sequence
        yield place, body


def _note(found: Found, place: Place, body: bytes) -> None:
    found.last = place.sequence
    found.synced = max(found.synced, place.synced)
    written = _ENTRIES.decode(body)
    reference = written.content.statement
    if not isinstance(reference, str):
        return
    if written.kind == EntryKind.STATEMENT_STARTED:
        found.open[reference] = OpenStatement(
            reference, written.actor, written.database, written.grant, written.session
        )
    elif written.kind == EntryKind.STATEMENT_ENDED:
        found.open.pop(reference, None)


def _check_tail(
    found: Found, data: bytes, segment: Segment, head: SegmentHead, seal: Seal, tail: _Tail
) -> None:
    """Look at what follows the last record that verifies; only a tail cut off may be there."""
    rest = data[segment.end :].rstrip(b"\0")
    if not rest:
        return
    wrong = f"record {segment.last + 1} is not as it was written"
    if not tail.is_last:
        # Each segment was on disk before the next one was begun.
        raise Corrupt(tail.name, segment.end, wrong)
    if tail.boot and head.boot == tail.boot:
        place = read_place(data, segment.end)
        if len(rest) >= RECORD_HEADER and (place is None or segment.end + len(rest) >= place.end):
            raise Corrupt(tail.name, segment.end, wrong)
    elif _said_synced(data, segment, seal) > segment.last:
        raise Corrupt(tail.name, segment.end, wrong)
    found.cut_bytes = len(rest)


def _said_synced(data: bytes, segment: Segment, seal: Seal) -> int:
    """Return the last record that any record after the tail's end says was on disk."""
    said = 0
    at = data.find(MARK, segment.end)
    while at != -1:
        place = read_place(data, at)
        if (
            place is not None
            and place.end <= len(data)
            and place.sequence > segment.last
            and seal.verifies(place, data[place.start : place.end])
        ):
            said = max(said, place.synced)
        at = data.find(MARK, at + 1)
    return said

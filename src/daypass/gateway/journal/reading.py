"""Read a journal's records in order while it is being written."""

from __future__ import annotations

from collections.abc import Sequence

from daypass.gateway.journal.files import Segment
from daypass.gateway.journal.format import RECORD_HEADER, Corrupt, Record, Seal, read_place

_CHUNK = 2**20


class Reader:
    """Remember where a record ended, so that the next one is found at once."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._after = -1
        self._offset = 0
        self._path = ""

    def read(
        self, segments: Sequence[Segment], after: int, upto: int, most: int, most_bytes: int
    ) -> list[Record]:
        """Return records after one, up to another; raises `Corrupt` for one that is not."""
        records: list[Record] = []
        size = 0
        for segment in segments:
            if segment.last <= after or segment.first > upto:
                continue
            with segment.path.open("rb", buffering=_CHUNK) as file:
                name = f"{segment.path.parent.name}/{segment.path.name}"
                known = self._after == after and self._path == str(segment.path)
                offset = self._offset if known else segment.start
                sequence = after if known else segment.first - 1
                file.seek(offset)
                last = min(segment.last, upto)
                while sequence < last:
                    if len(records) >= most or size >= most_bytes:
                        return records
                    head = file.read(RECORD_HEADER)
                    place = read_place(head, 0)
                    body = file.read(place.end - place.start) if place else b""
                    if (
                        place is None
                        or place.sequence != sequence + 1
                        or not self._seal.verifies(place, body)
                    ):
                        raise Corrupt(name, offset, f"record {sequence + 1} is not as written")
                    sequence += 1
                    offset += len(head) + len(body)
                    if sequence > after:
                        records.append(Record(sequence, body))
                        size += len(body)
                        after = sequence
                        self._after, self._offset, self._path = after, offset, str(segment.path)
        return records


def check_records(data: bytes, seal: Seal, segment: Segment) -> bool:
    """Say whether what lies between a segment's start and end is all its records, as written."""
    at, sequence = 0, segment.first - 1
    while at < len(data):
        place = read_place(data, at)
        if (
            place is None
            or place.sequence != sequence + 1
            or not seal.verifies(place, data[place.start : place.end])
        ):
            return False
        at, sequence = place.end, place.sequence
    return sequence == segment.last

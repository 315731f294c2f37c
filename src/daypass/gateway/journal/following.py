"""A journal as another process reads it, while it is written: nothing of it is changed here."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from daypass.gateway.journal.files import Segment, segment_paths
from daypass.gateway.journal.format import Corrupt, Record, Seal, read_first
from daypass.gateway.journal.reading import Reader


class FollowedJournal:
    """A journal that its own process writes, and tells how much of is on disk.

    `stored` is told how far the store has it: the writer removes what nobody needs any more.
    """

    def __init__(self, folder: Path, key: bytes, stored: Callable[[int], None]) -> None:
        self.id = uuid.UUID(folder.name)
        self.sequence = 0
        """The last record that is on disk, as it was told."""
        self._folder = folder
        self._seal = Seal(self.id, key)
        self._reader = Reader(self._seal)
        self._stored = stored
        self._starts: dict[str, tuple[int, int]] = {}
        self._reading = threading.Lock()

    def read(self, after: int, most: int = 2000, most_bytes: int = 4 * 2**20) -> list[Record]:
        """Return records after one that are on disk, in order; may be called from another thread.

        Raises `Corrupt` for one that is not as it was written.
        """
        with self._reading:
            upto = self.sequence
            if upto <= after:
                return []
            missing = ""
            while True:
                try:
                    segments = self._segments(upto)
                    return self._reader.read(segments, after, upto, most, most_bytes)
                except FileNotFoundError as error:
                    # Stored, and removed by its writer, since it was looked at.
                    name = str(error.filename)
                    if name == missing:
                        raise Corrupt(name, 0, "a segment that was not shipped is gone") from error
                    missing = name

    def acknowledge(self, sequence: int) -> None:
        """Tell the writer how far the store has it."""
        self._stored(sequence)

    def _segments(self, upto: int) -> list[Segment]:
        paths = segment_paths(self._folder)
        starts = {path.name: self._start(path) for _, path in paths}
        self._starts = starts
        segments = []
        for number, (first, path) in enumerate(paths):
            size, start = starts[path.name]
            last = paths[number + 1][0] - 1 if number + 1 < len(paths) else max(upto, first - 1)
            segments.append(Segment(path, first, size, start, start, last))
        return segments

    def _start(self, path: Path) -> tuple[int, int]:
        """Return a segment's size, and where its records begin."""
        known = self._starts.get(path.name)
        if known is None:
            name = f"{self._folder.name}/{path.name}"
            with path.open("rb") as file:
                head, start = read_first(file, self._seal, name)
            if segment_first(path) != head.first or head.journal != self.id:
                raise Corrupt(name, 0, "the segment has been renamed or comes from another journal")
            known = path.stat().st_size, start
        return known


def segment_first(path: Path) -> int:
    """Return the record a segment begins with, by its name."""
    return int(path.name.partition(".")[0])

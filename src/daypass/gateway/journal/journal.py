"""The journal: entries are written here before what they tell of is done.

A journal belongs to one process, and is written by one thread of it. Entries that nothing waits for
(ends of statements) are gathered, and written together with the next one that something does, or by
the thread that syncs, a millisecond later. It is in one of three states:

- *ready*;
- *full*: no more space could be reserved, on the disk or within `limit_bytes`. Nothing new is
  taken; what is reserved holds the ends of statements that run. `recover` ends it when there is
  space again;
- *broken*: writing or syncing failed. Nothing is taken. `recover` ends it if the disk works again.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from daypass.audit.entry import Entry, EntryKind, Json
from daypass.domain.errors import Unavailable
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.committing import GroupCommit
from daypass.gateway.journal.encoding import Frame, body_of, frame_of
from daypass.gateway.journal.files import (
    AHEAD,
    Segment,
    boot_id,
    clear_from,
    remove_folder,
    reserve,
    segment_path,
    sync_folder,
)
from daypass.gateway.journal.format import (
    MAX_RECORD,
    VERSION,
    Corrupt,
    OpenStatement,
    Record,
    Seal,
    SegmentHead,
)
from daypass.gateway.journal.limits import JournalLimits, no_space, shut
from daypass.gateway.journal.reading import Reader, check_records
from daypass.gateway.journal.recovery import Found, read_journal

Body = Callable[[bytes, int], bytes]
"""Returns an entry as canonical JSON, given its time, as JSON without quotes, and its number."""


class Journal:
    """One process's journal in a folder of its own, whose lock it was given and keeps."""

    def __init__(
        self, folder: Path, lock: int, key: bytes, clock: StoreClock, limits: JournalLimits
    ) -> None:
        """Read what is there, cut off a torn tail, and go on after it; in an empty folder, begin.

        The lock is let go of with the journal, and when there will be none.
        Raises `Corrupt` when what is there is not as it was written; nothing is changed then.
        Raises `Unavailable` when there is no space.
        """
        self.id = uuid.UUID(folder.name)
        self.folder = folder
        self.clock = clock
        self._id_text = str(self.id)
        self._lock_fd = lock
        self._limits = limits
        self._seal = Seal(self.id, key)
        self._reader = Reader(self._seal)
        self._reading = threading.Lock()
        self._boot = boot_id()
        self._full = ""
        self._broken = ""
        self._ready = True
        self._files = threading.Lock()
        self._ahead: tuple[int, int] | None = None
        self._retired: list[int] = []
        self._fd = -1
        self._sequence = 0
        self._writing = threading.Lock()
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._segments: list[Segment] = []
        self._open: dict[str, OpenStatement] = {}
        self._stored = -1
        self._behind_since: float | None = None
        self._late: list[tuple[str, Body]] = []
        try:
            self._resume(read_journal(folder, self._seal, self._boot))
        except OSError as error:
            self._let_go()
            raise no_space(error) from error
        except BaseException:
            self._let_go()
            raise
        self._commit = GroupCommit(
            folder.name[:8], self._sync, self._prepare_ahead, self._sync_failed
        )
        self._commit.reached(self._sequence)

    def _resume(self, found: Found) -> None:
        self._open, self._sequence, self._segments = found.open, found.last, found.segments
        (self.folder / AHEAD).unlink(missing_ok=True)
        if not self._segments:
            self._begin_segment(0)
            return
        # What the process wrote may still be in memory alone.
        for segment in self._segments:
            fd = os.open(segment.path, os.O_RDWR | os.O_NOFOLLOW)
            if segment is self._segments[-1]:
                self._fd = fd
                if found.cut_bytes:
                    clear_from(fd, segment.end, segment.size)
            os.fsync(fd)
            if segment is not self._segments[-1]:
                os.close(fd)
        sync_folder(self.folder)

    # What is written

    @property
    def sequence(self) -> int:
        """Return the number of the last record, 0 if there is none."""
        return self._sequence

    @property
    def synced_sequence(self) -> int:
        """Return the number of the last record that is on disk."""
        return self._commit.synced

    @property
    def open_statements(self) -> tuple[OpenStatement, ...]:
        """Return the statements that were started and have no end yet."""
        return tuple(self._open.values())

    @property
    def used_bytes(self) -> int:
        """Return how much space is reserved now."""
        with self._files:
            ahead = self._ahead[1] if self._ahead else 0
        return sum(segment.size for segment in tuple(self._segments)) + ahead

    @property
    def problem(self) -> str:
        """Return why nothing new is taken; empty if it is."""
        return self._broken or self._full

    @property
    def is_full(self) -> bool:
        """Say whether it is space alone that is wanting."""
        return bool(self._full) and not self._broken

    def require_ready(self) -> None:
        """Raise `Unavailable` unless new entries are taken."""
        if not self._ready:
            raise self._shut()

    def append(self, entry: Entry) -> int:
        """Write an entry and return its number: from here on it survives the process.

        Raises `Unavailable` when it cannot be written: what it tells of must not happen then.
        """
        return self.write(frame_of(entry), entry.content)

    def write(self, frame: Frame, content: Mapping[str, Json]) -> int:
        """Write an entry whose frame was made before; as `append`."""

        def body(at: bytes, sequence: int) -> bytes:
            whole = {**content, "journal": self._id_text, "sequence": sequence}
            return body_of(frame, at, whole)

        entry, reference = frame.entry, content.get("statement")
        if entry.kind is EntryKind.STATEMENT_ENDED:
            sequence = self.end(str(reference), body)
            with self._writing:
                self._write_gathered()
            return sequence
        started = None
        if isinstance(reference, str) and entry.kind is EntryKind.STATEMENT_STARTED:
            started = OpenStatement(
                reference, entry.actor_id, entry.database_id, entry.grant_id, entry.session_id
            )
        return self.start(started, body)

    def start(self, statement: OpenStatement | None, body: Body) -> int:
        """Write an entry, of the start of a statement or of none; as `append`."""
        if not self._ready:
            raise self._shut()
        sequence = self._put(body, new=True)
        if statement is not None:
            self._open[statement.reference] = statement
        return sequence

    def end(self, reference: str, body: Body) -> int:
        """Have the entry of a statement's end written soon, and return its number.

        A process that is killed within a few milliseconds may leave none: whoever recovers its
        journal writes one then. An end that cannot be written now is kept, and written after
        `recover`. Raises `Unavailable` then.
        """
        try:
            if not self._ready and self._broken:
                raise self._shut()
            sequence = self._put(body, new=False)
        except Unavailable:
            self._late.append((reference, body))
            raise
        self._open.pop(reference, None)
        return sequence

    async def synced(self, sequence: int) -> None:
        """Return once a record is on disk. Raises `Unavailable` when it does not get there."""
        if self._broken:
            raise self._shut()
        await self._commit.wait(sequence)

    def _put(self, body: Body, *, new: bool) -> int:
        """Take a record up as the next one; a `new` one is written before this returns."""
        with self._writing:
            sequence = self._sequence + 1
            at = self.clock.now_text()
            data = self._seal.record(sequence, self._commit.synced, body(at, sequence))
            size = len(data)
            segment = self._segments[-1]
            if (segment.end + self._gathered_bytes + size) * 4 > segment.size * 3:
                self._make_room(size, new=new)
            self._gathered.append(data)
            self._gathered_bytes += size
            self._sequence = sequence
            if new:
                try:
                    self._write_gathered()
                except Unavailable:
                    # What it tells of does not happen; those before it stay as they are.
                    self._gathered_bytes -= len(self._gathered.pop())
                    self._sequence -= 1
                    raise
        if self._behind_since is None:
            self._behind_since = time.monotonic()
        self._commit.wake()
        return sequence

    def _make_room(self, size: int, *, new: bool) -> None:
        if size > MAX_RECORD:
            raise Unavailable("the statement is too long for the journal", code="journal_record")
        segment = self._segments[-1]
        end = segment.end + self._gathered_bytes + size
        if new and self._ahead is None and end * 4 > segment.size * 3:
            # The last quarter without more behind it is for the ends of what runs by then.
            with self._files:
                self._reserve_held()
            if self._full:
                raise self._shut()
        if end > segment.size:
            self._write_gathered()
            self._next_segment(size)

    def _write_gathered(self) -> None:
        """Write what was gathered, in one piece; `_writing` is held."""
        gathered = self._gathered
        if not gathered:
            return
        if self._broken:
            raise self._shut()
        data = gathered[0] if len(gathered) == 1 else b"".join(gathered)
        segment = self._segments[-1]
        try:
            written = os.pwrite(self._fd, data, segment.end)
        except OSError as error:
            self._break(f"writing it failed: {error.strerror}")
            raise self._shut() from error
        if written != len(data):
            # What is there of it is overwritten by the next record, or cut off by recovery.
            self._break(f"{written} of {len(data)} bytes were written")
            raise self._shut()
        segment.end += written
        segment.last += len(gathered)
        self._gathered = []
        self._gathered_bytes = 0

    # Segments

    def _next_segment(self, needed: int) -> None:
        """Go on in the next segment; whatever is in this one is on disk before."""
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self._break(f"syncing it failed: {error.strerror}")
            raise self._shut() from error
        self._commit.reached(self._sequence)
        try:
            self._begin_segment(needed)
        except OSError as error:
            self._fill(f"no space for more could be reserved: {error.strerror}")
            raise self._shut() from error

    def _begin_segment(self, needed: int) -> None:
        first = self._sequence + 1
        head = self._seal.head(
            SegmentHead(VERSION, self.id, first, self._boot, self._sequence, self.open_statements)
        )
        segment_bytes = self._limits.segment_bytes
        with self._files:
            ahead, self._ahead = self._ahead, None
            if ahead is not None and ahead[1] < len(head) + max(needed, segment_bytes // 2):
                self._drop_ahead(ahead[0])
                ahead = None
            wanted = len(head) + max(needed, segment_bytes)
            fd, size = ahead or self._reserved(wanted, fill=first == 1)
            try:
                if os.pwrite(fd, head, 0) != len(head):
                    raise OSError(0, "the header was written in part")
                os.fsync(fd)
                path = segment_path(self.folder, first)
                (self.folder / AHEAD).rename(path)
                sync_folder(self.folder)
            except OSError:
                self._drop_ahead(fd)
                raise
            if self._fd != -1:
                # The thread may be at it at this moment: it closes it.
                self._retired.append(self._fd)
            self._fd = fd
            self._segments.append(Segment(path, first, size, len(head), len(head), first - 1))

    def _reserved(self, size: int, *, fill: bool) -> tuple[int, int]:
        """Reserve space for a segment; raises `OSError` beyond the limit too."""
        used = sum(segment.size for segment in tuple(self._segments))
        if used + size > self._limits.limit_bytes:
            raise OSError(0, f"{self._limits.limit_bytes} bytes wait to be shipped")
        return reserve(self.folder / AHEAD, size, fill=fill), size

    def _drop_ahead(self, fd: int) -> None:
        os.close(fd)
        (self.folder / AHEAD).unlink(missing_ok=True)

    def _prepare_ahead(self) -> None:
        """Reserve the next segment once half of this one is used."""
        with self._files:
            segment = self._segments[-1]
            if not self._full and segment.end * 2 > segment.size:
                self._reserve_held()

    def _reserve_held(self) -> None:
        """Reserve the next segment or be full, as one step: the thread and `recover` both do it."""
        try:
            if self._ahead is None:
                self._ahead = self._reserved(self._limits.segment_bytes, fill=True)
        except OSError as error:
            self._fill(f"no space for more could be reserved: {error.strerror}")

    # On disk

    def _sync(self) -> int:
        with self._writing:
            with suppress(Unavailable):
                self._write_gathered()
            with self._files:
                fd, sequence = self._fd, self._segments[-1].last
                retired, self._retired = self._retired, []
        for each in retired:
            os.close(each)
        if self._broken:
            return self._commit.synced
        os.fdatasync(fd)
        return sequence

    def _sync_failed(self, error: OSError) -> None:
        self._break(f"syncing it failed: {error.strerror}")

    # When it fails

    def _fill(self, why: str) -> None:
        self._full = why
        self._ready = False

    def _break(self, why: str) -> None:
        self._broken = why
        self._ready = False
        self._commit.fail_waiters(self._shut())

    def _shut(self) -> Unavailable:
        return shut("broken" if self._broken else "full", self.problem)

    def look_at_age(self) -> None:
        """Take nothing new once records have waited too long to be stored."""
        if self._ready and self._too_old():
            self._fill("what was written waits for longer than the settings allow to be shipped")

    def _too_old(self) -> bool:
        limit_s, since = self._limits.limit_age_s, self._behind_since
        return bool(limit_s) and since is not None and time.monotonic() - since > limit_s

    def recover(self) -> bool:
        """Try whether writing works again and space is there; say whether new entries are taken.

        What was not on disk yet is written once more: after an error of syncing nothing says what
        became of it.
        """
        if self._broken:
            with self._writing:
                try:
                    self._write_again()
                except OSError as error:
                    self._broken = f"it does not work yet: {error.strerror}"
                    return False
                self._broken = ""
        if self._full and self._too_old():
            return False
        with self._files:
            self._full = ""
            segment = self._segments[-1]
            if segment.end * 2 > segment.size:
                self._reserve_held()
            self._ready = not self._full
        late, self._late = self._late, []
        for number, (reference, body) in enumerate(late):
            try:
                self.end(reference, body)
            except Unavailable:
                self._late += late[number + 1 :]
                break
        self._commit.wake()
        return self._ready

    def _write_again(self) -> None:
        segment = self._segments[-1]
        fd = os.open(segment.path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            data = os.pread(fd, segment.end - segment.start, segment.start)
            # After an error a file system may have forgotten what it was given: that is not
            # written over.
            if not check_records(data, self._seal, segment):
                raise OSError(0, "what was written cannot be read any more")
            clear_from(fd, segment.end, segment.size)
            data += b"".join(self._gathered)
            if os.pwrite(fd, data, segment.start) != len(data):
                raise OSError(0, "it was written in part")
            os.fsync(fd)
        except OSError:
            os.close(fd)
            raise
        segment.end = segment.start + len(data)
        segment.last = self._sequence
        self._gathered, self._gathered_bytes = [], 0
        with self._files:
            self._retired.append(self._fd)
            self._fd = fd
        self._commit.reached(self._sequence)

    # What is shipped

    def read(self, after: int, most: int = 2000, most_bytes: int = 4 * 2**20) -> list[Record]:
        """Return records that are on disk, in order; may be called from another thread.

        Raises `Corrupt` for a record that is not as it was written.
        """
        with self._reading:
            while True:
                segments = tuple(self._segments)
                try:
                    return self._reader.read(segments, after, self._commit.synced, most, most_bytes)
                except FileNotFoundError as error:
                    if segments == tuple(self._segments):
                        name = str(error.filename)
                        raise Corrupt(name, 0, "a segment that was not shipped is gone") from error
                    # Shipped by somebody else and removed since it was looked at.

    def acknowledge(self, sequence: int) -> None:
        """Remove the segments whose records are all in the store; the last one stays."""
        if sequence > self._stored:
            self._stored = sequence
            # What else there is was written later than what has been stored just now.
            self._behind_since = None if sequence == self._sequence else time.monotonic()
        while len(self._segments) > 1 and self._segments[0].last <= sequence:
            self._segments.pop(0).path.unlink(missing_ok=True)

    # Its end

    def close(self) -> None:
        """Put everything on disk and let go of the folder."""
        self._commit.stop()
        self._let_go()

    def remove(self) -> None:
        """Close it and remove its folder: all of it is in the store."""
        self._commit.stop()
        remove_folder(self.folder)
        self._let_go()

    def _let_go(self) -> None:
        ahead = self._ahead[0] if self._ahead else -1
        for fd in (self._fd, ahead, *self._retired, self._lock_fd):
            with suppress(OSError):
                os.close(fd)

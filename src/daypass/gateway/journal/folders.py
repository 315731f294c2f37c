"""Where a machine's journals are: each process has a folder of its own, named by its journal."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Unavailable
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.files import remove_folder, segment_paths, take_lock
from daypass.gateway.journal.format import Corrupt
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.limits import JournalLimits

_TRIES = 5


class JournalFolders:
    """The journals below one folder, which is for its owner alone."""

    def __init__(
        self, root: Path, key: bytes, clock: StoreClock, limits: JournalLimits | None = None
    ) -> None:
        self.root = root
        self.key = key
        self.limits = limits or JournalLimits()
        self._clock = clock
        self._corrupt: set[str] = set()

    def begin(self) -> Journal:
        """Begin a journal in a new folder. Raises `Unavailable` when there is no space for it."""
        self._make_root()
        for _ in range(_TRIES):
            folder = self.root / str(uuid.uuid4())
            folder.mkdir(mode=0o700)
            # Somebody who looks for what was left behind may be quicker, and remove it.
            lock = take_lock(folder)
            if lock is not None:
                return Journal(folder, lock, self.key, self._clock, self.limits)
        raise Unavailable(f"no journal can be begun below {self.root}", code="journal_taken")

    def left_behind(self) -> Iterator[Journal | Unavailable]:
        """Take over the journals whose process is gone, one after the other.

        Each is recovered, and has an end for every statement that had none; the caller ships it and
        then removes it. What cannot be recovered is yielded as the error that says why; a corrupt
        one once, and again by the next process.
        """
        self._make_root()
        for folder in sorted(self.root.iterdir()):
            if folder.name in self._corrupt:
                continue
            if not _is_id(folder.name) or folder.is_symlink() or not folder.is_dir():
                continue
            lock = take_lock(folder)
            if lock is None:
                continue
            if not segment_paths(folder):
                # Its process was gone before it wrote anything.
                remove_folder(folder)
                os.close(lock)
                continue
            try:
                yield self._taken(folder, lock)
            except Corrupt as error:
                self._corrupt.add(folder.name)
                yield error
            except Unavailable as error:
                yield error

    def _taken(self, folder: Path, lock: int) -> Journal:
        journal = Journal(folder, lock, self.key, self._clock, self.limits)
        try:
            end_open(journal, "the gateway's process ended before the statement did")
        except Unavailable:
            journal.close()
            raise
        return journal

    def _make_root(self) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.root.stat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise Unavailable(
                f"others than its owner may get into {self.root}, where statements are recorded",
                next_step=f"chmod 700 {self.root}, and see that it is Daypass's own",
                code="journal_open_to_others",
            )


def end_open(journal: Journal, reason: str) -> int:
    """Write an end for every statement that has none, outcome `unknown`; return how many."""
    statements = journal.open_statements
    for each in statements:
        journal.append(
            Entry(
                EntryKind.STATEMENT_ENDED,
                actor_id=each.actor,
                database_id=each.database,
                grant_id=each.grant,
                session_id=each.session,
                content={"statement": each.reference, "outcome": "unknown", "reason": reason},
            )
        )
    return len(statements)


def _is_id(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False

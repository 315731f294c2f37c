"""Where the parts of the published log are, and who signs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from daypass.audit.note import VerifierKey


class LogParts(Protocol):
    """The parts of a log; each call may wait for a disk."""

    def read(self, path: str) -> bytes | None:
        """Return a part; None when it is not there. Raises `ValueError` for what is no path."""

    def write_parts(self, parts: dict[str, bytes]) -> None:
        """Write parts once. Raises `Conflict` where another one is there already."""

    def write_checkpoint(self, data: bytes) -> None:
        """Put a checkpoint in the place of the one before."""

    def drop_partials(self, path: str) -> None:
        """Remove the partial parts of one that is full now."""


@dataclass(frozen=True, slots=True)
class PublishedLog:
    """The log as everybody may read it; its name is that of its first key."""

    parts: LogParts
    keys: tuple[VerifierKey, ...]

    @property
    def origin(self) -> str:
        """Return what the log is called."""
        return self.keys[0].name

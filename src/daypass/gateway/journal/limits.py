"""How much a journal may hold, and what it says when it takes nothing more."""

from __future__ import annotations

from dataclasses import dataclass

from daypass.domain.errors import Unavailable

_SHUT = {
    "full": "restore the connection to the store, or free space; it goes on by itself then",
    "broken": "see to the disk; once it works again the gateway goes on after what was written",
}


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Sizes in bytes: of a segment, and of all that is reserved at a time.

    `limit_age_s` is how long a record may wait until it is in the store; 0 is no limit.
    """

    segment_bytes: int = 16 * 2**20
    limit_bytes: int = 1024 * 2**20
    limit_age_s: float = 86_400.0


def shut(state: str, problem: str) -> Unavailable:
    """Return why nothing is taken; the state is `full` or `broken`."""
    return Unavailable(
        f"the gateway's journal is {state}, and nothing is sent unrecorded: {problem}",
        next_step=_SHUT[state],
        code=f"journal_{state}",
    )


def no_space(error: OSError) -> Unavailable:
    """Return why no journal can be begun."""
    return Unavailable(
        f"the gateway's journal cannot be begun: {error.strerror}",
        next_step="free space on the disk of its state folder",
        code="journal_full",
    )

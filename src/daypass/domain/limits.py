"""What a session may do with its statements, and how they are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SPACE: Final = " \t\r\n\f"


class Parameters(StrEnum):
    """How bind parameters are recorded."""

    FULL = "full"
    HASH = "hash"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ExactStatement:
    """A text that approvers have read.

    `parameters` are the values that may be bound to it, as text (None is NULL); None leaves them
    free.
    """

    text: str
    parameters: tuple[str | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What the rule of a grant, and the grant itself, say of its sessions' statements.

    None is no bound. `strict`: a statement is on record on disk before it is sent. `statements` are
    the only ones that may be sent, of an exact-statement grant; of another it is empty.
    """

    statement_timeout_s: float | None = None
    rows: int | None = None
    size_bytes: int | None = None
    parameters: Parameters = Parameters.FULL
    strict: bool = False
    statements: tuple[ExactStatement, ...] = ()

    @property
    def exact(self) -> bool:
        """Say whether only the approved texts may be sent."""
        return bool(self.statements)


def bare(text: str) -> str:
    """Return a text without space around it and semicolons behind it, which clients add or take.

    They mean nothing where they stand outside a complete text; nothing else of it is ever ignored.
    """
    return text.lstrip(_SPACE).rstrip(_SPACE + ";")


def approved(
    text: str, parameters: Sequence[str | None], statements: Sequence[ExactStatement]
) -> bool:
    """Say whether an exact-statement grant allows a text with these values."""
    sent = bare(text)
    return any(
        bare(each.text) == sent and each.parameters in (None, tuple(parameters))
        for each in statements
    )

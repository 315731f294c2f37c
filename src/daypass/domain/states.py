"""States and their legal transitions; the store holds the same rows behind foreign keys."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class RequestState(StrEnum):
    """A request waits, then ends in exactly one way."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class GrantState(StrEnum):
    """`revoking` until a receipt proves it closed; a target that is down keeps it there."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    REVOKING = "revoking"
    REVOKED = "revoked"


class SessionState(StrEnum):
    """A session is known to the store before its account exists on the target."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class GrantEnd(StrEnum):
    """Why a grant ended."""

    DEADLINE = "deadline"
    RELEASED = "released"
    REVOKED = "revoked"
    PRINCIPAL_LEFT = "principal_left"
    DATABASE_REMOVED = "database_removed"
    OUT_OF_POLICY = "out_of_policy"


REQUEST_TRANSITIONS: Final = (
    ("new", "pending"),
    ("pending", "approved"),
    ("pending", "denied"),
    ("pending", "withdrawn"),
    ("pending", "expired"),
)
GRANT_TRANSITIONS: Final = (
    ("new", "scheduled"),
    ("new", "active"),
    ("scheduled", "active"),
    ("scheduled", "revoking"),
    ("active", "revoking"),
    ("revoking", "revoked"),
)
SESSION_TRANSITIONS: Final = (
    ("new", "opening"),
    ("opening", "open"),
    ("opening", "closing"),
    ("open", "closing"),
    ("closing", "closed"),
)

"""Ways around Daypass that a database has of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much an exposure gives away."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Exposure:
    """One way around: what it is, on which object, and the SQL that mends it.

    `code` is stable: `public_grant`, `definer_function`, `leaking_view`, `foreign_code`,
    `standing_login`, `standing_privilege`, `admin_rights`, `server_setting`. `key` names it for
    acceptance by an owner and survives restarts; `blocks` says that a grant is denied or a
    relation left out while it stands unaccepted.
    """

    code: str
    object_name: str
    text: str
    severity: Severity
    mend: str = ""
    blocks: bool = False

    @property
    def key(self) -> str:
        """Return the name an owner accepts it by."""
        return f"{self.code}:{self.object_name}"

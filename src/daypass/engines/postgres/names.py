"""Names of what Daypass makes on a PostgreSQL instance, and the marks that say whose it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from daypass.domain.ids import ScopeHash
from daypass.engines.postgres.quoting import MAX_NAME_BYTES

VIEWS_OWNER: Final = "dp_views"
SCHEMA: Final = "daypass"
SCOPE_PREFIX: Final = "dp_s_"
ACCOUNT_PREFIX: Final = "dp_g_"
VIEW_SCHEMA_PREFIX: Final = "dp_v_"

_SCOPE_ROLE = re.compile(r"dp_s_([0-9a-f]{16})")
_VIEW_SCHEMA = re.compile(r"dp_v_([0-9a-f]{16})_.+", re.DOTALL)
_ACCOUNT = re.compile(r"dp_g_[a-z0-9_]{1,58}")


def scope_role(scope_hash: ScopeHash) -> str:
    """Return the name of a scope's role."""
    return SCOPE_PREFIX + scope_hash


def scope_of_role(role: str) -> ScopeHash | None:
    """Return the scope whose role this is, going by its name."""
    match = _SCOPE_ROLE.fullmatch(role)
    return ScopeHash(match[1]) if match else None


def scope_of_schema(schema: str) -> ScopeHash | None:
    """Return the scope whose views this schema holds, going by its name."""
    match = _VIEW_SCHEMA.fullmatch(schema)
    return ScopeHash(match[1]) if match else None


def is_account(name: str) -> bool:
    """Say whether a name is one a session's account may have."""
    return _ACCOUNT.fullmatch(name) is not None


def view_schemas(scope_hash: ScopeHash, sources: Iterable[str]) -> dict[str, str]:
    """Return, for each source schema, the schema its views go to.

    The source's own name is part of it where that fits; a digest stands for it where not.
    """
    names: dict[str, str] = {}
    for source in sorted(set(sources)):
        name = f"{VIEW_SCHEMA_PREFIX}{scope_hash}_{source}"
        if len(name.encode()) > MAX_NAME_BYTES:
            digest = hashlib.sha256(source.encode()).hexdigest()[:16]
            # A source that is itself called like a digest would meet it only on purpose; the
            # longer prefix keeps even that apart.
            name = f"{VIEW_SCHEMA_PREFIX}{scope_hash}_x{digest}"
        if name in names.values():
            name = f"{VIEW_SCHEMA_PREFIX}{scope_hash}_y{len(names)}"
        names[source] = name
    return names

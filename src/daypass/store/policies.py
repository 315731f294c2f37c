"""Policy versions and the one in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncCursor
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from daypass.domain.ids import PolicyVersion, PrincipalId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One policy that was applied."""

    version: PolicyVersion
    files: dict[str, str]
    digest: str
    note: str
    rollback_of: int | None
    applied_by: str | None
    applied_at: datetime


_SELECT = """
    select v.version, v.files, v.digest, v.note, v.rollback_of, p.email as applied_by, v.applied_at
    from policy_version v left join principal p on p.id = v.applied_by
"""


async def head(tx: Tx) -> PolicyVersion | None:
    """Return the version in force and keep it in force until the transaction ends."""
    cursor = await tx.execute("select version from policy_head for share")
    row = await cursor.fetchone()
    return PolicyVersion(row[0]) if row and row[0] is not None else None


async def hold_head(tx: Tx) -> tuple[PolicyVersion, str | None] | None:
    """Return the version in force with its digest, and keep it in force as `head` does.

    The digest is None when the version came into force while the lock was waited for: this
    statement does not see it yet.
    """
    return await _version_and_digest(await tx.execute(_HEAD + "for share of h"))


async def look_at_head(tx: Tx) -> tuple[PolicyVersion, str | None] | None:
    """Return the version in force with its digest; another may come into force at any moment."""
    return await _version_and_digest(await tx.execute(_HEAD))


_HEAD = """
    select h.version, (select v.digest from policy_version v where v.version = h.version)
    from policy_head h
"""


async def _version_and_digest(
    cursor: AsyncCursor[TupleRow],
) -> tuple[PolicyVersion, str | None] | None:
    row = await cursor.fetchone()
    return (PolicyVersion(row[0]), row[1]) if row and row[0] is not None else None


async def lock_head(tx: Tx) -> PolicyVersion | None:
    """Wait for every decision under way, keep others out, and return the version in force."""
    cursor = await tx.execute("select version from policy_head for update")
    row = await cursor.fetchone()
    return PolicyVersion(row[0]) if row and row[0] is not None else None


async def set_head(tx: Tx, version: PolicyVersion) -> None:
    """Put a version in force; the caller holds `lock_head`."""
    await tx.execute("update policy_head set version = %s", (version,))


async def insert_policy(
    tx: Tx,
    *,
    files: Mapping[str, str],
    digest: str,
    note: str,
    applied_by: PrincipalId | None,
    rollback_of: PolicyVersion | None = None,
) -> PolicyVersion:
    """Keep a new version, whole."""
    cursor = await tx.execute(
        """
        insert into policy_version (files, digest, note, applied_by, rollback_of)
        values (%s, %s, %s, %s, %s) returning version
        """,
        (Jsonb(dict(files)), digest, note, applied_by, rollback_of),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return PolicyVersion(row[0])


async def get_policy(tx: Tx, version: PolicyVersion) -> PolicyRow | None:
    """Return one version."""
    async with tx.cursor(row_factory=class_row(PolicyRow)) as cursor:
        await cursor.execute(_SELECT + "where v.version = %s", (version,))
        return await cursor.fetchone()


async def list_policies(tx: Tx, *, before: int | None, limit: int) -> tuple[PolicyRow, ...]:
    """List versions, newest first."""
    async with tx.cursor(row_factory=class_row(PolicyRow)) as cursor:
        await cursor.execute(
            _SELECT
            + "where %(before)s::int is null or v.version < %(before)s"
            + " order by v.version desc limit %(limit)s",
            {"before": before, "limit": limit},
        )
        return tuple(await cursor.fetchall())

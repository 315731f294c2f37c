"""Verifiers of local passwords, and the one-time links by which people choose theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from daypass.domain.ids import PrincipalId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class PasswordLink:
    """A one-time link; only the digest of what it holds is kept."""

    principal_id: PrincipalId
    expires_at: datetime
    usable: bool
    """Neither used nor expired, by the store's clock."""


async def find_verifier(tx: Tx, principal_id: PrincipalId) -> str | None:
    """Return the argon2id verifier of a principal's password, if it has one."""
    cursor = await tx.execute(
        "select verifier from password where principal_id = %s", (principal_id,)
    )
    row = await cursor.fetchone()
    return str(row[0]) if row else None


async def set_verifier(tx: Tx, principal_id: PrincipalId, verifier: str) -> None:
    """Give a principal a new password, in place of the one it had."""
    await tx.execute(
        """
        insert into password (principal_id, verifier) values (%s, %s)
        on conflict (principal_id) do update
          set verifier = excluded.verifier, changed_at = now()
        """,
        (principal_id, verifier),
    )


async def replace_verifier(tx: Tx, principal_id: PrincipalId, old: str, new: str) -> bool:
    """Replace a verifier of the same password by a stronger one, unless it changed meanwhile."""
    cursor = await tx.execute(
        "update password set verifier = %s where principal_id = %s and verifier = %s",
        (new, principal_id, old),
    )
    return cursor.rowcount == 1


async def remove_verifier(tx: Tx, principal_id: PrincipalId) -> None:
    """Take a principal's password and link away."""
    await tx.execute("delete from password where principal_id = %s", (principal_id,))
    await tx.execute("delete from password_link where principal_id = %s", (principal_id,))


async def set_link(
    tx: Tx,
    principal_id: PrincipalId,
    digest: bytes,
    issued_by: PrincipalId,
    valid_for: timedelta,
) -> datetime:
    """Give a principal a new link, which ends an earlier one; return when it expires."""
    cursor = await tx.execute(
        """
        insert into password_link (principal_id, digest, issued_by, expires_at)
        values (%s, %s, %s, clock_timestamp() + %s)
        on conflict (principal_id) do update
          set digest = excluded.digest, issued_by = excluded.issued_by,
            expires_at = excluded.expires_at, used_at = null
        returning expires_at
        """,
        (principal_id, digest, issued_by, valid_for),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    expires_at: datetime = row[0]
    return expires_at


async def lock_link(tx: Tx, digest: bytes) -> PasswordLink | None:
    """Lock the link of a digest, so that of two who use it one comes second."""
    async with tx.cursor(row_factory=class_row(PasswordLink)) as cursor:
        await cursor.execute(
            """
            select principal_id, expires_at,
              used_at is null and expires_at > clock_timestamp() as usable
            from password_link where digest = %s
            for update
            """,
            (digest,),
        )
        return await cursor.fetchone()


async def use_link(tx: Tx, digest: bytes) -> None:
    """Note that a locked link was used."""
    await tx.execute(
        "update password_link set used_at = clock_timestamp() where digest = %s", (digest,)
    )

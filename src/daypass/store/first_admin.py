"""The one-time link that makes the first admin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class FirstAdminLink:
    """The link; only the digest of what it holds is kept."""

    digest: bytes
    expires_at: datetime
    usable: bool
    """Neither used nor expired, by the store's clock."""


async def set_link(tx: Tx, digest: bytes, valid_for: timedelta) -> datetime:
    """Set a new link, which ends an earlier one; return when it expires."""
    cursor = await tx.execute(
        """
        insert into first_admin_link (digest, expires_at) values (%s, clock_timestamp() + %s)
        on conflict (is_only) do update
          set digest = excluded.digest, expires_at = excluded.expires_at, used_at = null
        returning expires_at
        """,
        (digest, valid_for),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    expires_at: datetime = row[0]
    return expires_at


async def lock_link(tx: Tx) -> FirstAdminLink | None:
    """Lock the link, so that of two who use it one comes second."""
    async with tx.cursor(row_factory=class_row(FirstAdminLink)) as cursor:
        await cursor.execute(
            """
            select digest, expires_at,
              used_at is null and expires_at > clock_timestamp() as usable
            from first_admin_link for update
            """
        )
        return await cursor.fetchone()


async def use_link(tx: Tx) -> None:
    """Note that the locked link was used."""
    await tx.execute("update first_admin_link set used_at = clock_timestamp()")

"""Exposures that owners accepted by name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from daypass.domain.ids import DatabaseId, PrincipalId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An accepted exposure: by whom, when and why."""

    key: str
    reason: str
    accepted_by: PrincipalId
    accepted_by_email: str
    accepted_at: datetime


async def accept(
    tx: Tx, database_id: DatabaseId, key: str, reason: str, accepted_by: PrincipalId
) -> bool:
    """Accept an exposure; return False when it was accepted already."""
    cursor = await tx.execute(
        """
        insert into accepted_exposure (database_id, key, reason, accepted_by)
        values (%s, %s, %s, %s)
        on conflict do nothing
        """,
        (database_id, key, reason, accepted_by),
    )
    return cursor.rowcount == 1


async def end_acceptance(tx: Tx, database_id: DatabaseId, key: str) -> bool:
    """Accept an exposure no longer; return False when it was not accepted."""
    cursor = await tx.execute(
        "delete from accepted_exposure where database_id = %s and key = %s", (database_id, key)
    )
    return cursor.rowcount == 1


async def list_acceptances(tx: Tx, database_id: DatabaseId) -> tuple[Acceptance, ...]:
    """List what is accepted on a database, by key."""
    async with tx.cursor(row_factory=class_row(Acceptance)) as cursor:
        await cursor.execute(
            """
            select a.key, a.reason, a.accepted_by, p.email as accepted_by_email, a.accepted_at
            from accepted_exposure a join principal p on p.id = a.accepted_by
            where a.database_id = %s
            order by a.key
            """,
            (database_id,),
        )
        return tuple(await cursor.fetchall())

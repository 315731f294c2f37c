"""Plans: scopes that are, or are about to be, made on a database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from daypass.domain.exposure import Exposure
from daypass.domain.ids import DatabaseId, InstanceId, ScopeHash
from daypass.domain.scope import LeftOut, Scope
from daypass.store.codec import exposures_to_json, left_out_to_json, scope_to_json
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan as stored, for people to read."""

    database_id: DatabaseId
    scope_hash: ScopeHash
    scope: dict[str, Any]
    left_out: list[dict[str, str]]
    blocked: list[dict[str, str]]
    applied_at: datetime | None
    verified_at: datetime | None
    error: str
    created_at: datetime


async def note_plan(
    tx: Tx,
    database_id: DatabaseId,
    scope_hash: ScopeHash,
    scope: Scope,
    left_out: tuple[LeftOut, ...],
    blocked: tuple[Exposure, ...],
) -> None:
    """Write down a plan before anything of it is made; a known one stays as it is."""
    await tx.execute(
        """
        insert into plan (database_id, scope_hash, scope, left_out, blocked)
        values (%s, %s, %s, %s, %s)
        on conflict on constraint plan_pkey do nothing
        """,
        (
            database_id,
            scope_hash,
            Jsonb(scope_to_json(scope)),
            Jsonb(left_out_to_json(left_out)),
            Jsonb(exposures_to_json(blocked)),
        ),
    )


async def get_plan(tx: Tx, database_id: DatabaseId, scope_hash: ScopeHash) -> PlanRow | None:
    """Return a plan."""
    async with tx.cursor(row_factory=class_row(PlanRow)) as cursor:
        await cursor.execute(
            """
            select database_id, scope_hash, scope, left_out, blocked, applied_at, verified_at,
              error, created_at
            from plan where database_id = %s and scope_hash = %s
            """,
            (database_id, scope_hash),
        )
        return await cursor.fetchone()


async def is_applied(tx: Tx, database_id: DatabaseId, scope_hash: ScopeHash) -> bool | None:
    """Say whether a plan is made and verified; None when it is not even written down."""
    cursor = await tx.execute(
        "select applied_at is not null from plan where database_id = %s and scope_hash = %s",
        (database_id, scope_hash),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def mark_applied(tx: Tx, database_id: DatabaseId, scope_hash: ScopeHash) -> None:
    """Note that a plan was made and verified."""
    await tx.execute(
        """
        update plan set applied_at = coalesce(applied_at, clock_timestamp()),
          verified_at = clock_timestamp(), error = ''
        where database_id = %s and scope_hash = %s
        """,
        (database_id, scope_hash),
    )


async def mark_unapplied(
    tx: Tx, database_id: DatabaseId, scope_hash: ScopeHash, error: str
) -> None:
    """Note that a plan does not hold, and why."""
    await tx.execute(
        """
        update plan set applied_at = null, verified_at = null, error = %s
        where database_id = %s and scope_hash = %s
        """,
        (error, database_id, scope_hash),
    )


async def forget_plan(tx: Tx, database_id: DatabaseId, scope_hash: ScopeHash) -> None:
    """Forget a plan that is gone from its database."""
    await tx.execute(
        "delete from plan where database_id = %s and scope_hash = %s", (database_id, scope_hash)
    )


async def list_plans(tx: Tx, instance_id: InstanceId) -> tuple[tuple[str, ScopeHash], ...]:
    """List (database name, hash) of every plan on an instance."""
    cursor = await tx.execute(
        """
        select d.name, p.scope_hash from plan p join database d on d.id = p.database_id
        where d.instance_id = %s
        """,
        (instance_id,),
    )
    return tuple((row[0], ScopeHash(row[1])) for row in await cursor.fetchall())

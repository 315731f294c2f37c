"""Answers already given to requests with an idempotency key, so that repeating one acts once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from daypass.domain.ids import PrincipalId
from daypass.store.database import Tx

_KEPT_FOR = "1 day"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What became of an earlier request; `status` is None while nobody knows."""

    route: str
    body_digest: bytes
    status: int | None
    response: Any
    age_s: float


async def claim(
    tx: Tx, principal_id: PrincipalId, key: str, route: str, body_digest: bytes
) -> bool:
    """Claim a key for a request about to act; return False when somebody was first."""
    await tx.execute(
        """
        delete from idempotency_key
        where principal_id = %s and created_at < clock_timestamp() - %s::interval
        """,
        (principal_id, _KEPT_FOR),
    )
    cursor = await tx.execute(
        """
        insert into idempotency_key (principal_id, key, route, body_digest)
        values (%s, %s, %s, %s)
        on conflict (principal_id, key) do nothing
        """,
        (principal_id, key, route, body_digest),
    )
    return cursor.rowcount == 1


async def find(tx: Tx, principal_id: PrincipalId, key: str) -> KeptAnswer | None:
    """Return what is kept under a key, if anything."""
    async with tx.cursor(row_factory=class_row(KeptAnswer)) as rows:
        await rows.execute(
            """
            select route, body_digest, status, response,
              extract(epoch from clock_timestamp() - created_at)::float8 as age_s
            from idempotency_key where principal_id = %s and key = %s
            """,
            (principal_id, key),
        )
        return await rows.fetchone()


async def keep_answer(
    tx: Tx, principal_id: PrincipalId, key: str, status: int, response: Mapping[str, Any]
) -> None:
    """Keep the answer given to a claimed key; it must hold no secret."""
    await tx.execute(
        """
        update idempotency_key set status = %s, response = %s
        where principal_id = %s and key = %s
        """,
        (status, Jsonb(dict(response)), principal_id, key),
    )


async def release(tx: Tx, principal_id: PrincipalId, key: str) -> None:
    """Give up a claim under which nothing happened."""
    await tx.execute(
        "delete from idempotency_key where principal_id = %s and key = %s and status is null",
        (principal_id, key),
    )

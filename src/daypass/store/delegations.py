"""Delegations: who decides in whose place while they are away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from daypass.domain.errors import NotFound
from daypass.domain.ids import PrincipalId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Delegation:
    """A delegation; `live` says whether it holds at this moment, by the store's clock."""

    id: int
    from_id: PrincipalId
    from_email: str
    to_id: PrincipalId
    to_email: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    ended_at: datetime | None
    created_at: datetime
    live: bool


async def add_delegation(
    tx: Tx,
    *,
    from_id: PrincipalId,
    to_id: PrincipalId,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
) -> Delegation:
    """Add a delegation."""
    cursor = await tx.execute(
        """
        insert into delegation (from_id, to_id, starts_at, ends_at, reason)
        values (%s, %s, %s, %s, %s)
        returning id
        """,
        (from_id, to_id, starts_at, ends_at, reason),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return await get_delegation(tx, int(row[0]))


async def get_delegation(tx: Tx, delegation_id: int) -> Delegation:
    """Return a delegation. Raises `NotFound`."""
    found = await _select(tx, delegation_id=delegation_id)
    if not found:
        raise NotFound(f"there is no delegation {delegation_id}", code="delegation_not_found")
    return found[0]


async def list_delegations(
    tx: Tx,
    *,
    visible_to: PrincipalId | None = None,
    live: bool | None = None,
    after: int = 0,
    limit: int | None = 50,
) -> tuple[Delegation, ...]:
    """List delegations in order of id; `visible_to` leaves those from or to that principal."""
    return await _select(tx, visible_to=visible_to, live=live, after=after, limit=limit)


async def givers_to(tx: Tx, to_id: PrincipalId) -> tuple[PrincipalId, ...]:
    """List the active principals in whose place somebody may decide now.

    A delegation is not handed on: it gives the right to decide in one person's place, never in the
    place of those who gave theirs to that person.
    """
    cursor = await tx.execute(
        """
        select distinct d.from_id
        from delegation d
        join principal giver on giver.id = d.from_id and giver.active
        join principal taker on taker.id = d.to_id and taker.active
        where d.to_id = %s and d.ended_at is null
          and clock_timestamp() >= d.starts_at and clock_timestamp() < d.ends_at
        order by d.from_id
        """,
        (to_id,),
    )
    return tuple(PrincipalId(row[0]) for row in await cursor.fetchall())


async def end_delegation(tx: Tx, delegation_id: int) -> bool:
    """End a delegation; return whether it had not ended before."""
    cursor = await tx.execute(
        """
        update delegation set ended_at = clock_timestamp()
        where id = %s and ended_at is null and ends_at > clock_timestamp()
        """,
        (delegation_id,),
    )
    return cursor.rowcount == 1


async def end_all(tx: Tx, principal_id: PrincipalId) -> tuple[int, ...]:
    """End every delegation from or to a principal."""
    cursor = await tx.execute(
        """
        update delegation set ended_at = clock_timestamp()
        where %s in (from_id, to_id) and ended_at is null and ends_at > clock_timestamp()
        returning id
        """,
        (principal_id,),
    )
    return tuple(sorted(int(row[0]) for row in await cursor.fetchall()))


async def _select(
    tx: Tx,
    *,
    delegation_id: int | None = None,
    visible_to: PrincipalId | None = None,
    live: bool | None = None,
    after: int = 0,
    limit: int | None = None,
) -> tuple[Delegation, ...]:
    async with tx.cursor(row_factory=class_row(Delegation)) as cursor:
        await cursor.execute(
            """
            select * from (
              select d.id, d.from_id, giver.email as from_email, d.to_id, taker.email as to_email,
                d.starts_at, d.ends_at, d.reason, d.ended_at, d.created_at,
                d.ended_at is null and clock_timestamp() >= d.starts_at
                  and clock_timestamp() < d.ends_at and giver.active and taker.active as live
              from delegation d
              join principal giver on giver.id = d.from_id
              join principal taker on taker.id = d.to_id
            ) as d
            where (%(id)s::bigint is null or d.id = %(id)s)
              and (%(viewer)s::bigint is null or %(viewer)s in (d.from_id, d.to_id))
              and (%(live)s::boolean is null or d.live = %(live)s)
              and d.id > %(after)s
            order by d.id
            limit %(limit)s
            """,
            {
                "id": delegation_id,
                "viewer": visible_to,
                "live": live,
                "after": after,
                "limit": limit,
            },
        )
        return tuple(await cursor.fetchall())

"""Receipts: proof of revocation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from daypass.domain.ids import GrantId, ReceiptId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """What was probed, found gone, and when; all times by the store's clock."""

    id: ReceiptId
    grant_id: GrantId
    principal: str
    database: str
    due_at: datetime
    closed_at: datetime
    removed_at: datetime
    accounts: list[str]
    terminated: int
    rolled_back: int
    dropped: int
    probes: list[str]
    attempts: int
    created_at: datetime

    @property
    def lag_s(self) -> float:
        """Return the seconds between the moment the grant ended and its being closed."""
        return max(0.0, (self.closed_at - self.due_at).total_seconds())


_SELECT = """
    select c.id, c.grant_id, p.email as principal, i.name || '/' || d.name as database, c.due_at,
      c.closed_at, c.removed_at, c.accounts, c.terminated, c.rolled_back, c.dropped, c.probes,
      c.attempts, c.created_at
    from receipt c
    join access_grant g on g.id = c.grant_id
    join principal p on p.id = g.principal_id
    join database d on d.id = g.database_id
    join instance i on i.id = d.instance_id
"""


async def insert_receipt(
    tx: Tx,
    grant_id: GrantId,
    *,
    due_at: datetime,
    closed_at: datetime,
    removed_at: datetime,
    accounts: tuple[str, ...],
    terminated: int,
    rolled_back: int,
    dropped: int,
    probes: tuple[str, ...],
    attempts: int,
) -> ReceiptId:
    """Write the receipt of a grant; there is one, and it is never changed."""
    cursor = await tx.execute(
        """
        insert into receipt (
          grant_id, due_at, closed_at, removed_at, accounts, terminated, rolled_back, dropped,
          probes, attempts
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning id
        """,
        (
            grant_id,
            due_at,
            closed_at,
            removed_at,
            list(accounts),
            terminated,
            rolled_back,
            dropped,
            list(probes),
            attempts,
        ),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return ReceiptId(row[0])


async def receipt_of(tx: Tx, grant_id: GrantId) -> ReceiptRow | None:
    """Return a grant's receipt, once there is one."""
    async with tx.cursor(row_factory=class_row(ReceiptRow)) as cursor:
        await cursor.execute(_SELECT + "where c.grant_id = %s", (grant_id,))
        return await cursor.fetchone()

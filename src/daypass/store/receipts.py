"""Receipts: proof of revocation."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """What a receipt says; all times by the store's clock."""

    grant_id: GrantId
    due_at: datetime
    closed_at: datetime
    removed_at: datetime
    accounts: tuple[str, ...]
    terminated: int
    rolled_back: int
    dropped: int
    probes: tuple[str, ...]
    attempts: int

    @property
    def lag_s(self) -> float:
        """Return the seconds between the moment the grant ended and its being closed."""
        return (self.closed_at - self.due_at).total_seconds()


async def insert_receipts(tx: Tx, new: Sequence[NewReceipt]) -> None:
    """Write the receipts of grants; each has one, and it is never changed."""
    async with tx.cursor() as cursor:
        await cursor.executemany(
            """
            insert into receipt (
              grant_id, due_at, closed_at, removed_at, accounts, terminated, rolled_back, dropped,
              probes, attempts
            ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    each.grant_id,
                    each.due_at,
                    each.closed_at,
                    each.removed_at,
                    list(each.accounts),
                    each.terminated,
                    each.rolled_back,
                    each.dropped,
                    list(each.probes),
                    each.attempts,
                )
                for each in new
            ],
        )


async def receipt_of(tx: Tx, grant_id: GrantId) -> ReceiptRow | None:
    """Return a grant's receipt, once there is one."""
    async with tx.cursor(row_factory=class_row(ReceiptRow)) as cursor:
        await cursor.execute(_SELECT + "where c.grant_id = %s", (grant_id,))
        return await cursor.fetchone()

"""Say whether an instance has stepped aside for a migration of its owners."""

from __future__ import annotations

from datetime import UTC

from daypass.domain.errors import Unavailable
from daypass.domain.ids import DatabaseId
from daypass.store.database import Tx


async def require_not_yielded(tx: Tx, database_id: DatabaseId) -> None:
    """Raise `Unavailable` while nothing may be opened or made on the database's instance."""
    cursor = await tx.execute(
        """
        select i.name, i.yielded_until from database d join instance i on i.id = d.instance_id
        where d.id = %s and i.yielded_until > clock_timestamp()
        """,
        (database_id,),
    )
    row = await cursor.fetchone()
    if row is not None:
        until = row[1].astimezone(UTC)
        raise Unavailable(
            f"{row[0]} stepped aside for a migration until {until:%H:%M:%S} UTC",
            next_step="try again then",
            code="instance_yielded",
        )

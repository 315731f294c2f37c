"""Look at what lives and what waits."""

from __future__ import annotations

from daypass.operations.context import Context
from daypass.store.gauges import Gauges, read_gauges


async def look_at_gauges(ctx: Context) -> Gauges:
    """Return the numbers of this moment, in one look."""
    async with ctx.store.connection() as connection:
        return await read_gauges(connection)

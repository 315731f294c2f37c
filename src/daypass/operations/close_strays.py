"""Close sessions that were written down as being opened, and that nobody opens."""

from __future__ import annotations

from daypass.operations.context import Context
from daypass.store import sessions
from daypass.store.jobs import Task, enqueue


async def close_strays(ctx: Context, opening_s: float) -> int:
    """Have the gateway's sessions of this process closed that are being opened for so long.

    Their accounts, should there be any, are closed by a task that is retried for ever. Returns how
    many there were.
    """
    async with ctx.store.transaction() as tx:
        found = await sessions.mark_strays_closing(tx, ctx.process_id, opening_s, "not opened")
        for session_id in found:
            await enqueue(
                tx, Task.CLOSE_SESSIONS, lock=f"session:{session_id}", session_id=session_id
            )
    return len(found)

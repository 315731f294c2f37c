"""Carry a grant's deadline into the database."""

from __future__ import annotations

from daypass.domain.ids import GrantId
from daypass.domain.states import SessionState
from daypass.operations.context import Context
from daypass.operations.end_grants import LIVE
from daypass.operations.open_target import open_target
from daypass.store import grants, sessions


async def move_deadline(ctx: Context, grant_id: GrantId) -> None:
    """Set the deadline of a live grant's accounts to what the store says; idempotent."""
    async with ctx.store.connection() as connection:
        grant = await grants.get_grant(connection, grant_id)
        found = await sessions.list_sessions(
            connection,
            grant_id=grant_id,
            states=(SessionState.OPENING, SessionState.OPEN),
            limit=None,
        )
    if grant is None or grant.state not in LIVE or not found:
        return
    target = await open_target(ctx, grant.instance_id)
    await target.set_deadline([session.account for session in found], grant.deadline)

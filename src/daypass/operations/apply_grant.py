"""Make ready what a new grant opens, so that its first session need not wait for it."""

from __future__ import annotations

from daypass.domain.ids import GrantId
from daypass.operations.apply_scope import ensure_applied, note_scope
from daypass.operations.context import Context
from daypass.operations.end_grants import LIVE
from daypass.operations.plan_grant import plan_grant
from daypass.store import grants


async def apply_grant(ctx: Context, grant_id: GrantId) -> None:
    """Apply the scope of a live grant. Raises what `ensure_applied` raises."""
    async with ctx.store.transaction() as tx:
        grant = await grants.get_grant(tx, grant_id)
        if grant is None or grant.state not in LIVE:
            return
        found = await plan_grant(ctx, tx, grant)
    await note_scope(ctx, grant_id, found)
    await ensure_applied(ctx, found)

"""Have live grants follow a change of policy, catalog, tags or people."""

from __future__ import annotations

from daypass.domain.errors import Denied, Invalid
from daypass.domain.ids import DatabaseId
from daypass.operations.apply_scope import ensure_applied, note_scope
from daypass.operations.close_sessions import close_sessions_of
from daypass.operations.context import Context
from daypass.operations.end_grants import LIVE
from daypass.operations.plan_grant import plan_grant
from daypass.store import grants


async def recompile_grants(ctx: Context, database_id: DatabaseId) -> int:
    """Give every live grant on a database the scope it has now; return how many changed.

    Sessions under an older scope are ended: their views are not those of the new one. A grant whose
    scope can no longer be made keeps its deadline and opens nothing.
    """
    async with ctx.store.connection() as connection:
        live = await grants.list_grants(
            connection, database_id=database_id, states=LIVE, limit=100_000
        )
    changed = 0
    for grant in live:
        try:
            async with ctx.store.transaction() as tx:
                found = await plan_grant(ctx, tx, grant)
        except (Invalid, Denied):
            changed += bool(await close_sessions_of(ctx, grant.id, "its scope is no longer there"))
            continue
        if found.plan.scope_hash == grant.scope_hash and not found.plan.blocked:
            continue
        await note_scope(ctx, grant.id, found)
        # First the sessions, then the new scope: a change that hides more must not wait.
        await close_sessions_of(
            ctx,
            grant.id,
            "the policy or the catalog changed",
            scope_hash_not=None if found.plan.blocked else found.plan.scope_hash,
        )
        changed += 1
        if not found.plan.blocked:
            await ensure_applied(ctx, found)
    return changed

"""Give a grant back early."""

from __future__ import annotations

from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor, Capability
from daypass.domain.states import GrantEnd
from daypass.operations.context import Context, require_capability
from daypass.operations.end_grants import end_grant
from daypass.operations.grant_rights import is_own, no_such
from daypass.store import grants


async def release_grant(ctx: Context, actor: Actor, grant_id: GrantId) -> None:
    """End one's own grant now. Raises `NotFound`, or `Conflict` when it has ended."""
    require_capability(actor, Capability.REQUEST)
    async with ctx.store.transaction() as tx:
        grant = await grants.lock_grant(tx, grant_id)
        if grant is None or not await is_own(tx, actor, grant.principal_id):
            raise no_such("grant", grant_id)
        await end_grant(
            tx,
            grant,
            GrantEnd.RELEASED,
            by=actor.id,
            reason="released by its holder",
            address=actor.address,
        )

"""Take a grant away."""

from __future__ import annotations

from daypass.domain.errors import Invalid
from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor, Capability
from daypass.domain.states import GrantEnd
from daypass.operations.check_ask import check_comment
from daypass.operations.context import Context, require_capability
from daypass.operations.end_grants import end_grant
from daypass.operations.grant_rights import may_oversee, no_such
from daypass.store import grants


async def revoke_grant(ctx: Context, actor: Actor, grant_id: GrantId, reason: str) -> None:
    """End somebody's grant now, with a reason they will read.

    Raises `NotFound` unless the actor is an admin or owns the database, `Conflict` when the grant
    has ended, `Invalid` without a reason.
    """
    require_capability(actor, Capability.MANAGE)
    check_comment(reason)
    if not reason.strip():
        raise Invalid(
            "say why the grant is revoked", next_step="add --reason", code="reason_missing"
        )
    async with ctx.store.transaction() as tx:
        grant = await grants.lock_grant(tx, grant_id)
        if grant is None or not await may_oversee(tx, actor, grant.database_id):
            raise no_such("grant", grant_id)
        await end_grant(
            tx, grant, GrantEnd.REVOKED, by=actor.id, reason=reason, address=actor.address
        )

"""Ask for more time on a grant: a request of its own, decided like any other."""

from __future__ import annotations

from datetime import timedelta

from daypass.domain.errors import Conflict
from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor, Capability
from daypass.operations.consider import Ask
from daypass.operations.context import Context, require_capability
from daypass.operations.end_grants import LIVE, has_ended
from daypass.operations.grant_rights import no_such
from daypass.operations.request_access import Filed, request_access
from daypass.store import grants


async def extend_grant(
    ctx: Context,
    actor: Actor,
    grant_id: GrantId,
    duration: timedelta,
    *,
    reason: str = "",
    ticket: str = "",
) -> Filed:
    """Ask to move a deadline by `duration`; rules look at the whole grant, from its start.

    Raises `NotFound` for somebody else's grant, `Conflict` when it has ended or broke the glass,
    and what `request_access` raises.
    """
    require_capability(actor, Capability.REQUEST)
    async with ctx.store.connection() as connection:
        grant = await grants.get_grant(connection, grant_id)
    if grant is None or grant.principal_id != actor.id:
        raise no_such("grant", grant_id)
    if grant.state not in LIVE:
        raise has_ended(grant)
    if grant.break_glass:
        # Each breaking of the glass is told to everybody concerned and reviewed for itself.
        raise Conflict(
            f"grant {grant_id} broke the glass, and such a grant is never extended",
            next_step=f"daypass request {grant.database} asks as usual; or break the glass again",
            code="break_glass_once",
        )
    ask = Ask(
        database=grant.database,
        asked=grant.asked,
        profile=grant.profile,
        duration=duration,
        reason=reason,
        ticket=ticket,
        direct_credentials=grant.direct_credentials,
    )
    return await request_access(ctx, actor, ask, extends=grant_id)

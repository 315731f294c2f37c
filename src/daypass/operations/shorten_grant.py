"""Bring a grant's deadline closer."""

from __future__ import annotations

from datetime import datetime

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.errors import Invalid
from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor, Capability
from daypass.operations.check_ask import check_comment
from daypass.operations.context import Context, require_capability
from daypass.operations.end_grants import LIVE, has_ended
from daypass.operations.grant_rights import is_own, may_oversee, no_such
from daypass.operations.tell_people import tell_people
from daypass.store import entries, grants
from daypass.store.database import now
from daypass.store.jobs import Task, enqueue
from daypass.store.processes import Hint, tell


async def shorten_grant(
    ctx: Context, actor: Actor, grant_id: GrantId, deadline: datetime, reason: str = ""
) -> None:
    """Move a deadline closer, by the holder, an owner of the database, or an admin.

    Raises `Invalid` when the new deadline is past, or later than the old one: more time takes a
    decision, see `extend_grant`.
    """
    require_capability(actor, Capability.REQUEST)
    check_comment(reason)
    if deadline.tzinfo is None:
        raise Invalid("the deadline does not say its time zone", code="deadline_without_zone")
    async with ctx.store.transaction() as tx:
        grant = await grants.lock_grant(tx, grant_id)
        if grant is None or not (
            await is_own(tx, actor, grant.principal_id)
            or await may_oversee(tx, actor, grant.database_id)
        ):
            raise no_such("grant", grant_id)
        if grant.state not in LIVE:
            raise has_ended(grant)
        moment = await now(tx)
        if deadline >= grant.deadline:
            raise Invalid(
                f"{utc_text(deadline)} is not before the deadline, {utc_text(grant.deadline)}",
                next_step=f"daypass extend {grant_id} asks for more time",
                code="deadline_not_sooner",
            )
        if deadline <= moment or deadline <= grant.starts_at:
            raise Invalid(
                f"{utc_text(deadline)} is past, or before the grant starts",
                next_step=f"daypass release {grant_id} ends it now",
                code="deadline_past",
            )
        await grants.move_deadline(tx, grant_id, deadline)
        await entries.append(
            tx,
            Entry(
                EntryKind.GRANT_SHORTENED,
                actor_id=actor.id,
                address=actor.address,
                database_id=grant.database_id,
                request_id=grant.request_id,
                grant_id=grant_id,
                content={
                    "from": utc_text(grant.deadline),
                    "to": utc_text(deadline),
                    "reason": reason,
                },
            ),
        )
        await enqueue(tx, Task.MOVE_DEADLINE, lock=f"grant:{grant_id}", grant_id=grant_id)
        await tell(tx, Hint.MOMENTS_CHANGED)
        why = f": {reason}" if reason.strip() else ""
        await tell_people(
            tx,
            "grant.shortened",
            {grant.principal_id} - {actor.id},
            subject=f"Grant {grant_id} on {grant.database} ends sooner",
            text=f"{actor.principal.name} lets you use {grant.database} until "
            f"{utc_text(deadline)} only{why}.",
            facts={"grant": grant_id, "database": grant.database},
        )

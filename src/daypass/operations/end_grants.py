"""End grants before or at their deadline; closing them on the target follows as work of its own.

Whatever is `revoking` in the store is closed by every process's watch over moments, for ever.
"""

from __future__ import annotations

from datetime import datetime

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.errors import Conflict
from daypass.domain.ids import DatabaseId, GrantId, InstanceId, PrincipalId
from daypass.domain.states import GrantEnd, GrantState
from daypass.operations.tell_people import owners_of, tell_people
from daypass.store import entries, grants
from daypass.store.database import Tx
from daypass.store.grants import GrantRow
from daypass.store.processes import Hint, tell

LIVE = (GrantState.SCHEDULED, GrantState.ACTIVE)


async def end_grant(
    tx: Tx,
    grant: GrantRow,
    cause: GrantEnd,
    *,
    by: PrincipalId | None,
    reason: str,
    address: str = "",
) -> None:
    """Move a grant the caller has locked from live to revoking.

    Raises `Conflict` when it has ended already.
    """
    if grant.state not in LIVE:
        raise has_ended(grant)
    await grants.end_grant(tx, grant.id, cause, by=by, reason=reason)
    await entries.append(
        tx,
        Entry(
            EntryKind.GRANT_ENDED,
            actor_id=by,
            address=address,
            database_id=grant.database_id,
            request_id=grant.request_id,
            grant_id=grant.id,
            rule=grant.rule,
            content={
                "cause": cause.value,
                "reason": reason,
                "deadline": utc_text(grant.deadline),
            },
        ),
    )
    await tell(tx, Hint.GRANT_ENDED, grant.id)
    concerned = {grant.principal_id}
    if cause is GrantEnd.REVOKED or grant.break_glass:
        concerned.update(await owners_of(tx, grant.database_id))
    await tell_people(
        tx,
        "grant.ended",
        concerned,
        subject=f"Grant {grant.id} on {grant.database} ended",
        text=f"The grant of {grant.principal} on {grant.database} ended: {reason or cause.value}.",
        facts={"grant": grant.id, "database": grant.database, "cause": cause.value},
    )


def has_ended(grant: GrantRow) -> Conflict:
    """Return the error of whoever comes too late to a grant."""
    how = f" ({grant.end_cause})" if grant.end_cause else ""
    return Conflict(
        f"grant {grant.id} has already ended{how}",
        next_step=f"daypass receipt {grant.id} shows the proof; "
        f"daypass request {grant.database} asks for a new one",
        code="grant_ended",
    )


async def end_grants_of(
    tx: Tx, principal_id: PrincipalId, cause: GrantEnd, *, by: PrincipalId | None, reason: str
) -> tuple[GrantId, ...]:
    """End every live grant of a principal."""
    found = await grants.list_grants(tx, principal_id=principal_id, states=LIVE, limit=100_000)
    return await _end_each(tx, found, cause, by=by, reason=reason)


async def end_grants_on(
    tx: Tx,
    *,
    database_id: DatabaseId | None = None,
    instance_id: InstanceId | None = None,
    cause: GrantEnd,
    by: PrincipalId | None,
    reason: str,
) -> tuple[GrantId, ...]:
    """End every live grant on a database or on a whole instance."""
    if database_id is None and instance_id is None:
        raise ValueError("name a database or an instance")
    found = await grants.list_grants(
        tx, database_id=database_id, instance_id=instance_id, states=LIVE, limit=100_000
    )
    return await _end_each(tx, found, cause, by=by, reason=reason)


async def end_due_grant(tx: Tx, grant_id: GrantId, moment: datetime) -> bool:
    """End a grant whose deadline has come; False when it was extended or ended meanwhile."""
    grant = await grants.lock_grant(tx, grant_id)
    if grant is None or grant.state not in LIVE or grant.deadline > moment:
        return False
    await end_grant(tx, grant, GrantEnd.DEADLINE, by=None, reason="its deadline came")
    return True


async def _end_each(
    tx: Tx, found: tuple[GrantRow, ...], cause: GrantEnd, *, by: PrincipalId | None, reason: str
) -> tuple[GrantId, ...]:
    ended = []
    for each in found:
        grant = await grants.lock_grant(tx, each.id)
        if grant is not None and grant.state in LIVE:
            await end_grant(tx, grant, cause, by=by, reason=reason)
            ended.append(grant.id)
    return tuple(ended)

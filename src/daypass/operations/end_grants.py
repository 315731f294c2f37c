"""End grants before or at their deadline; closing them on the target follows as work of its own.

Whatever is `revoking` in the store is closed by every process's watch over moments, for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.errors import Conflict
from daypass.domain.ids import DatabaseId, GrantId, InstanceId, PrincipalId
from daypass.domain.states import GrantEnd, GrantState
from daypass.operations.tell_people import message, owners_of, send_all
from daypass.store import entries, grants
from daypass.store.database import Tx
from daypass.store.grants import GrantRow
from daypass.store.outbox import NewMessage
from daypass.store.processes import Hint, tell, tell_all

LIVE = (GrantState.SCHEDULED, GrantState.ACTIVE)
_DUE = "its deadline came"


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
    await entries.append(tx, _entry(grant, cause, by=by, reason=reason, address=address))
    await tell(tx, Hint.GRANT_ENDED, grant.id)
    concerned = {grant.principal_id}
    if cause is GrantEnd.REVOKED or grant.break_glass:
        concerned.update(await owners_of(tx, grant.database_id))
    await send_all(tx, [_message(grant, cause, concerned, reason)])


def _entry(
    grant: GrantRow,
    cause: GrantEnd,
    *,
    by: PrincipalId | None,
    reason: str,
    address: str = "",
) -> Entry:
    return Entry(
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
    )


def _message(
    grant: GrantRow, cause: GrantEnd, concerned: Iterable[PrincipalId], reason: str
) -> NewMessage:
    return message(
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


async def end_due_grants(tx: Tx, limit: int) -> tuple[GrantId, ...]:
    """End grants whose deadline has come together, but those somebody holds at this moment."""
    due = await grants.lock_due(tx, limit)
    if not due:
        return ()
    ended = tuple(grant.id for grant in due)
    await grants.end_grants(tx, ended, GrantEnd.DEADLINE, reason=_DUE)
    await entries.append_all(
        tx, [_entry(grant, GrantEnd.DEADLINE, by=None, reason=_DUE) for grant in due]
    )
    await tell_all(tx, Hint.GRANT_ENDED, ended)
    owners = {
        each: await owners_of(tx, each)
        for each in {grant.database_id for grant in due if grant.break_glass}
    }
    await send_all(
        tx,
        [
            _message(
                grant,
                GrantEnd.DEADLINE,
                {grant.principal_id, *(owners[grant.database_id] if grant.break_glass else ())},
                _DUE,
            )
            for grant in due
        ],
    )
    return ended


async def end_due_grant(tx: Tx, grant_id: GrantId, moment: datetime) -> bool:
    """End a grant whose deadline has come; False when it was extended or ended meanwhile."""
    grant = await grants.lock_grant(tx, grant_id)
    if grant is None or grant.state not in LIVE or grant.deadline > moment:
        return False
    await end_grant(tx, grant, GrantEnd.DEADLINE, by=None, reason=_DUE)
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

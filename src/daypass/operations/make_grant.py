"""Make the grant of an approved request, or give an existing grant the time it asked for."""

from __future__ import annotations

from datetime import datetime, timedelta

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.duration import format_duration
from daypass.domain.ids import GrantId, PrincipalId
from daypass.domain.principal import DaypassRole
from daypass.domain.states import GrantState, RequestState
from daypass.operations.consider import Considered
from daypass.operations.end_grants import LIVE, has_ended
from daypass.operations.tell_approvers import approvers_of
from daypass.operations.tell_people import holders_of, owners_of, tell_people
from daypass.policy.rules import AccessRule
from daypass.store import entries, grants, plans, requests
from daypass.store.database import Tx, now
from daypass.store.jobs import Task, enqueue
from daypass.store.processes import Hint, tell, tell_of_moment
from daypass.store.requests import RequestRow


async def approve(
    tx: Tx,
    request: RequestRow,
    rule: AccessRule,
    *,
    considered: Considered,
    decided_by: PrincipalId | None,
    reason: str,
    duration: timedelta | None = None,
) -> GrantId:
    """Approve a pending request the caller has locked; its time starts now, or when it asked for.

    The grant gets what was asked as it was decided on: a column that was clear by itself then is
    not unmasked by the grant when it is masked later. `duration` is what approvers shortened it to.
    Raises `Conflict` when it extends a grant that has ended.
    """
    moment = await now(tx)
    duration = min(duration or request.duration, request.duration)
    await requests.end_request(
        tx, request.id, RequestState.APPROVED, decided_by=decided_by, reason=reason
    )
    await entries.append(
        tx,
        Entry(
            EntryKind.REQUEST_APPROVED,
            actor_id=decided_by,
            database_id=request.database_id,
            request_id=request.id,
            rule=request.rule,
            content={"reason": reason, "duration": format_duration(duration)},
        ),
        at=moment,
    )
    await tell(tx, Hint.REQUEST_CHANGED, request.id)
    if request.extends_grant_id is not None:
        return await _extend(tx, request, request.extends_grant_id, duration)
    return await _make(tx, request, rule, considered, duration, moment)


async def _make(
    tx: Tx,
    request: RequestRow,
    rule: AccessRule,
    considered: Considered,
    duration: timedelta,
    moment: datetime,
) -> GrantId:
    later = request.starts_at is not None and request.starts_at > moment
    starts_at = request.starts_at if later and request.starts_at is not None else moment
    deadline = starts_at + duration
    review = rule.review
    noted, applied = (False, False) if later else await _note_plan(tx, considered)
    grant_id = await grants.insert_grant(
        tx,
        request_id=request.id,
        principal_id=request.requester_id,
        database_id=request.database_id,
        asked=considered.asked,
        rule=rule.name,
        limits={
            "statement_timeout_s": (
                rule.limits.statement_timeout.total_seconds()
                if rule.limits.statement_timeout
                else None
            ),
            "rows": rule.limits.rows,
            "size_bytes": rule.limits.size_bytes,
            "parameters": rule.record.parameters.value,
            "strict": rule.record.strict,
        },
        direct_credentials=request.direct_credentials,
        break_glass=request.break_glass,
        review=(
            {
                "approvers": [{"kind": a.kind, "name": a.name} for a in review.approvers],
                "due_at": utc_text(moment + review.within),
            }
            if review is not None
            else None
        ),
        starts_at=starts_at,
        deadline=deadline,
        state=GrantState.SCHEDULED if later else GrantState.ACTIVE,
        scope_hash=considered.plan.scope_hash if noted else None,
        policy_version=considered.policy.version if noted else None,
        catalog_version=considered.facts.catalog_version if noted else None,
    )
    await entries.append(
        tx,
        Entry(
            EntryKind.GRANT_MADE,
            actor_id=request.requester_id,
            database_id=request.database_id,
            request_id=request.id,
            grant_id=grant_id,
            rule=rule.name,
            content={
                "starts_at": utc_text(starts_at),
                "deadline": utc_text(deadline),
                "break_glass": request.break_glass,
                "direct_credentials": request.direct_credentials,
            },
        ),
        at=moment,
    )
    if not (later or applied):
        await enqueue(tx, Task.APPLY_GRANT, lock=f"grant:{grant_id}", grant_id=grant_id)
    await tell_of_moment(tx, (starts_at if later else deadline) - moment)
    when = f"from {utc_text(starts_at)} " if later else ""
    await tell_people(
        tx,
        "grant.made",
        {request.requester_id},
        subject=f"You may use {request.database}",
        text=f"Grant {grant_id} opens {request.database} {when}until {utc_text(deadline)}."
        + _blocked_text(considered),
        facts={"grant": grant_id, "request": request.id, "database": request.database},
    )
    if request.break_glass:
        await _tell_of_break_glass(tx, request, rule, grant_id)
    return grant_id


def _blocked_text(considered: Considered) -> str:
    blocked = considered.plan.blocked
    if not blocked:
        return ""
    return (
        " It is blocked now, and nothing opens until an owner of the database mends or accepts: "
        + ("; ".join(each.text for each in blocked) + ".")
    )


async def _note_plan(tx: Tx, considered: Considered) -> tuple[bool, bool]:
    """Write down the plan a grant begins with; say whether that could be done and if it is made.

    What is unmasked is kept by name, and worked out by name when it is used. Where facts change
    meanwhile, whoever opens a session finds that the grant stands for another scope by now.
    """
    plan, database_id = considered.plan, considered.facts.id
    if considered.asked.unmask or plan.blocked:
        return False, False
    applied = await plans.is_applied(tx, database_id, plan.scope_hash)
    if applied is None:
        await plans.note_plan(
            tx, database_id, plan.scope_hash, considered.scope, plan.left_out, plan.blocked
        )
    return True, bool(applied)


async def _tell_of_break_glass(
    tx: Tx, request: RequestRow, rule: AccessRule, grant_id: GrantId
) -> None:
    concerned = set(await owners_of(tx, request.database_id))
    concerned.update(await holders_of(tx, DaypassRole.ADMIN))
    concerned.update(await holders_of(tx, DaypassRole.AUDITOR))
    if rule.review is not None:
        concerned.update(await approvers_of(tx, request, rule.review.approvers))
    await tell_people(
        tx,
        "break_glass.opened",
        concerned,
        subject=f"Break-glass: {request.requester_name} opened {request.database}",
        text=f'{request.requester_name} broke the glass on {request.database}: "{request.reason}". '
        f"Somebody else must review grant {grant_id}.",
        facts={"grant": grant_id, "request": request.id, "database": request.database},
    )


async def _extend(tx: Tx, request: RequestRow, grant_id: GrantId, duration: timedelta) -> GrantId:
    grant = await grants.lock_grant(tx, grant_id)
    if grant is None:
        raise RuntimeError("a request extends a grant that is not there")
    if grant.state not in LIVE:
        raise has_ended(grant)
    deadline = grant.deadline + duration
    await grants.move_deadline(tx, grant_id, deadline)
    await entries.append(
        tx,
        Entry(
            EntryKind.GRANT_EXTENDED,
            actor_id=request.requester_id,
            database_id=grant.database_id,
            request_id=request.id,
            grant_id=grant_id,
            rule=request.rule,
            content={"from": utc_text(grant.deadline), "to": utc_text(deadline)},
        ),
    )
    await enqueue(tx, Task.MOVE_DEADLINE, lock=f"grant:{grant_id}", grant_id=grant_id)
    await tell(tx, Hint.MOMENTS_CHANGED)
    await tell_people(
        tx,
        "grant.extended",
        {request.requester_id},
        subject=f"Grant {grant_id} on {grant.database} now lasts longer",
        text=f"You may use {grant.database} until {utc_text(deadline)}.",
        facts={"grant": grant_id, "request": request.id, "database": grant.database},
    )
    return grant_id

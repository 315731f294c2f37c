"""Ask for access: policy decides, and what it allows by itself is granted at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.decision import Decision, Outcome
from daypass.domain.duration import format_duration
from daypass.domain.errors import Conflict, Denied, Invalid, NotFound
from daypass.domain.exposure import Exposure
from daypass.domain.ids import DatabaseId, GrantId, RequestId
from daypass.domain.principal import Actor, Capability
from daypass.domain.scope import AskedScope, LeftOut
from daypass.domain.states import RequestState
from daypass.operations.check_ask import check_ask
from daypass.operations.consider import Ask, Considered
from daypass.operations.consider_known import Unknown, consider_known
from daypass.operations.context import Context, require_capability
from daypass.operations.end_grants import LIVE, has_ended
from daypass.operations.make_grant import approve
from daypass.operations.policy_in_force import hold_policy
from daypass.operations.tell_approvers import tell_approvers
from daypass.store import entries, grants, requests
from daypass.store.codec import asked_to_json, decision_to_json
from daypass.store.database import Tx, lock_key, now
from daypass.store.principals import hold_principal
from daypass.store.processes import Hint, tell, tell_of_moment
from daypass.store.requests import NewRequest

_LATE = timedelta(minutes=5)
"""How far back a start may lie: clocks differ, and forms take time to fill in."""
_AHEAD = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Filed:
    """A filed request: with a grant when policy allowed it by itself.

    `left_out` is what the scope asked for and will not get, `masked` names the masked columns;
    nothing opens while there is anything in `blocked`.
    """

    request_id: RequestId
    decision: Decision
    grant_id: GrantId | None
    left_out: tuple[LeftOut, ...]
    masked: tuple[str, ...]
    blocked: tuple[Exposure, ...]


_MOST_PENDING: Final = 30


async def _check_pending(tx: Tx, actor: Actor) -> None:
    """Raise `Conflict` when too many of the actor's requests wait: each tells its approvers."""
    # Counted by one transaction of a person at a time.
    await tx.execute("select pg_advisory_xact_lock(%s)", (lock_key("requests", actor.id),))
    waiting = await requests.list_requests(
        tx, requester_id=actor.id, state=RequestState.PENDING, limit=_MOST_PENDING
    )
    if len(waiting) == _MOST_PENDING:
        raise Conflict(
            f"{_MOST_PENDING} of your requests wait already",
            next_step="daypass requests lists them; withdraw those no longer needed",
            code="too_many_requests",
        )


async def request_access(
    ctx: Context, actor: Actor, ask: Ask, *, extends: GrantId | None = None
) -> Filed:
    """File a request and decide it.

    Raises `Denied` with the rule and what would be allowed (the denial is recorded), `Invalid` for
    names that are not there. Unknown and forbidden databases look the same.
    """
    require_capability(actor, Capability.REQUEST)
    check_ask(ask)
    denied: Denied | None = None
    filed: Filed | None = None
    async with ctx.store.transaction() as tx:
        principal = (await hold_principal(tx, actor.id)).principal
        await _check_pending(tx, actor)
        policy = await hold_policy(tx)
        moment = await now(tx)
        _check_start(ask, moment)
        so_far = timedelta()
        if extends is not None:
            so_far = await _time_given(tx, extends, moment)
        actor = replace(actor, principal=principal)
        found = await consider_known(ctx, tx, policy, principal, ask, moment, so_far=so_far)
        if isinstance(found, Unknown):
            denied = found.denied
            await _record_denial(tx, actor, ask, found.database_id, ask.asked, found.decision)
        elif found.decision.outcome is Outcome.DENIED:
            denied = Denied(found.decision)
            await _record_denial(tx, actor, ask, found.facts.id, found.asked, found.decision)
        else:
            filed = await _file(tx, actor, ask, found.facts.id, found, extends)
    if denied is not None:
        raise denied
    if filed is None:
        raise RuntimeError("a request came to nothing")
    return filed


def _check_start(ask: Ask, moment: datetime) -> None:
    if ask.starts_at is None:
        return
    if ask.starts_at < moment - _LATE:
        raise Invalid(
            f"the start, {utc_text(ask.starts_at)}, has passed",
            next_step="leave the start out to begin at once",
            code="start_past",
        )
    if ask.starts_at > moment + _AHEAD:
        raise Invalid(
            f"the start is more than {format_duration(_AHEAD)} ahead", code="start_too_far"
        )


async def _time_given(tx: Tx, grant_id: GrantId, moment: datetime) -> timedelta:
    """Return what a grant has from start to deadline; nobody ends or extends it meanwhile."""
    grant = await grants.lock_grant(tx, grant_id)
    if grant is None:
        raise NotFound(f"there is no grant {grant_id}", code="no_grant")
    if grant.state not in LIVE or grant.deadline <= moment:
        raise has_ended(grant)
    return grant.deadline - grant.starts_at


async def _record_denial(
    tx: Tx,
    actor: Actor,
    ask: Ask,
    database_id: DatabaseId | None,
    asked: AskedScope,
    decision: Decision,
) -> None:
    await entries.append(
        tx,
        Entry(
            EntryKind.ACCESS_DENIED,
            actor_id=actor.id,
            address=actor.address,
            application=actor.application,
            database_id=database_id,
            rule=decision.rule,
            content={
                "database": ask.database,
                "asked": asked_to_json(asked),
                "decision": decision_to_json(decision),
                "reason": ask.reason,
            },
        ),
    )


async def _file(
    tx: Tx,
    actor: Actor,
    ask: Ask,
    database_id: DatabaseId,
    considered: Considered,
    extends: GrantId | None,
) -> Filed:
    policy, decision = considered.policy, considered.decision
    request_id = await requests.insert_request(
        tx,
        NewRequest(
            requester_id=actor.id,
            database_id=database_id,
            asked=considered.asked,
            profile=ask.profile,
            duration=considered.duration,
            starts_at=ask.starts_at,
            reason=ask.reason,
            ticket=ask.ticket,
            direct_credentials=ask.direct_credentials,
            break_glass=ask.break_glass,
            extends_grant_id=extends,
            decision=decision,
            policy_version=policy.version,
            pending_ttl=policy.policy.pending_ttl(decision.rule),
        ),
    )
    await entries.append(
        tx,
        Entry(
            EntryKind.REQUEST_FILED,
            actor_id=actor.id,
            address=actor.address,
            application=actor.application,
            database_id=database_id,
            request_id=request_id,
            grant_id=extends,
            rule=decision.rule,
            content={
                "asked": asked_to_json(considered.asked),
                "profile": ask.profile,
                "duration": format_duration(considered.duration),
                "starts_at": utc_text(ask.starts_at) if ask.starts_at else None,
                "reason": ask.reason,
                "ticket": ask.ticket,
                "direct_credentials": ask.direct_credentials,
                "break_glass": ask.break_glass,
                "policy": policy.version,
                "decision": decision_to_json(decision),
            },
        ),
    )
    # Nobody else can see it yet.
    request = await requests.get_request(tx, request_id)
    if request is None or request.state != RequestState.PENDING:
        raise RuntimeError("a request just filed is not there")
    grant_id = None
    if decision.outcome is Outcome.ALLOWED:
        rule = policy.policy.access_rule(decision.rule)
        if rule is None:
            raise RuntimeError("policy allowed a request without a rule")
        grant_id = await approve(
            tx,
            request,
            rule,
            considered=considered,
            decided_by=None,
            reason=f"rule {rule.name!r} allows it",
        )
    else:
        await tell_approvers(tx, request, decision.steps, considered)
        await tell(tx, Hint.REQUEST_CHANGED, request_id)
        await tell_of_moment(tx, policy.policy.pending_ttl(decision.rule))
    return Filed(
        request_id=request_id,
        decision=decision,
        grant_id=grant_id,
        left_out=considered.plan.left_out,
        masked=tuple(str(column) for column in considered.scope.masked_columns()),
        blocked=considered.plan.blocked,
    )

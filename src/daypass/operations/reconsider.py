"""Decide a pending request anew, by the policy and the facts of now."""

from __future__ import annotations

from datetime import timedelta

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Invalid
from daypass.domain.ids import PrincipalId
from daypass.domain.states import RequestState
from daypass.operations.consider import Ask, Considered, consider
from daypass.operations.context import Context
from daypass.operations.end_grants import LIVE
from daypass.operations.make_grant import approve
from daypass.operations.policy_in_force import PolicyInForce
from daypass.operations.tell_approvers import tell_approvers
from daypass.operations.tell_people import tell_people
from daypass.store import entries, grants, requests
from daypass.store.codec import decision_to_json
from daypass.store.database import Tx, now
from daypass.store.principals import get_principal
from daypass.store.processes import Hint, tell
from daypass.store.requests import RequestRow


async def reconsider(
    ctx: Context, tx: Tx, policy: PolicyInForce, request: RequestRow
) -> tuple[RequestRow, Considered | None]:
    """Decide a locked pending request by what holds now, and write down what changed.

    Returns the request as it then is: still pending (perhaps with new steps, whose approvals start
    over), approved because nobody need be asked any more, or denied.
    """
    ask = Ask(
        database=request.database,
        asked=request.asked,
        profile=request.profile,
        duration=request.duration,
        starts_at=request.starts_at,
        reason=request.reason,
        ticket=request.ticket,
        direct_credentials=request.direct_credentials,
        break_glass=request.break_glass,
    )
    moment = await now(tx)
    so_far = timedelta()
    if request.extends_grant_id is not None:
        grant = await grants.lock_grant(tx, request.extends_grant_id)
        if grant is None or grant.state not in LIVE or grant.deadline <= moment:
            await deny(tx, request, None, "the grant it extends has ended")
            return await _again(tx, request), None
        so_far = grant.deadline - grant.starts_at
    requester = await get_principal(tx, request.requester_id)
    try:
        considered = await consider(
            ctx, tx, policy, requester, request.database_id, ask, moment, so_far=so_far
        )
        decision = considered.decision
    except Invalid as error:
        considered = None
        decision = Decision(Outcome.DENIED, (Reason("no_longer_possible", error.message),))
    if decision.outcome is Outcome.DENIED:
        await deny(tx, request, None, decision.summary(), rule=decision.rule)
        return await _again(tx, request), considered
    rule = policy.policy.access_rule(decision.rule)
    if rule is None or considered is None:
        raise RuntimeError("policy decided without a rule")
    steps = await requests.steps_of(tx, request.id, request.round)
    same = decision.rule == request.rule and decision.steps == steps
    if decision.outcome is Outcome.NEEDS_APPROVAL and same:
        if request.policy_version != policy.version:
            await requests.confirm_round(tx, request.id, decision, policy.version)
        return await _again(tx, request), considered
    await requests.start_round(tx, request.id, decision, policy.version)
    await entries.append(
        tx,
        Entry(
            EntryKind.REQUEST_REDECIDED,
            database_id=request.database_id,
            request_id=request.id,
            rule=decision.rule,
            content={"policy": policy.version, "decision": decision_to_json(decision)},
        ),
    )
    request = await _again(tx, request)
    if decision.outcome is Outcome.ALLOWED:
        await approve(
            tx,
            request,
            rule,
            considered=considered,
            decided_by=None,
            reason=f"rule {rule.name!r} now allows it",
        )
    else:
        await tell_approvers(tx, request, decision.steps, considered)
        await tell(tx, Hint.REQUEST_CHANGED, request.id)
    return await _again(tx, request), considered


async def deny(
    tx: Tx,
    request: RequestRow,
    by: PrincipalId | None,
    reason: str,
    *,
    rule: str | None = None,
    address: str = "",
) -> None:
    """Deny a pending request the caller has locked."""
    await requests.end_request(tx, request.id, RequestState.DENIED, decided_by=by, reason=reason)
    await entries.append(
        tx,
        Entry(
            EntryKind.REQUEST_DENIED,
            actor_id=by,
            address=address,
            database_id=request.database_id,
            request_id=request.id,
            rule=rule or request.rule,
            content={"reason": reason},
        ),
    )
    await tell(tx, Hint.REQUEST_CHANGED, request.id)
    await tell_people(
        tx,
        "request.denied",
        {request.requester_id},
        subject=f"Request {request.id} on {request.database} was denied",
        text=f"Your request for {request.database} was denied: {reason}",
        facts={"request": request.id, "database": request.database},
    )


async def _again(tx: Tx, request: RequestRow) -> RequestRow:
    found = await requests.get_request(tx, request.id)
    if found is None:
        raise RuntimeError("a locked request is not there")
    return found

"""Say yes or no to a step of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.duration import format_duration
from daypass.domain.errors import Conflict, Denied, Error, Invalid
from daypass.domain.ids import PrincipalId, RequestId
from daypass.domain.principal import Actor, Capability, Principal
from daypass.domain.states import RequestState
from daypass.operations.advance_time import expire_request
from daypass.operations.check_ask import check_comment
from daypass.operations.consider import Considered
from daypass.operations.context import Context, require_capability
from daypass.operations.database_facts import load_facts
from daypass.operations.grant_rights import may_look, no_such
from daypass.operations.make_grant import approve
from daypass.operations.policy_in_force import hold_policy
from daypass.operations.reconsider import deny, reconsider
from daypass.operations.tell_approvers import approvers_of, tell_approvers
from daypass.operations.withdraw_request import require_pending
from daypass.policy.approvals import (
    Approval,
    Delegation,
    Eligibility,
    StepProgress,
    Vote,
    may_approve,
    progress,
)
from daypass.store import delegations, entries, requests
from daypass.store.database import Tx, now
from daypass.store.principals import get_principal, hold_principal
from daypass.store.processes import Hint, tell
from daypass.store.requests import RequestRow


@dataclass(frozen=True, slots=True)
class Decided:
    """A request after a verdict: `remaining` approvals are missing in step `step` (from one)."""

    request: RequestRow
    step: int
    steps: int
    remaining: int


async def decide_request(
    ctx: Context,
    actor: Actor,
    request_id: RequestId,
    *,
    yes: bool,
    comment: str = "",
    duration: timedelta | None = None,
) -> Decided:
    """Give the actor's verdict on the step that is up.

    `duration` allows the request for no longer than that. Raises `NotFound` for requests one may
    not see, `Denied` with the reason when one may not decide this, `Conflict` when it is no longer
    pending, or was decided anew meanwhile.
    """
    require_capability(actor, Capability.APPROVE)
    check_comment(comment)
    if not yes and not comment.strip():
        raise Invalid("say why it is denied", next_step="add --reason", code="reason_missing")
    if duration is not None and duration <= timedelta():
        raise Invalid("the duration must be longer than zero", code="invalid_duration")
    failure: Error | None = None
    result: Decided | None = None
    async with ctx.store.transaction() as tx:
        found = await requests.get_request(tx, request_id)
        if found is None:
            raise no_such("request", request_id)
        # People before the policy before the request: everybody locks in this order.
        for principal_id in sorted({found.requester_id, actor.id}):
            await hold_principal(tx, principal_id)
        policy = await hold_policy(tx)
        request = await requests.lock_request(tx, request_id)
        if request is None:
            raise no_such("request", request_id)
        if not await may_see(tx, actor, request):
            raise no_such("request", request_id)
        require_pending(request)
        if await expire_request(tx, request_id):
            failure = Conflict(
                f"request {request_id} expired before anybody decided it",
                next_step="ask them to file it again",
                code="request_expired",
            )
        else:
            round_before = request.round
            request, considered = await reconsider(ctx, tx, policy, request)
            if request.state != RequestState.PENDING or request.round != round_before:
                failure = Conflict(
                    f"request {request_id} was decided anew: {_outcome(request)}",
                    next_step=f"daypass show {request_id} shows it as it is now",
                    code="request_redecided",
                )
            elif considered is None:
                raise RuntimeError("a request still pending was not considered")
            else:
                result = await _vote(tx, actor, request, considered, yes, comment, duration)
    if failure is not None:
        raise failure
    if result is None:
        raise RuntimeError("a verdict came to nothing")
    return result


def _outcome(request: RequestRow) -> str:
    if request.state == RequestState.PENDING:
        return "it now needs other approvals"
    return f"{request.state}, {request.decided_reason}"


async def _vote(
    tx: Tx,
    actor: Actor,
    request: RequestRow,
    considered: Considered,
    yes: bool,
    comment: str,
    duration: timedelta | None,
) -> Decided:
    approval, votes = await votes_of(tx, request)
    state = progress(approval, votes)
    person = await get_principal(tx, actor.id)
    may = _once(
        votes,
        person,
        may_approve(
            approval, state.step, person, votes, await _delegations(tx, actor.id), await now(tx)
        ),
    )
    if not may.may:
        raise Denied(
            Decision(Outcome.DENIED, (may.reason,), next_step=_who(approval, state)),
            code=may.reason.code,
        )
    if duration is not None and duration > request.duration:
        raise Invalid(
            f"{format_duration(duration)} is longer than what was asked for, "
            f"{format_duration(request.duration)}",
            next_step="approve it as asked, or for less",
            code="longer_than_asked",
        )
    await requests.insert_approval(
        tx,
        request.id,
        request.round,
        state.step,
        approver_id=actor.id,
        on_behalf_of=may.on_behalf_of.id if may.on_behalf_of else None,
        verdict="yes" if yes else "no",
        comment=comment,
        duration_limit=duration,
    )
    await _record(tx, actor, request, may, state.step, yes, comment, duration)
    if not yes:
        await deny(tx, request, actor.id, comment, address=actor.address)
    else:
        approval, votes = await votes_of(tx, request)
        state = progress(approval, votes)
        policy = await hold_policy(tx)
        rule = policy.policy.access_rule(request.rule)
        if state.done and rule is not None:
            given = await requests.approvals_of(tx, request.id, request.round)
            limits = [a.duration_limit for a in given if a.duration_limit is not None]
            await approve(
                tx,
                request,
                rule,
                considered=considered,
                decided_by=actor.id,
                reason=comment or "approved",
                duration=min(limits, default=None),
            )
        elif state.step > 0 and state.remaining == approval.steps[state.step].count:
            await tell_approvers(tx, request, approval.steps, considered, position=state.step)
    await tell(tx, Hint.REQUEST_CHANGED, request.id)
    after = await requests.get_request(tx, request.id)
    if after is None:
        raise RuntimeError("a locked request is not there")
    return Decided(
        after, min(state.step + 1, len(approval.steps)), len(approval.steps), state.remaining
    )


async def _record(
    tx: Tx,
    actor: Actor,
    request: RequestRow,
    may: Eligibility,
    step: int,
    yes: bool,
    comment: str,
    duration: timedelta | None,
) -> None:
    await entries.append(
        tx,
        Entry(
            EntryKind.APPROVAL_GIVEN,
            actor_id=actor.id,
            on_behalf_of=may.on_behalf_of.id if may.on_behalf_of else None,
            address=actor.address,
            application=actor.application,
            database_id=request.database_id,
            request_id=request.id,
            rule=request.rule,
            content={
                "step": step + 1,
                "verdict": "yes" if yes else "no",
                "comment": comment,
                "duration": format_duration(duration) if duration else None,
            },
        ),
    )


def _once(votes: Sequence[Vote], person: Principal, may: Eligibility) -> Eligibility:
    """Let nobody, and nobody's delegate, vote a second time in a round.

    A vote that no longer counts, since its giver lost the group or left, is still a vote given.
    """
    away = may.on_behalf_of
    for vote in votes if may.may else ():
        if vote.approver is not None and vote.approver.id == person.id:
            text = "you have given your vote on this request, and each counts once"
        elif away is not None and vote.on_behalf_of is not None and vote.on_behalf_of.id == away.id:
            text = f"somebody has voted on behalf of {away.email} already"
        else:
            continue
        return Eligibility(False, Reason("already_approved", text))
    return may


def _who(approval: Approval, state: StepProgress) -> str:
    if state.step >= len(approval.steps):
        return ""
    return f"step {state.step + 1} waits for {approval.steps[state.step]}"


async def votes_of(tx: Tx, request: RequestRow) -> tuple[Approval, tuple[Vote, ...]]:
    """Return a request's steps and the verdicts of its round, with everybody as they are now."""
    facts = await load_facts(tx, request.database_id)
    steps = await requests.steps_of(tx, request.id, request.round)
    people: dict[PrincipalId, Principal] = {}

    async def person(principal_id: PrincipalId) -> Principal:
        if principal_id not in people:
            people[principal_id] = await get_principal(tx, principal_id)
        return people[principal_id]

    votes = [
        Vote(
            step=given.position,
            approve=given.verdict == "yes",
            approver=await person(given.approver_id),
            on_behalf_of=(
                await person(given.on_behalf_of_id) if given.on_behalf_of_id is not None else None
            ),
        )
        for given in await requests.approvals_of(tx, request.id, request.round)
    ]
    approval = Approval(steps, await person(request.requester_id), facts.for_policy())
    return approval, tuple(votes)


async def _delegations(tx: Tx, to_id: PrincipalId) -> Sequence[Delegation]:
    return [
        Delegation(await get_principal(tx, d.from_id), d.to_id, d.starts_at, d.ends_at)
        for d in await delegations.list_delegations(tx, visible_to=to_id, live=True, limit=None)
        if d.to_id == to_id
    ]


async def may_see(tx: Tx, actor: Actor, request: RequestRow) -> bool:
    """Say whether somebody may see a request: whose it is, who oversees it, or who decides it."""
    if await may_look(tx, actor, request.requester_id, request.database_id):
        return True
    steps = await requests.steps_of(tx, request.id, request.round)
    for step in steps:
        if actor.id in await approvers_of(tx, request, step.approvers):
            return True
    return any(a.approver_id == actor.id for a in await requests.approvals_of(tx, request.id))

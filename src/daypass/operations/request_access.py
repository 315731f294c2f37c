"""Ask for access: policy decides, and what it allows by itself is granted at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.duration import format_duration
from daypass.domain.errors import Denied, Invalid, NotFound
from daypass.domain.ids import DatabaseId, GrantId, RequestId
from daypass.domain.principal import Actor, Capability
from daypass.domain.scope import LeftOut
from daypass.domain.states import RequestState
from daypass.operations.consider import Ask, Considered, consider
from daypass.operations.context import Context, require_capability
from daypass.operations.database_facts import DatabaseFactsBundle, find_database, load_facts
from daypass.operations.make_grant import approve
from daypass.operations.policy_in_force import hold_policy
from daypass.operations.tell_approvers import tell_approvers
from daypass.policy.decide import knows_database
from daypass.policy.facts import RequestFacts
from daypass.store import entries, grants, requests
from daypass.store.codec import asked_to_json, decision_to_json
from daypass.store.database import Tx, now
from daypass.store.principals import hold_principal
from daypass.store.processes import Hint, tell
from daypass.store.requests import NewRequest


@dataclass(frozen=True, slots=True)
class Filed:
    """A filed request: with a grant when policy allowed it by itself.

    `left_out` is what the scope asked for and will not get, `masked` names the masked columns.
    """

    request_id: RequestId
    decision: Decision
    grant_id: GrantId | None
    left_out: tuple[LeftOut, ...]
    masked: tuple[str, ...]


async def request_access(
    ctx: Context, actor: Actor, ask: Ask, *, extends: GrantId | None = None
) -> Filed:
    """File a request and decide it.

    Raises `Denied` with the rule and what would be allowed (the denial is recorded), `Invalid` for
    names that are not there. Unknown and forbidden databases look the same.
    """
    require_capability(actor, Capability.REQUEST)
    _check_ask(ask)
    denied: Denied | None = None
    async with ctx.store.transaction() as tx:
        principal = (await hold_principal(tx, actor.id)).principal
        policy = await hold_policy(tx)
        database_id = await find_database(tx, ask.database)
        if database_id is None:
            raise nothing_on(ask.database)
        moment = await now(tx)
        remaining = timedelta()
        if extends is not None:
            grant = await grants.keep_grant(tx, extends)
            if grant is None:
                raise NotFound(f"there is no grant {extends}", code="no_grant")
            remaining = max(timedelta(), grant.deadline - moment)
        facts = await load_facts(tx, database_id)
        if not facts.active:
            raise nothing_on(ask.database)
        actor = replace(actor, principal=principal)
        try:
            considered = await consider(
                ctx, tx, policy, principal, database_id, ask, moment, remaining=remaining
            )
        except Invalid:
            # Names of relations are not for those who could never ask for any.
            if not knows_database(policy.policy, _bare_facts(actor, facts, ask), moment):
                raise nothing_on(ask.database) from None
            raise
        if considered.decision.outcome is Outcome.DENIED:
            denied = await _record_denial(tx, actor, ask, database_id, considered, moment)
        else:
            filed = await _file(tx, actor, ask, database_id, considered, extends)
    if denied is not None:
        raise denied
    return filed


def _check_ask(ask: Ask) -> None:
    if len(ask.reason) > 2000 or len(ask.ticket) > 200:
        raise Invalid("the reason or the ticket is too long", code="too_long_text")
    if ask.duration is not None and ask.duration <= timedelta():
        raise Invalid("the duration must be longer than zero", code="invalid_duration")


async def _record_denial(
    tx: Tx,
    actor: Actor,
    ask: Ask,
    database_id: DatabaseId,
    considered: Considered,
    moment: datetime,
) -> Denied:
    await entries.append(
        tx,
        Entry(
            EntryKind.ACCESS_DENIED,
            actor_id=actor.id,
            address=actor.address,
            application=actor.application,
            database_id=database_id,
            rule=considered.decision.rule,
            content={
                "asked": asked_to_json(considered.asked),
                "decision": decision_to_json(considered.decision),
                "reason": ask.reason,
            },
        ),
    )
    if considered.decision.rule is None and not knows_database(
        considered.policy.policy, considered.request, moment
    ):
        return nothing_on(ask.database)
    return Denied(considered.decision)


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
    request = await requests.lock_request(tx, request_id)
    if request is None or request.state != RequestState.PENDING:
        raise RuntimeError("a request just filed is not there")
    grant_id = None
    if decision.outcome is Outcome.ALLOWED:
        rule = policy.policy.access_rule(decision.rule)
        if rule is None:
            raise RuntimeError("policy allowed a request without a rule")
        grant_id = await approve(
            tx, request, rule, decided_by=None, reason=f"rule {rule.name!r} allows it"
        )
    else:
        await tell_approvers(tx, request, decision.steps, considered.facts)
        await tell(tx, Hint.REQUEST_CHANGED, request_id)
        await tell(tx, Hint.MOMENTS_CHANGED)
    return Filed(
        request_id=request_id,
        decision=decision,
        grant_id=grant_id,
        left_out=considered.plan.left_out,
        masked=tuple(str(column) for column in considered.scope.masked_columns()),
    )


def _bare_facts(actor: Actor, facts: DatabaseFactsBundle, ask: Ask) -> RequestFacts:
    return RequestFacts(
        requester=actor.principal,
        database=facts.for_policy(),
        asked=ask.asked,
        duration=ask.duration or timedelta(minutes=5),
        reason=ask.reason,
        ticket=ask.ticket,
    )


def nothing_on(database: str) -> Denied:
    """Return the one answer for a database that is not there, or that no rule opens."""
    return Denied(
        Decision(
            Outcome.DENIED,
            (Reason("no_rule", f"no rule lets you ask for {database}"),),
            next_step="check the name (instance/database), or ask a policy editor for a rule",
        ),
        code="no_rule",
    )

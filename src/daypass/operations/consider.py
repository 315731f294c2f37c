"""Work out what policy says of an ask: names, scope, plan and decision, and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Invalid
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Principal
from daypass.domain.scope import AskedScope, LeftOut, Scope
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import Plan
from daypass.operations.context import Context
from daypass.operations.database_facts import DatabaseFactsBundle, load_facts
from daypass.operations.exact_statements import require_possible, with_needs
from daypass.operations.policy_in_force import PolicyInForce
from daypass.operations.work_out import work_out
from daypass.policy.decide import decide
from daypass.policy.facts import RequestFacts
from daypass.policy.profiles import expand_profile
from daypass.policy.scope import Resolution, pin_unmask
from daypass.store.database import Tx

_MOST_SAID: Final = 5
"""Of what is left out, in one sentence: a whole database may be."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody asks for.

    With a `profile`, `asked` may narrow it. `duration` None means the profile's or policy's own;
    for an extension it is the time added. `starts_at` None means at once.
    """

    database: str
    asked: AskedScope
    profile: str = ""
    duration: timedelta | None = None
    starts_at: datetime | None = None
    reason: str = ""
    ticket: str = ""
    direct_credentials: bool = False
    break_glass: bool = False


@dataclass(frozen=True, slots=True)
class Considered:
    """What an ask comes to at this moment.

    `asked` is what a request would keep: its profile expanded, its unmask globs narrowed to the
    columns they matched.
    """

    facts: DatabaseFactsBundle
    policy: PolicyInForce
    asked: AskedScope
    duration: timedelta
    request: RequestFacts
    scope: Scope
    plan: Plan
    decision: Decision


async def consider(
    ctx: Context,
    tx: Tx,
    policy: PolicyInForce,
    principal: Principal,
    database_id: DatabaseId,
    ask: Ask,
    now: datetime,
    *,
    so_far: timedelta = timedelta(),
) -> Considered:
    """Decide an ask; `so_far` is the time that the grant it extends was given.

    Raises `Invalid` when the ask names what is not there or cannot be compiled.
    """
    facts = await load_facts(tx, database_id)
    ask = replace(ask, asked=await with_needs(ctx, facts, ask.asked))
    asked, duration = _expanded(policy, ask)
    found = await work_out(ctx, policy, facts, principal, asked)
    await require_possible(ctx, facts, found.plan, asked.statements)
    if ask.direct_credentials:
        _check_direct(asked)
    resolution = found.resolution
    request = RequestFacts(
        requester=principal,
        database=facts.for_policy(),
        asked=asked,
        duration=duration + so_far,
        relations=resolution.relations,
        unmask=resolution.unmask,
        reason=ask.reason,
        ticket=ask.ticket,
        profile=ask.profile,
        break_glass=ask.break_glass,
        direct_credentials=ask.direct_credentials,
        starts_at=ask.starts_at,
        so_far=so_far,
    )
    return Considered(
        facts=facts,
        policy=policy,
        asked=_pinned(asked, resolution),
        duration=duration,
        request=request,
        scope=resolution.scope.only(found.plan.given),
        plan=found.plan,
        decision=_possible(decide(policy.policy, request, now), found.plan, facts.path),
    )


def _possible(decision: Decision, plan: Plan, path: str) -> Decision:
    """Deny what policy would give and the database cannot: a grant that opens nothing helps nobody.

    A plan that is only blocked may be mended while the grant lasts; what remains of it is opened.
    """
    if decision.outcome is Outcome.DENIED or not plan.opens_nothing:
        return decision
    reasons = tuple(Reason("left_out", left_out_text(each)) for each in plan.left_out[:_MOST_SAID])
    if len(plan.left_out) > _MOST_SAID:
        more = len(plan.left_out) - _MOST_SAID
        reasons += (Reason("left_out", f"… and {more} more are left out"),)
    return Decision(
        Outcome.DENIED,
        (Reason("opens_nothing", "it would open nothing of what is asked for"), *reasons),
        decision.rule,
        (),
        left_out_mend(plan.left_out, path),
    )


def left_out_text(left_out: LeftOut) -> str:
    """Say of one relation or other object that it is left out, and why."""
    return f"{left_out.name} is left out: {left_out.reason}"


def left_out_mend(left_out: Sequence[LeftOut], path: str) -> str:
    """Say what can be done about what is left out of a database, and by whom."""
    mends = list(dict.fromkeys(each.mend for each in left_out[:_MOST_SAID] if each.mend))
    own = [each for each in mends if each.startswith("ask for ")]
    owners = "; ".join(each for each in mends if each not in own)
    if owners or not own:
        own.append(f"for an owner of {path}: {owners}" if owners else f"ask an owner of {path}")
    return ", or ".join(own)


def _expanded(policy: PolicyInForce, ask: Ask) -> tuple[AskedScope, timedelta]:
    duration = ask.duration
    if not ask.profile:
        return ask.asked, duration or policy.policy.defaults.duration
    profile = policy.policy.profile(ask.profile)
    asked = expand_profile(policy.policy, ask.profile, ask.asked)
    own = profile.duration if profile is not None else None
    return asked, duration or own or policy.policy.defaults.duration


def _check_direct(asked: AskedScope) -> None:
    """Refuse what a client of one's own would not be held to; the rest is the rule's to say."""
    if asked.statements:
        raise Invalid(
            "exact statements are kept by Daypass: a client of one's own could send anything",
            problems=(("statements", "with direct credentials"),),
            next_step="ask without direct credentials, or without the statements",
            code="not_direct",
        )
    if StatementClass.EXPLAIN in asked.classes and StatementClass.SELECT not in asked.classes:
        raise Invalid(
            "explain alone is kept by Daypass: a client of one's own could simply read",
            problems=(("classes", "explain without select"),),
            next_step="ask without direct credentials, or with select",
            code="not_direct",
        )


def _pinned(asked: AskedScope, resolution: Resolution) -> AskedScope:
    return pin_unmask(asked, resolution) if asked.unmask else asked

"""Work out what policy says of an ask: names, scope, plan and decision, and nothing written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daypass.domain.decision import Decision
from daypass.domain.errors import Invalid
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Principal
from daypass.domain.scope import AskedScope, Scope
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import Plan
from daypass.operations.context import Context
from daypass.operations.database_facts import DatabaseFactsBundle, load_facts
from daypass.operations.policy_in_force import PolicyInForce
from daypass.operations.work_out import work_out
from daypass.policy.decide import decide
from daypass.policy.facts import RequestFacts
from daypass.policy.profiles import expand_profile
from daypass.policy.scope import Resolution, pin_unmask
from daypass.store.database import Tx


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
    asked, duration = _expanded(policy, ask)
    found = await work_out(ctx, policy, facts, principal, asked)
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
        scope=resolution.scope,
        plan=found.plan,
        decision=decide(policy.policy, request, now),
    )


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
    if StatementClass.EXPLAIN in asked.classes and StatementClass.SELECT not in asked.classes:
        raise Invalid(
            "explain alone is kept by Daypass: a client of one's own could simply read",
            problems=(("classes", "explain without select"),),
            next_step="ask without direct credentials, or with select",
            code="not_direct",
        )


def _pinned(asked: AskedScope, resolution: Resolution) -> AskedScope:
    return pin_unmask(asked, resolution) if asked.unmask else asked

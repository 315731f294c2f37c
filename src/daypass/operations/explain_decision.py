"""What if: what would policy say to this person asking this at this moment?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from daypass.domain.errors import NotFound
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.operations.check_ask import check_ask
from daypass.operations.consider import Ask, Considered, consider
from daypass.operations.consider_known import Unknown, consider_known
from daypass.operations.context import Context, require_capability, require_role
from daypass.operations.database_facts import find_database
from daypass.operations.policy_in_force import hold_policy
from daypass.policy.explain import Explanation, explain
from daypass.store.database import now
from daypass.store.principals import find_principal


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The decision, what it rests on, and each rule that was looked at."""

    considered: Considered
    explanation: Explanation
    at: datetime


async def explain_decision(
    ctx: Context,
    actor: Actor,
    ask: Ask,
    *,
    person: str | None = None,
    at: datetime | None = None,
) -> WhatIf:
    """Decide an ask without filing it: one's own, or anybody's for those who keep policy.

    Raises what `request_access` raises, but for denials, which are what is asked for.
    """
    require_capability(actor, Capability.READ)
    check_ask(ask)
    own = person is None or person.strip().lower() == actor.principal.email
    if not own:
        require_role(actor, DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR, DaypassRole.AUDITOR)
    async with ctx.store.transaction() as tx:
        principal = await find_principal(tx, person or actor.principal.email)
        if principal is None:
            raise NotFound(f"nobody is known as {person}", code="no_principal")
        policy = await hold_policy(tx)
        moment = at or await now(tx)
        if own:
            known = await consider_known(ctx, tx, policy, principal, ask, moment)
            if isinstance(known, Unknown):
                raise known.denied
            considered = known
        else:
            database_id = await find_database(tx, ask.database)
            if database_id is None:
                raise NotFound(f"there is no database {ask.database}", code="no_database")
            considered = await consider(ctx, tx, policy, principal, database_id, ask, moment)
        explanation = explain(policy.policy, considered.request, moment)
        # What policy would give and the database cannot is denied all the same.
        explanation = replace(explanation, decision=considered.decision)
        return WhatIf(considered, explanation, moment)

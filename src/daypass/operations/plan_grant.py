"""The scope and the plan a grant stands for now, by the policy and the facts in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daypass.domain.ids import DatabaseId, PolicyVersion, PrincipalId
from daypass.domain.principal import Principal
from daypass.domain.scope import AskedScope, Scope
from daypass.engines.contract import Plan
from daypass.operations.context import Context
from daypass.operations.database_facts import DatabaseFactsBundle, load_facts
from daypass.operations.policy_in_force import PolicyInForce, look_at_policy
from daypass.operations.work_out import work_out
from daypass.store.database import Tx
from daypass.store.grants import GrantRow
from daypass.store.principals import get_principal


@dataclass(frozen=True, slots=True)
class GrantPlan:
    """What a grant gives now. `facts` and `policy_version` say what it was worked out from."""

    scope: Scope
    plan: Plan
    facts: DatabaseFactsBundle
    policy_version: PolicyVersion


async def plan_grant(ctx: Context, tx: Tx, grant: GrantRow) -> GrantPlan:
    """Resolve and compile a grant. Raises `Invalid` when what it names is no longer there.

    A change of policy, catalog or people right after it has live grants worked out anew.
    """
    (found,) = await plan_grants(ctx, tx, (grant,))
    return found


async def plan_grants(ctx: Context, tx: Tx, of: Sequence[GrantRow]) -> tuple[GrantPlan, ...]:
    """Resolve and compile grants, looking up once what they have in common."""
    policy = await look_at_policy(tx)
    facts: dict[DatabaseId, DatabaseFactsBundle] = {}
    people: dict[PrincipalId, Principal] = {}
    found = []
    for grant in of:
        if grant.database_id not in facts:
            facts[grant.database_id] = await load_facts(tx, grant.database_id)
        if grant.principal_id not in people:
            people[grant.principal_id] = await get_principal(tx, grant.principal_id)
        on = facts[grant.database_id]
        scope, plan = await compile_scope(ctx, policy, on, people[grant.principal_id], grant.asked)
        found.append(GrantPlan(scope, plan, on, policy.version))
    return tuple(found)


async def compile_scope(
    ctx: Context,
    policy: PolicyInForce,
    facts: DatabaseFactsBundle,
    principal: Principal,
    asked: AskedScope,
) -> tuple[Scope, Plan]:
    """Work out the scope and plan of what was approved, with what is still there of it."""
    found = await work_out(ctx, policy, facts, principal, asked, missing_ok=True)
    return found.scope, found.plan

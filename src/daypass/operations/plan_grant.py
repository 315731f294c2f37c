"""The scope and the plan a grant stands for now, by the policy and the facts in force."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from daypass.domain.ids import PolicyVersion
from daypass.domain.principal import Principal
from daypass.domain.scope import AskedScope, Scope
from daypass.engines.contract import Plan
from daypass.operations.context import Context
from daypass.operations.database_facts import DatabaseFactsBundle, load_facts
from daypass.operations.open_target import engine_of
from daypass.operations.policy_in_force import PolicyInForce, hold_policy
from daypass.policy.scope import resolve_scope
from daypass.store.codec import asked_to_json
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


_CACHED = 256
_cache: OrderedDict[Hashable, tuple[Scope, Plan]] = OrderedDict()


async def plan_grant(ctx: Context, tx: Tx, grant: GrantRow) -> GrantPlan:
    """Resolve and compile a grant. Raises `Invalid` when what it names is no longer there."""
    policy = await hold_policy(tx)
    facts = await load_facts(tx, grant.database_id)
    principal = await get_principal(tx, grant.principal_id)
    scope, plan = compile_scope(ctx, policy, facts, principal, grant.asked)
    return GrantPlan(scope, plan, facts, policy.version)


def compile_scope(
    ctx: Context,
    policy: PolicyInForce,
    facts: DatabaseFactsBundle,
    principal: Principal,
    asked: AskedScope,
) -> tuple[Scope, Plan]:
    """Work out scope and plan, once for equal facts."""
    key = _key(ctx, policy, facts, principal, asked)
    known = _cache.get(key)
    if known is not None:
        _cache.move_to_end(key)
        return known
    scope = resolve_scope(
        policy.policy,
        asked,
        principal,
        facts.for_policy(),
        facts.catalog,
        facts.tags,
        accepted=facts.accepted,
        missing_ok=True,
    )
    plan = engine_of(ctx, facts.engine).compile(scope, facts.catalog, facts.name, facts.accepted)
    _cache[key] = (scope, plan)
    while len(_cache) > _CACHED:
        _cache.popitem(last=False)
    return scope, plan


def _key(
    ctx: Context,
    policy: PolicyInForce,
    facts: DatabaseFactsBundle,
    principal: Principal,
    asked: AskedScope,
) -> Hashable:
    # The store is named too: numbers of two stores in one process are not the same things.
    person = (
        principal.id,
        principal.email,
        principal.name,
        principal.kind,
        principal.groups,
        principal.manager,
        json.dumps(dict(principal.attributes), sort_keys=True),
    )
    text = json.dumps(asked_to_json(asked), sort_keys=True)
    return (
        id(ctx.store),
        policy.version,
        facts.id,
        facts.facts_revision,
        person,
        hashlib.sha256(text.encode()).digest(),
    )

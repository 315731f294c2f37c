"""Work out the scope and the plan of what somebody asks for, once for equal facts."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from daypass.domain.errors import Invalid
from daypass.domain.principal import Principal
from daypass.domain.scope import AskedScope, Scope
from daypass.engines.contract import Plan
from daypass.operations.context import Context
from daypass.operations.database_facts import DatabaseFactsBundle
from daypass.operations.open_target import engine_of
from daypass.operations.policy_in_force import PolicyInForce
from daypass.policy.scope import Resolution, resolve
from daypass.store.codec import asked_to_json


@dataclass(frozen=True, slots=True)
class WorkedOut:
    """What policy and compiler make of an ask."""

    resolution: Resolution
    plan: Plan

    @property
    def scope(self) -> Scope:
        """Return the scope."""
        return self.resolution.scope


_CACHED = 256
_cache: OrderedDict[tuple[Hashable, bool], WorkedOut] = OrderedDict()
_turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()


async def work_out(
    ctx: Context,
    policy: PolicyInForce,
    facts: DatabaseFactsBundle,
    principal: Principal,
    asked: AskedScope,
    *,
    missing_ok: bool = False,
) -> WorkedOut:
    """Resolve and compile; neither depends on the clock.

    Hundreds of relations take a second of a processor, in which deadlines must be kept: it is done
    in a thread, once for all who wait for the same.
    Raises `Invalid` when it names what is not there, unless `missing_ok` (a grant made earlier), or
    what no ask may contain, or when it cannot be compiled.
    """
    key = _key(policy, facts, principal, asked)
    async with _turns.setdefault(key, asyncio.Lock()):
        # Where nothing is missing, it does not matter whether it might be.
        for found in (key, False), (key, missing_ok):
            known = _cache.get(found)
            if known is not None:
                _cache.move_to_end(found)
                return known
        made = await asyncio.to_thread(_make, ctx, policy, facts, principal, asked, missing_ok)
        _cache[key, missing_ok] = made
        while len(_cache) > _CACHED:
            _cache.popitem(last=False)
    return made


def _make(
    ctx: Context,
    policy: PolicyInForce,
    facts: DatabaseFactsBundle,
    principal: Principal,
    asked: AskedScope,
    missing_ok: bool,
) -> WorkedOut:
    resolution = resolve(
        policy.policy,
        asked,
        principal,
        facts.for_policy(),
        facts.classified,
        accepted=facts.accepted,
        missing_ok=missing_ok,
    )
    if not missing_ok:
        _check_narrowing(ctx, facts, resolution.scope)
    engine = engine_of(ctx, facts.engine)
    plan = engine.compile(resolution.scope, facts.catalog, facts.name, facts.accepted)
    if not missing_ok:
        _check_filters(plan)
    return WorkedOut(resolution, plan)


def _check_filters(plan: Plan) -> None:
    """Refuse a filter that would tell what it must not: else the grant would open nothing."""
    found = [each for each in plan.left_out if each.code == "filter_on_masked"]
    if found:
        raise Invalid(
            "; ".join(each.reason for each in found),
            problems=tuple((each.name, each.reason) for each in found),
            next_step=found[0].mend,
            code="invalid_row_filter",
        )


def _key(
    policy: PolicyInForce, facts: DatabaseFactsBundle, principal: Principal, asked: AskedScope
) -> Hashable:
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
        policy.digest,
        facts.edition,
        person,
        hashlib.sha256(text.encode()).digest(),
    )


def _check_narrowing(ctx: Context, facts: DatabaseFactsBundle, scope: Scope) -> None:
    engine = engine_of(ctx, facts.engine)
    problems = []
    for relation in scope.relations:
        for row_filter in relation.filters:
            if row_filter.rule is not None:
                continue
            wrong = engine.check_row_filter(
                row_filter, relation.name, facts.catalog, narrowing=True
            )
            if wrong is not None:
                problems.append((str(relation.name), f"{row_filter.text!r}: {wrong}"))
    if problems:
        raise Invalid(
            "; ".join(f"the row filter of {name}, {text}" for name, text in problems),
            problems=tuple(problems),
            next_step="compare columns with values: region = 'EU' and total > 100",
            code="invalid_row_filter",
        )

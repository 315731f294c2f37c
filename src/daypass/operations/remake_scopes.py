"""Ask the database whether what live grants stand for holds, and make again what does not."""

from __future__ import annotations

from daypass.domain.errors import Denied, Error, Invalid
from daypass.domain.ids import DatabaseId, InstanceId, ScopeHash
from daypass.engines.contract import Inventory, Target
from daypass.operations.apply_scope import ensure_applied
from daypass.operations.close_sessions import close_found
from daypass.operations.context import Context
from daypass.operations.end_grants import LIVE
from daypass.operations.plan_grant import GrantPlan, plan_grant
from daypass.operations.recompile_grants import recompile_grants
from daypass.store import grants, plans, sessions


async def remake_scopes(
    ctx: Context, target: Target, instance_id: InstanceId, seen: Inventory
) -> tuple[tuple[ScopeHash, ...], tuple[str, ...]]:
    """Return the scopes made again because they were gone, and what did not hold, in words.

    Sessions under a scope that does not hold are ended first.
    """
    found, outdated = await _live_scopes(ctx, instance_id)
    made: list[ScopeHash] = []
    unverified: list[str] = []
    for (database_id, scope_hash), plan in found.items():
        try:
            problem = await _problem(ctx, target, seen, plan, database_id, scope_hash)
            if not problem:
                continue
            if problem == _GONE:
                made.append(scope_hash)
            else:
                unverified.append(f"{plan.facts.path}: {problem}")
            await _end_sessions(ctx, database_id, scope_hash, problem)
            await ensure_applied(ctx, plan)
        except Error as error:
            unverified.append(f"{plan.facts.path}: {error.message}")
    for database_id in sorted(outdated):
        # Its task was given up, or whoever noted another scope was slow.
        try:
            await recompile_grants(ctx, database_id)
        except Error as error:
            unverified.append(error.message)
    return tuple(made), tuple(dict.fromkeys(unverified))


_GONE = "its scope was gone"


async def _live_scopes(
    ctx: Context, instance_id: InstanceId
) -> tuple[dict[tuple[DatabaseId, ScopeHash], GrantPlan], set[DatabaseId]]:
    """Return what live grants stand for, and the databases where they should stand for more."""
    async with ctx.store.connection() as connection:
        live = await grants.list_grants(
            connection, instance_id=instance_id, states=LIVE, limit=100_000
        )
    found: dict[tuple[DatabaseId, ScopeHash], GrantPlan] = {}
    outdated: set[DatabaseId] = set()
    for grant in live:
        if grant.scope_hash is None:
            continue
        try:
            async with ctx.store.transaction() as tx:
                plan = await plan_grant(ctx, tx, grant)
        except (Invalid, Denied):
            continue
        if plan.plan.blocked:
            continue
        if plan.plan.scope_hash != grant.scope_hash:
            outdated.add(grant.database_id)
        else:
            found[grant.database_id, grant.scope_hash] = plan
    return found, outdated


async def _problem(
    ctx: Context,
    target: Target,
    seen: Inventory,
    plan: GrantPlan,
    database_id: DatabaseId,
    scope_hash: ScopeHash,
) -> str:
    """Say what is wrong with a scope that was applied, and note it; empty when nothing is.

    It is looked at under its lock: nobody makes, collects or steps aside with it meanwhile.
    """
    place = (plan.facts.name, scope_hash)
    async with ctx.store.lock("scope", database_id, scope_hash):
        async with ctx.store.connection() as connection:
            row = await plans.get_plan(connection, database_id, scope_hash)
        if row is None or row.applied_at is None:
            return ""
        if place not in seen.scopes and place not in (await target.inventory()).scopes:
            problem = _GONE
        else:
            verified = await target.verify(plan.plan)
            problem = "; ".join(f"{p.name}: {p.reason}" for p in verified.problems)
        if problem:
            async with ctx.store.transaction() as tx:
                await plans.mark_unapplied(tx, database_id, scope_hash, problem)
    return problem


async def _end_sessions(
    ctx: Context, database_id: DatabaseId, scope_hash: ScopeHash, reason: str
) -> None:
    async with ctx.store.connection() as connection:
        unclosed = await sessions.list_sessions(
            connection, database_id=database_id, states=sessions.UNCLOSED, limit=None
        )
    await close_found(ctx, [s for s in unclosed if s.scope_hash == scope_hash], reason)

"""Compare what exists on an instance with what should, and mend the difference.

Level-triggered: it looks at states, never at what happened, and may run at any time beside anything
else. The target is looked at first and the store after it: whatever the target shows was written
down in the store before it was made, so that nothing newborn is taken for an orphan.
"""

from __future__ import annotations

from dataclasses import dataclass

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Denied, Error, Invalid
from daypass.domain.ids import DatabaseId, GrantId, InstanceId, ScopeHash, SessionId
from daypass.domain.states import SessionState
from daypass.engines.contract import Inventory, Target
from daypass.operations.apply_scope import collect_scope, ensure_applied
from daypass.operations.close_sessions import close_session, close_sessions_of
from daypass.operations.context import Context
from daypass.operations.end_grants import LIVE
from daypass.operations.open_target import open_target
from daypass.operations.plan_grant import GrantPlan, plan_grant
from daypass.store import entries, grants, plans, sessions
from daypass.store.sessions import SessionRow


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was mended; all empty when everything is as it should be."""

    orphans: tuple[str, ...]
    intruders: tuple[str, ...]
    lost: tuple[SessionId, ...]
    scopes_removed: tuple[ScopeHash, ...]
    scopes_made: tuple[ScopeHash, ...]
    unverified: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Say whether there was nothing to mend."""
        return not (
            self.orphans
            or self.intruders
            or self.lost
            or self.scopes_removed
            or self.scopes_made
            or self.unverified
        )


async def reconcile_instance(ctx: Context, instance_id: InstanceId) -> Reconciled:
    """Reconcile one instance. Raises `Unavailable` when it does not answer; call again later."""
    target = await open_target(ctx, instance_id)
    seen = await target.inventory()
    async with ctx.store.snapshot() as tx:
        known = await sessions.list_sessions(
            tx, instance_id=instance_id, states=sessions.UNCLOSED, limit=None
        )
        planned = frozenset(await plans.list_plans(tx, instance_id))
    by_account = {session.account: session for session in known}
    orphans = await _close_orphans(target, seen, by_account)
    intruders = await _end_intruders(ctx, target, seen, by_account)
    lost = await _note_lost(ctx, target, by_account)
    removed = await _remove_scopes(ctx, target, instance_id, seen, planned)
    made, unverified = await _remake_scopes(ctx, target, instance_id, seen)
    result = Reconciled(orphans, intruders, lost, removed, made, unverified)
    if not result.clean:
        async with ctx.store.transaction() as tx:
            await entries.append(
                tx,
                Entry(
                    EntryKind.RECONCILED,
                    content={
                        "instance": instance_id,
                        "orphans": list(orphans),
                        "intruders": list(intruders),
                        "lost_sessions": list(lost),
                        "scopes_removed": list(removed),
                        "scopes_made": list(made),
                        "unverified": list(unverified),
                    },
                ),
            )
    return result


async def _close_orphans(
    target: Target, seen: Inventory, known: dict[str, SessionRow]
) -> tuple[str, ...]:
    orphans = tuple(sorted(seen.accounts - known.keys()))
    if orphans:
        await target.close(orphans)
    return orphans


async def _end_intruders(
    ctx: Context, target: Target, seen: Inventory, known: dict[str, SessionRow]
) -> tuple[str, ...]:
    """End backends on accounts that none should be on, or not these."""
    intruders = []
    for account, backends in sorted(seen.backends.items()):
        session = known.get(account)
        if session is None or session.state != SessionState.OPEN or session.kind == "direct":
            continue
        if set(backends) - {session.backend_id}:
            intruders.append(account)
            await target.terminate([account])
            async with ctx.store.transaction() as tx:
                await entries.append(
                    tx,
                    Entry(
                        EntryKind.SESSION_INTRUDED,
                        grant_id=session.grant_id,
                        session_id=session.id,
                        content={"account": account},
                    ),
                )
            await close_session(ctx, session.id, "somebody else was signed in")
    return tuple(intruders)


async def _note_lost(
    ctx: Context, target: Target, known: dict[str, SessionRow]
) -> tuple[SessionId, ...]:
    """Close open sessions whose account somebody took away from the target."""
    # Looked at once more: an account may have been made since the first look.
    present = (await target.inventory()).accounts
    lost = []
    for account, session in sorted(known.items()):
        if session.state != SessionState.OPEN or account in present:
            continue
        if await close_session(ctx, session.id, "its account is gone from the target"):
            lost.append(session.id)
    return tuple(lost)


async def _remove_scopes(
    ctx: Context,
    target: Target,
    instance_id: InstanceId,
    seen: Inventory,
    planned: frozenset[tuple[str, ScopeHash]],
) -> tuple[ScopeHash, ...]:
    async with ctx.store.connection() as connection:
        cursor = await connection.execute(
            "select name, id from database where instance_id = %s", (instance_id,)
        )
        ids = {row[0]: DatabaseId(row[1]) for row in await cursor.fetchall()}
    removed = []
    for name, scope_hash in sorted(seen.scopes | planned):
        database_id = ids.get(name)
        if database_id is None:
            await target.remove_scope(name, scope_hash)
            removed.append(scope_hash)
        elif (name, scope_hash) in planned:
            if await collect_scope(ctx, database_id, scope_hash):
                removed.append(scope_hash)
        else:
            async with ctx.store.lock("scope", database_id, scope_hash):
                async with ctx.store.connection() as connection:
                    row = await plans.get_plan(connection, database_id, scope_hash)
                if row is None:
                    await target.remove_scope(name, scope_hash)
                    removed.append(scope_hash)
    return tuple(removed)


async def _remake_scopes(
    ctx: Context, target: Target, instance_id: InstanceId, seen: Inventory
) -> tuple[tuple[ScopeHash, ...], tuple[str, ...]]:
    """Make again what live grants need and is gone, and ask the database whether the rest holds."""
    async with ctx.store.connection() as connection:
        live = await grants.list_grants(
            connection, instance_id=instance_id, states=LIVE, limit=100_000
        )
    found: dict[tuple[DatabaseId, ScopeHash], tuple[GrantPlan, list[GrantId]]] = {}
    for grant in live:
        if grant.scope_hash is None:
            continue
        try:
            async with ctx.store.transaction() as tx:
                plan = await plan_grant(ctx, tx, grant)
        except (Invalid, Denied):
            continue
        if plan.plan.scope_hash == grant.scope_hash and not plan.plan.blocked:
            key = (grant.database_id, grant.scope_hash)
            found.setdefault(key, (plan, []))[1].append(grant.id)
    made: list[ScopeHash] = []
    unverified: list[str] = []
    for (database_id, scope_hash), (plan, of_grants) in found.items():
        problem = ""
        if (plan.facts.name, scope_hash) in seen.scopes:
            verified = await target.verify(plan.plan)
            problem = "; ".join(f"{p.name}: {p.reason}" for p in verified.problems)
            if problem:
                unverified.append(f"{plan.facts.path}: {problem}")
                async with ctx.store.transaction() as tx:
                    await plans.mark_unapplied(tx, database_id, scope_hash, problem)
        elif await _is_gone(ctx, target, plan.facts.name, database_id, scope_hash):
            problem = "its scope was gone"
            made.append(scope_hash)
        if not problem:
            continue
        for grant_id in of_grants:
            await close_sessions_of(ctx, grant_id, problem)
        try:
            await ensure_applied(ctx, plan)
        except Error as error:
            unverified.append(f"{plan.facts.path}: {error.message}")
    return tuple(made), tuple(dict.fromkeys(unverified))


async def _is_gone(
    ctx: Context, target: Target, database: str, database_id: DatabaseId, scope_hash: ScopeHash
) -> bool:
    """Say whether a scope that was applied is no longer there, and note it.

    It may have been applied after the first look: under its lock nobody makes or collects it.
    """
    async with ctx.store.lock("scope", database_id, scope_hash):
        async with ctx.store.connection() as connection:
            row = await plans.get_plan(connection, database_id, scope_hash)
        if row is None or row.applied_at is None:
            return False
        if (database, scope_hash) in (await target.inventory()).scopes:
            return False
        async with ctx.store.transaction() as tx:
            await plans.mark_unapplied(tx, database_id, scope_hash, "gone from its database")
        return True

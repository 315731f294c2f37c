"""Make a scope on its database, once, however many ask for it at the same time."""

from __future__ import annotations

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Conflict, Denied, Unavailable
from daypass.domain.ids import DatabaseId, GrantId, ScopeHash
from daypass.operations.context import Context
from daypass.operations.open_target import open_target
from daypass.operations.plan_grant import GrantPlan, plan_grant
from daypass.operations.spare_scopes import collect_spare_scopes
from daypass.operations.yielded import require_not_yielded
from daypass.store import entries, grants, plans
from daypass.store.jobs import Task, enqueue


async def note_scope(ctx: Context, grant_id: GrantId, found: GrantPlan) -> None:
    """Write down that a grant stands for a scope, before anything of it is made.

    Raises `Conflict` when it stands for another by now.
    """
    left: tuple[DatabaseId, ScopeHash] | None = None
    async with ctx.store.transaction() as tx:
        grant = await grants.lock_grant(tx, grant_id)
        if grant is None or grant.scope_hash == found.plan.scope_hash:
            return
        # Worked out again under the lock: whoever was slow must not put back the scope that a
        # change of policy, tags or people has just replaced. What changes from here on is followed
        # by a recompilation that waits for this lock.
        now_found = await plan_grant(ctx, tx, grant)
        if now_found.plan.scope_hash != found.plan.scope_hash:
            raise scope_changed()
        await plans.note_plan(
            tx,
            found.facts.id,
            found.plan.scope_hash,
            found.scope.only(found.plan.given),
            found.plan.left_out,
            found.plan.blocked,
        )
        await grants.set_scope(
            tx,
            grant_id,
            found.plan.scope_hash,
            found.policy_version,
            found.facts.catalog_version,
        )
        if grant.scope_hash is not None:
            await entries.append(
                tx,
                Entry(
                    EntryKind.GRANT_RECOMPILED,
                    database_id=grant.database_id,
                    grant_id=grant_id,
                    content={"from": grant.scope_hash, "to": found.plan.scope_hash},
                ),
            )
            left = grant.database_id, grant.scope_hash
    if left is not None:
        await collect_spare_scopes(ctx, {left})


def scope_changed() -> Conflict:
    """Return the error of whoever comes with a scope that is no longer the grant's."""
    return Conflict(
        "the policy or the catalog changed while the session was being opened",
        next_step="try again",
        code="scope_changed",
    )


async def ensure_applied(ctx: Context, found: GrantPlan) -> None:
    """Make a scope and have the database confirm it; a known one is only looked up.

    Raises `Denied` when the database would let sessions reach what the scope hides.
    """
    plan, database_id = found.plan, found.facts.id
    if plan.blocked:
        raise Denied(
            Decision(
                Outcome.DENIED,
                tuple(Reason("exposed", e.text) for e in plan.blocked),
                next_step="an owner of the database can mend it ("
                + "; ".join(e.mend for e in plan.blocked if e.mend)
                + f") or accept it by name: daypass doctor {found.facts.path}",
            ),
            code="exposed",
        )
    async with ctx.store.connection() as connection:
        if await plans.is_applied(connection, database_id, plan.scope_hash):
            return
        await require_not_yielded(connection, database_id)
    target = await open_target(ctx, found.facts.instance_id)
    async with ctx.store.lock("scope", database_id, plan.scope_hash):
        async with ctx.store.transaction() as tx:
            if await plans.is_applied(tx, database_id, plan.scope_hash):
                return
            # Collected since it was noted: what is made must be written down first.
            await plans.note_plan(
                tx,
                database_id,
                plan.scope_hash,
                found.scope.only(plan.given),
                plan.left_out,
                plan.blocked,
            )
        await target.apply(plan)
        verified = await target.verify(plan)
        if verified.problems:
            text = "; ".join(f"{p.name}: {p.reason}" for p in verified.problems)
            await target.remove_scope(plan.database, plan.scope_hash)
            async with ctx.store.transaction() as tx:
                await plans.mark_unapplied(tx, database_id, plan.scope_hash, text)
                await enqueue(
                    tx,
                    Task.SYNC_CATALOG,
                    once=f"sync:{database_id}",
                    lock=f"sync:{database_id}",
                    database_id=database_id,
                )
            raise Unavailable(
                f"{found.facts.path} does not obey the scope yet: {text}",
                next_step="its catalog is being read again; try in a moment",
                code="not_verified",
            )
        async with ctx.store.transaction() as tx:
            await plans.mark_applied(tx, database_id, plan.scope_hash)
            await entries.append(
                tx,
                Entry(
                    EntryKind.PLAN_APPLIED,
                    database_id=database_id,
                    content={
                        "scope": plan.scope_hash,
                        "relations": [str(r.name) for r in found.scope.relations],
                        "left_out": [f"{item.name}: {item.code}" for item in plan.left_out],
                    },
                ),
            )


async def collect_scope(ctx: Context, database_id: DatabaseId, scope_hash: ScopeHash) -> bool:
    """Take a scope away from its database unless a grant or a session still needs it."""
    async with ctx.store.lock("scope", database_id, scope_hash):
        async with ctx.store.transaction() as tx:
            if await grants.scope_needed(tx, database_id, scope_hash):
                return False
            if await plans.get_plan(tx, database_id, scope_hash) is None:
                return False
            # From here on nobody takes it for made: whoever needs it waits for the lock.
            await plans.mark_unapplied(tx, database_id, scope_hash, "being collected")
            cursor = await tx.execute(
                "select instance_id, name from database where id = %s", (database_id,)
            )
            row = await cursor.fetchone()
        if row is None:
            return False
        target = await open_target(ctx, row[0])
        await target.remove_scope(row[1], scope_hash)
        async with ctx.store.transaction() as tx:
            await plans.forget_plan(tx, database_id, scope_hash)
            await entries.append(
                tx,
                Entry(
                    EntryKind.PLAN_REMOVED, database_id=database_id, content={"scope": scope_hash}
                ),
            )
        return True

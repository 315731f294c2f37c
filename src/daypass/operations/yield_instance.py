"""Step aside for a migration: no session, no view of ours that would be in its way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daypass.audit.entry import EntryKind, utc_text
from daypass.domain.duration import format_duration
from daypass.domain.errors import Error, Invalid, NotFound, Unavailable
from daypass.domain.ids import DatabaseId, InstanceId, PrincipalId, ScopeHash
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.operations.close_sessions import close_accounts
from daypass.operations.context import Context, require_capability, require_role
from daypass.operations.database_owner import owns
from daypass.operations.entry_by import entry_by
from daypass.operations.open_target import open_target
from daypass.operations.tell_people import tell_people
from daypass.store import databases, entries, grants, instances, plans, sessions
from daypass.store.database import Tx
from daypass.store.instances import Instance
from daypass.store.jobs import Task, enqueue

_LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Yielding:
    """How far an instance has stepped aside: `clear` when a migration meets nothing of ours."""

    instance: str
    sessions_end_at: datetime | None
    until: datetime | None
    open_sessions: int
    scopes: int

    @property
    def clear(self) -> bool:
        """Say that it yields and nothing is left in the way."""
        return self.until is not None and not self.open_sessions and not self.scopes


async def yield_instance(
    ctx: Context,
    actor: Actor,
    instance_id: InstanceId,
    *,
    duration: timedelta,
    notice: timedelta = timedelta(0),
    reason: str,
) -> Yielding:
    """Open nothing on an instance for a while, and after the notice end what is open.

    Grants stay as they are, with their deadlines; what they need is made again afterwards. With no
    notice it has stepped aside when this returns; else `step_aside` does it once the notice is
    over. Only an admin, or somebody who owns every database of the instance.
    """
    if not reason.strip():
        raise Invalid("say what it yields to", next_step="add a reason", code="reason_missing")
    if not timedelta(0) <= notice < duration <= _LONGEST:
        raise Invalid(
            f"an instance yields for at most {format_duration(_LONGEST)}, its notice within that",
            code="invalid_duration",
        )
    async with ctx.store.transaction() as tx:
        instance = await _lock(tx, actor, instance_id)
        sessions_end_at, until = await instances.start_yield(
            tx,
            instance_id,
            duration_s=duration.total_seconds(),
            notice_s=notice.total_seconds(),
        )
        concerned = await _people_with_sessions(tx, instance_id)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.INSTANCE_CHANGED,
                instance=instance.name,
                yields_until=utc_text(until),
                sessions_end_at=utc_text(sessions_end_at),
                reason=reason.strip(),
            ),
        )
        if concerned:
            await tell_people(
                tx,
                "instance.yields",
                concerned,
                subject=f"Sessions on {instance.name} end at {utc_text(sessions_end_at)}",
                text=f"{instance.name} steps aside until {utc_text(until)}: {reason.strip()}. Your"
                " grants stay; connect again afterwards.",
                facts={"instance": instance.name, "until": utc_text(until)},
            )
    if not notice:
        await step_aside(ctx, instance_id)
    return await yield_progress(ctx, instance_id)


async def resume_instance(ctx: Context, actor: Actor, instance_id: InstanceId) -> None:
    """Let sessions open again; what the migration changed is read at once."""
    async with ctx.store.transaction() as tx:
        instance = await _lock(tx, actor, instance_id)
        if instance.yielded_until is not None:
            await _resume(tx, actor, instance)


async def yield_progress(ctx: Context, instance_id: InstanceId) -> Yielding:
    """Say how far an instance has stepped aside."""
    async with ctx.store.snapshot() as tx:
        instance = await instances.get_instance(tx, instance_id)
        if instance is None:
            raise NotFound(f"there is no instance {instance_id}")
        unclosed = await sessions.list_sessions(
            tx, instance_id=instance_id, states=sessions.UNCLOSED, limit=None
        )
        made = await _made_scopes(tx, instance_id)
    return Yielding(
        instance.name,
        instance.yield_notice_until,
        instance.yielded_until,
        len(unclosed),
        len(made),
    )


async def step_aside(ctx: Context, instance_id: InstanceId) -> None:
    """End every session of an instance and take every scope away; idempotent.

    Raises `Unavailable` when the instance does not let go of a session yet.
    """
    async with ctx.store.connection() as connection:
        found = await sessions.list_sessions(
            connection, instance_id=instance_id, states=sessions.UNCLOSED, limit=None
        )
    if found:
        closure = await close_accounts(
            ctx, instance_id, found, "the instance steps aside for a migration"
        )
        if closure.missing:
            raise Unavailable("still there: " + ", ".join(closure.missing), code="not_closed")
    async with ctx.store.connection() as connection:
        made = await _made_scopes(connection, instance_id)
    for database_id, name, scope_hash in made:
        await _remove_scope(ctx, instance_id, database_id, name, scope_hash)


async def advance_yields(ctx: Context) -> tuple[str, ...]:
    """Do what is due on every instance that yields; return what went wrong, to be tried again.

    Once the notice is over it steps aside; once the yield is over it resumes.
    """
    async with ctx.store.connection() as connection:
        due = await instances.list_yielding(connection)
    problems = []
    for instance_id, over in due:
        try:
            if over:
                async with ctx.store.transaction() as tx:
                    instance = await instances.lock_instance(tx, instance_id)
                    if instance is not None and instance.yielded_until is not None:
                        await _resume(tx, None, instance)
            else:
                await step_aside(ctx, instance_id)
        except Error as error:
            problems.append(f"instance {instance_id}: {error.message}")
    return tuple(problems)


async def _lock(tx: Tx, actor: Actor, instance_id: InstanceId) -> Instance:
    require_capability(actor, Capability.MANAGE)
    instance = await instances.lock_instance(tx, instance_id)
    if instance is None or instance.state != "active":
        raise NotFound(f"there is no instance {instance_id}")
    managed = await databases.list_databases(tx, instance_id=instance_id)
    if not managed or not all(owns(actor, database) for database in managed):
        require_role(actor, DaypassRole.ADMIN)
    return instance


async def _resume(tx: Tx, actor: Actor | None, instance: Instance) -> None:
    await instances.end_yield(tx, instance.id)
    for database in await databases.list_databases(tx, instance_id=instance.id):
        await enqueue(
            tx,
            Task.SYNC_CATALOG,
            lock=f"sync:{database.id}",
            database_id=int(database.id),
        )
    await entries.append(
        tx, entry_by(actor, EntryKind.INSTANCE_CHANGED, instance=instance.name, yields_until=None)
    )


async def _people_with_sessions(tx: Tx, instance_id: InstanceId) -> frozenset[PrincipalId]:
    found = await sessions.list_sessions(
        tx, instance_id=instance_id, states=sessions.UNCLOSED, limit=None
    )
    held = [await grants.get_grant(tx, grant_id) for grant_id in {s.grant_id for s in found}]
    return frozenset(grant.principal_id for grant in held if grant is not None)


async def _made_scopes(
    tx: Tx, instance_id: InstanceId
) -> tuple[tuple[DatabaseId, str, ScopeHash], ...]:
    ids = {d.name: d.id for d in await databases.list_databases(tx, instance_id=instance_id)}
    made = []
    for name, scope_hash in await plans.list_plans(tx, instance_id):
        plan = await plans.get_plan(tx, ids[name], scope_hash) if name in ids else None
        if plan is not None and plan.applied_at is not None:
            made.append((ids[name], name, scope_hash))
    return tuple(made)


async def _remove_scope(
    ctx: Context,
    instance_id: InstanceId,
    database_id: DatabaseId,
    name: str,
    scope_hash: ScopeHash,
) -> None:
    async with ctx.store.lock("scope", database_id, scope_hash):
        async with ctx.store.transaction() as tx:
            # From here on nobody takes it for made: whoever needs it waits for the lock.
            await plans.mark_unapplied(tx, database_id, scope_hash, "the instance steps aside")
        target = await open_target(ctx, instance_id)
        await target.remove_scope(name, scope_hash)
        async with ctx.store.transaction() as tx:
            if not await grants.scope_needed(tx, database_id, scope_hash):
                await plans.forget_plan(tx, database_id, scope_hash)
            await entries.append(
                tx,
                entry_by(
                    None,
                    EntryKind.PLAN_REMOVED,
                    database_id=database_id,
                    scope=scope_hash,
                    why="the instance steps aside",
                ),
            )

"""Compare what exists on an instance with what should, and mend the difference.

Level-triggered: it looks at states, never at what happened, and may run at any time beside anything
else. The target is looked at first and the store after it: whatever the target shows was written
down in the store before it was made, so that nothing newborn is taken for an orphan.
"""

from __future__ import annotations

from dataclasses import dataclass

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.ids import DatabaseId, GrantId, InstanceId, ScopeHash, SessionId
from daypass.domain.states import SessionState
from daypass.engines.contract import Inventory, Target
from daypass.operations.apply_scope import collect_scope
from daypass.operations.close_sessions import close_session
from daypass.operations.context import Context
from daypass.operations.end_grants import LIVE
from daypass.operations.move_deadline import move_deadline
from daypass.operations.open_target import open_target
from daypass.operations.remake_scopes import remake_scopes
from daypass.store import entries, grants, plans, sessions
from daypass.store.sessions import SessionRow

_CLOCKS_DIFFER_S = 2.0


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was mended; all empty when everything is as it should be.

    `tampered` are accounts that were given more than Daypass gave them, and why they were closed;
    `deadlines` grants whose accounts had another deadline. `strangers` are shown and left alone.
    """

    orphans: tuple[str, ...]
    intruders: tuple[str, ...]
    tampered: tuple[str, ...]
    lost: tuple[SessionId, ...]
    deadlines: tuple[GrantId, ...]
    scopes_removed: tuple[ScopeHash, ...]
    scopes_made: tuple[ScopeHash, ...]
    unverified: tuple[str, ...]
    strangers: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Say whether there was nothing to mend."""
        return not (
            self.orphans
            or self.intruders
            or self.tampered
            or self.lost
            or self.deadlines
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
    # Of what the store calls open, a second look tells: at the first it may have been half made.
    again = await target.inventory() if known else seen
    open_ones = {a: s for a, s in by_account.items() if s.state == SessionState.OPEN}
    intruders = await _end_intruders(ctx, target, again, open_ones)
    tampered = await _end_tampered(ctx, again, open_ones)
    lost = await _note_lost(ctx, again, open_ones)
    deadlines = await _move_deadlines(ctx, target, instance_id, again, open_ones)
    removed = await _remove_scopes(ctx, target, instance_id, seen, planned)
    made, unverified = await remake_scopes(ctx, target, instance_id, seen)
    result = Reconciled(
        orphans=orphans,
        intruders=intruders,
        tampered=tampered,
        lost=lost,
        deadlines=deadlines,
        scopes_removed=removed,
        scopes_made=made,
        unverified=unverified,
        strangers=again.strangers,
    )
    await _record(ctx, instance_id, result)
    return result


async def _record(ctx: Context, instance_id: InstanceId, result: Reconciled) -> None:
    """Write down what was mended; strangers are news only when they are others than before."""
    async with ctx.store.transaction() as tx:
        before = await entries.last_content(tx, EntryKind.RECONCILED, "instance", instance_id)
        known = before.get("strangers", []) if before is not None else []
        if result.clean and list(result.strangers) == known:
            return
        await entries.append(
            tx,
            Entry(
                EntryKind.RECONCILED,
                content={
                    "instance": instance_id,
                    "orphans": list(result.orphans),
                    "intruders": list(result.intruders),
                    "tampered": list(result.tampered),
                    "lost_sessions": list(result.lost),
                    "deadlines": list(result.deadlines),
                    "scopes_removed": list(result.scopes_removed),
                    "scopes_made": list(result.scopes_made),
                    "unverified": list(result.unverified),
                    "strangers": list(result.strangers),
                },
            ),
        )


async def _close_orphans(
    target: Target, seen: Inventory, known: dict[str, SessionRow]
) -> tuple[str, ...]:
    orphans = tuple(sorted(seen.accounts.keys() - known.keys()))
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
        if session is None or session.kind == "direct":
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


async def _end_tampered(
    ctx: Context, seen: Inventory, known: dict[str, SessionRow]
) -> tuple[str, ...]:
    """End sessions whose account somebody has given more than Daypass did."""
    tampered = []
    for account, session in sorted(known.items()):
        now = seen.accounts.get(account)
        if now is None:
            continue
        found = list(now.excess)
        found += [f"scope {each}" for each in sorted(now.scopes - {session.scope_hash})]
        found += ["its login"] if now.can_login and session.kind != "direct" else []
        if not found:
            continue
        what = ", ".join(found)
        if await close_session(ctx, session.id, f"somebody had given its account {what}"):
            tampered.append(f"{account}: {what}")
    return tuple(tampered)


async def _note_lost(
    ctx: Context, seen: Inventory, known: dict[str, SessionRow]
) -> tuple[SessionId, ...]:
    """Close open sessions whose account or connection is gone from the target."""
    lost = []
    for account, session in sorted(known.items()):
        if account not in seen.accounts:
            what = "its account is gone from the target"
        elif session.kind != "direct" and account not in seen.backends:
            what = "its connection is gone"
        elif session.scope_hash not in seen.accounts[account].scopes:
            what = "its account was taken out of its scope"
        else:
            continue
        if await close_session(ctx, session.id, what):
            lost.append(session.id)
    return tuple(lost)


async def _move_deadlines(
    ctx: Context,
    target: Target,
    instance_id: InstanceId,
    seen: Inventory,
    known: dict[str, SessionRow],
) -> tuple[GrantId, ...]:
    """Set right the deadlines of accounts that are not their grant's."""
    if not known:
        return ()
    async with ctx.store.connection() as connection:
        live = await grants.list_grants(
            connection, instance_id=instance_id, states=LIVE, limit=100_000
        )
    wanted = {grant.id: grant.deadline for grant in live}
    offset = await target.clock_offset()
    wrong = set()
    for account, session in known.items():
        now = seen.accounts.get(account)
        if now is None or session.grant_id not in wanted:
            continue
        there = wanted[session.grant_id] + offset
        if now.deadline is None or abs((now.deadline - there).total_seconds()) > _CLOCKS_DIFFER_S:
            wrong.add(session.grant_id)
    for grant_id in sorted(wrong):
        await move_deadline(ctx, grant_id)
    return tuple(sorted(wrong))


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

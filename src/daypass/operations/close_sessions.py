"""End sessions: their backends, their accounts, and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Unavailable
from daypass.domain.ids import GrantId, InstanceId, ScopeHash, SessionId
from daypass.domain.states import SessionState
from daypass.engines.contract import Closure
from daypass.operations.context import Context
from daypass.operations.open_target import open_target
from daypass.store import entries, sessions
from daypass.store.database import now
from daypass.store.sessions import SessionRow


async def close_accounts(
    ctx: Context, instance_id: InstanceId, found: Sequence[SessionRow], reason: str
) -> Closure:
    """Close sessions of one instance on the target and in the store; return what was seen.

    Idempotent. Sessions stay `closing` until the target has let go of all of them.
    """
    if not found:
        async with ctx.store.connection() as connection:
            moment = await now(connection)
        return Closure((), moment, moment, probes=("no account of it was left when it ended",))
    async with ctx.store.transaction() as tx:
        for session in found:
            await sessions.mark_closing(tx, session.id, reason)
    target = await open_target(ctx, instance_id)
    accounts = tuple(session.account for session in found)
    closure = await target.close(accounts)
    opening = [session for session in found if session.state == SessionState.OPENING]
    if opening and not closure.missing:
        # Whoever was opening one holds its lock until it has an account or never will: what it made
        # after the first look is found by the second.
        for session in opening:
            async with ctx.store.lock("session", session.id):
                pass
        closure = _joined(closure, await target.close([s.account for s in opening]))
    if closure.missing or closure.closed_at is None:
        return closure
    async with ctx.store.transaction() as tx:
        for session in found:
            if await sessions.mark_closed(tx, session.id):
                await entries.append(
                    tx,
                    Entry(
                        EntryKind.SESSION_CLOSED,
                        grant_id=session.grant_id,
                        session_id=session.id,
                        content={"reason": reason, "account": session.account},
                    ),
                )
    return closure


def _joined(first: Closure, second: Closure) -> Closure:
    def later(one: datetime | None, other: datetime | None) -> datetime | None:
        return max(one, other) if one is not None and other is not None else None

    return Closure(
        accounts=first.accounts,
        closed_at=later(first.closed_at, second.closed_at),
        removed_at=later(first.removed_at, second.removed_at),
        terminated=first.terminated + second.terminated,
        rolled_back=first.rolled_back + second.rolled_back,
        dropped=first.dropped + second.dropped,
        probes=first.probes,
        missing=first.missing + second.missing,
    )


async def close_sessions_of(
    ctx: Context, grant_id: GrantId, reason: str, *, scope_hash_not: ScopeHash | None = None
) -> int:
    """End a grant's sessions, all or those under another scope; return how many there were."""
    async with ctx.store.connection() as connection:
        found = await sessions.list_sessions(
            connection, grant_id=grant_id, states=sessions.UNCLOSED, limit=None
        )
    found = tuple(s for s in found if scope_hash_not is None or s.scope_hash != scope_hash_not)
    return await close_found(ctx, found, reason)


async def close_session(
    ctx: Context, session_id: SessionId, reason: str = "its work is done"
) -> int:
    """End one session, unless it is closed already."""
    async with ctx.store.connection() as connection:
        found = await sessions.get_session(connection, session_id)
    if found is None or found.state == SessionState.CLOSED:
        return 0
    return await close_found(ctx, (found,), found.close_reason or reason)


async def close_abandoned(
    ctx: Context, silent_s: float, instance_id: InstanceId | None = None
) -> int:
    """End sessions whose process is gone, of one instance or of all; return how many there were."""
    async with ctx.store.connection() as connection:
        found = await sessions.list_abandoned(connection, silent_s, instance_id)
    return await close_found(ctx, found, "its process is gone")


async def close_found(ctx: Context, found: Sequence[SessionRow], reason: str) -> int:
    """End sessions of whatever instances; return how many there were."""
    by_instance: dict[InstanceId, list[SessionRow]] = {}
    for session in found:
        by_instance.setdefault(session.instance_id, []).append(session)
    for instance_id, of_instance in by_instance.items():
        closure = await close_accounts(ctx, instance_id, of_instance, reason)
        if closure.missing:
            raise Unavailable("still there: " + ", ".join(closure.missing), code="not_closed")
    return len(found)

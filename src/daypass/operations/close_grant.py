"""Close an ended grant on its target and write the receipt that proves it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.errors import Error, Unavailable
from daypass.domain.ids import GrantId, InstanceId
from daypass.domain.states import GrantState
from daypass.engines.contract import Closure
from daypass.operations.close_sessions import close_accounts
from daypass.operations.context import Context
from daypass.operations.tell_people import tell_people
from daypass.store import entries, grants, receipts, sessions
from daypass.store.database import now
from daypass.store.grants import GrantRow
from daypass.store.jobs import Task, enqueue


@dataclass(frozen=True, slots=True)
class ClosedGrant:
    """A receipt's number is not needed to find it; the grant's is."""

    grant_id: GrantId
    closed_at: datetime
    lag_s: float


async def close_grant(ctx: Context, grant_id: GrantId) -> ClosedGrant | None:
    """Take away every account of a revoking grant; None when there is nothing left to do.

    Idempotent: called again after a crash it goes on where the target is. Raises `Unavailable` when
    the target does not let go yet; the grant stays `revoking` and the attempt is counted.
    """
    async with ctx.store.lock("close", grant_id):
        async with ctx.store.transaction() as tx:
            grant = await grants.get_grant(tx, grant_id)
            if grant is None or grant.state != GrantState.REVOKING:
                return None
            found = await sessions.list_sessions(
                tx, grant_id=grant_id, states=sessions.UNCLOSED, limit=None
            )
        try:
            closure = await close_accounts(ctx, grant.instance_id, found, "the grant ended")
        except Error as error:
            await _note_failure(ctx, grant_id, error.message)
            raise
        if closure.missing or closure.closed_at is None or closure.removed_at is None:
            problem = "still there: " + ", ".join(closure.missing or closure.accounts)
            await _note_failure(ctx, grant_id, problem)
            raise Unavailable(f"grant {grant_id} is not closed yet: {problem}", code="not_closed")
        return await _write_receipt(ctx, grant, closure)


async def _note_failure(ctx: Context, grant_id: GrantId, problem: str) -> None:
    async with ctx.store.transaction() as tx:
        await grants.note_revoke_attempt(tx, grant_id, problem)


async def note_unreachable(
    ctx: Context, instance_id: InstanceId, tried: GrantId, problem: str
) -> None:
    """Count an attempt for the other grants that wait for an instance that did not answer one."""
    async with ctx.store.transaction() as tx:
        await grants.note_unreachable(tx, instance_id, tried, problem)


async def _write_receipt(ctx: Context, grant: GrantRow, closure: Closure) -> ClosedGrant | None:
    async with ctx.store.transaction() as tx:
        locked = await grants.lock_grant(tx, grant.id)
        if locked is None or locked.state != GrantState.REVOKING or locked.ended_at is None:
            return None
        moment = await now(tx)
        # What was seen was timed by this machine's clock; receipts go by the store's.
        skew = moment - datetime.now(UTC)
        due_at = min(locked.ended_at, locked.deadline)
        closed_at = max(due_at, (closure.closed_at or moment) + skew)
        removed_at = max(closed_at, (closure.removed_at or moment) + skew)
        attempts = locked.revoke_attempts + 1
        await receipts.insert_receipt(
            tx,
            grant.id,
            due_at=due_at,
            closed_at=closed_at,
            removed_at=removed_at,
            accounts=closure.accounts,
            terminated=closure.terminated,
            rolled_back=closure.rolled_back,
            dropped=closure.dropped,
            probes=closure.probes,
            attempts=attempts,
        )
        await grants.finish_grant(tx, grant.id)
        lag_s = (closed_at - due_at).total_seconds()
        await entries.append(
            tx,
            Entry(
                EntryKind.RECEIPT_ISSUED,
                database_id=grant.database_id,
                request_id=grant.request_id,
                grant_id=grant.id,
                rule=grant.rule,
                content={
                    "due_at": utc_text(due_at),
                    "closed_at": utc_text(closed_at),
                    "removed_at": utc_text(removed_at),
                    "lag_ms": round(lag_s * 1000),
                    "accounts": list(closure.accounts),
                    "terminated": closure.terminated,
                    "rolled_back": closure.rolled_back,
                    "dropped": closure.dropped,
                    "probes": list(closure.probes),
                    "attempts": attempts,
                },
            ),
        )
        if grant.scope_hash is not None:
            await enqueue(
                tx,
                Task.COLLECT_SCOPE,
                lock=f"scope:{grant.database_id}:{grant.scope_hash}",
                database_id=grant.database_id,
                scope_hash=grant.scope_hash,
            )
        await tell_people(
            tx,
            "receipt.issued",
            {grant.principal_id},
            subject=f"Grant {grant.id} on {grant.database} is closed",
            text=f"Nothing of grant {grant.id} is left on {grant.database}; closed "
            f"{lag_s:.2f} s after it ended.",
            facts={"grant": grant.id, "database": grant.database},
        )
        return ClosedGrant(grant.id, closed_at, lag_s)

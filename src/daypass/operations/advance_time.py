"""Do what has become due: start, end and expire."""

from __future__ import annotations

from dataclasses import dataclass

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.ids import GrantId, RequestId
from daypass.domain.states import GrantState, RequestState
from daypass.operations.context import Context
from daypass.operations.end_grants import end_due_grant
from daypass.operations.tell_people import tell_people
from daypass.store import entries, grants, requests
from daypass.store.database import Tx, now
from daypass.store.jobs import Task, enqueue
from daypass.store.processes import Hint, tell


@dataclass(frozen=True, slots=True)
class Advanced:
    """What was due."""

    ended: tuple[GrantId, ...]
    started: tuple[GrantId, ...]
    expired: tuple[RequestId, ...]


async def advance_time(ctx: Context) -> Advanced:
    """Start, end and expire what is due by the store's clock; each in a transaction of its own."""
    async with ctx.store.connection() as connection:
        due = await grants.list_due(connection)
        starting = await grants.list_starting(connection)
        overdue = await requests.list_overdue(connection)
    ended = []
    for grant_id in due:
        async with ctx.store.transaction() as tx:
            # The clock is read before the lock is waited for: a deadline moved meanwhile counts.
            if await end_due_grant(tx, grant_id, await now(tx)):
                ended.append(grant_id)
    started = []
    for grant_id in starting:
        async with ctx.store.transaction() as tx:
            if await _start(tx, grant_id):
                started.append(grant_id)
    expired = []
    for request_id in overdue:
        async with ctx.store.transaction() as tx:
            if await expire_request(tx, request_id):
                expired.append(request_id)
    return Advanced(tuple(ended), tuple(started), tuple(expired))


async def _start(tx: Tx, grant_id: GrantId) -> bool:
    grant = await grants.lock_grant(tx, grant_id)
    if grant is None or grant.state != GrantState.SCHEDULED or grant.starts_at > await now(tx):
        return False
    await grants.start_grant(tx, grant_id)
    await entries.append(
        tx,
        Entry(
            EntryKind.GRANT_STARTED,
            database_id=grant.database_id,
            request_id=grant.request_id,
            grant_id=grant_id,
            rule=grant.rule,
            content={"deadline": utc_text(grant.deadline)},
        ),
    )
    await enqueue(tx, Task.APPLY_GRANT, lock=f"grant:{grant_id}", grant_id=grant_id)
    await tell_people(
        tx,
        "grant.started",
        {grant.principal_id},
        subject=f"Grant {grant_id} on {grant.database} has started",
        text=f"You may use {grant.database} until {utc_text(grant.deadline)}.",
        facts={"grant": grant_id, "database": grant.database},
    )
    return True


async def expire_request(tx: Tx, request_id: RequestId) -> bool:
    """End a pending request nobody decided in time; False when somebody did."""
    request = await requests.lock_request(tx, request_id)
    if (
        request is None
        or request.state != RequestState.PENDING
        or request.pending_until > await now(tx)
    ):
        return False
    await requests.end_request(
        tx, request_id, RequestState.EXPIRED, decided_by=None, reason="nobody decided in time"
    )
    await entries.append(
        tx,
        Entry(
            EntryKind.REQUEST_EXPIRED,
            database_id=request.database_id,
            request_id=request_id,
            rule=request.rule,
            content={"pending_until": utc_text(request.pending_until)},
        ),
    )
    await tell(tx, Hint.REQUEST_CHANGED, request_id)
    await tell_people(
        tx,
        "request.expired",
        {request.requester_id},
        subject=f"Request {request_id} on {request.database} expired",
        text="Nobody decided it in time. Ask again if you still need it.",
        facts={"request": request_id, "database": request.database},
    )
    return True

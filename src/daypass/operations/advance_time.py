"""Do what has become due: start, end and expire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.errors import Error
from daypass.domain.ids import GrantId, RequestId
from daypass.domain.states import GrantState, RequestState
from daypass.operations.context import Context
from daypass.operations.end_grants import end_due_grant, end_due_grants
from daypass.operations.tell_people import tell_people
from daypass.store import entries, grants, requests
from daypass.store.database import Tx, now
from daypass.store.jobs import Task, enqueue
from daypass.store.processes import Hint, tell

_TOGETHER = 1000
_Id = TypeVar("_Id", GrantId, RequestId)


@dataclass(frozen=True, slots=True)
class Advanced:
    """What was due."""

    ended: tuple[GrantId, ...]
    started: tuple[GrantId, ...]
    expired: tuple[RequestId, ...]


async def advance_time(ctx: Context) -> Advanced:
    """Start, end and expire what is due by the store's clock.

    Grants end together, but for those that somebody holds: each of these, as everything else, in a
    transaction of its own. Raises the first failure once the rest is done.
    """
    problems: list[Exception] = []
    together: tuple[GrantId, ...] = ()
    try:
        async with ctx.store.transaction() as tx:
            together = await end_due_grants(tx, _TOGETHER)
    except (Error, psycopg.Error) as error:
        problems.append(error)
    async with ctx.store.connection() as connection:
        due = await grants.list_due(connection)
        starting = await grants.list_starting(connection)
        overdue = await requests.list_overdue(connection)

    async def each(found: tuple[_Id, ...], step: Callable[[Tx, _Id], Awaitable[bool]]) -> list[_Id]:
        done = []
        for one in found:
            try:
                async with ctx.store.transaction() as tx:
                    if await step(tx, one):
                        done.append(one)
            except (Error, psycopg.Error) as error:
                # One row that somebody holds must not keep the others open.
                problems.append(error)
        return done

    ended = await each(due, _end)
    started = await each(starting, _start)
    expired = await each(overdue, expire_request)
    if problems:
        raise problems[0]
    return Advanced((*together, *ended), tuple(started), tuple(expired))


async def _end(tx: Tx, grant_id: GrantId) -> bool:
    # The clock is read before the lock is waited for: a deadline moved meanwhile counts.
    return await end_due_grant(tx, grant_id, await now(tx))


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

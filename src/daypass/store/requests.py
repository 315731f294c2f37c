"""Requests, their steps and approvals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from daypass.domain.decision import Decision, StepSpec
from daypass.domain.ids import (
    DatabaseId,
    GrantId,
    PolicyVersion,
    PrincipalId,
    RequestId,
)
from daypass.domain.scope import AskedScope
from daypass.domain.states import RequestState
from daypass.store.codec import (
    approvers_to_json,
    asked_from_json,
    asked_to_json,
    decision_to_json,
    step_from_json,
)
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request as stored; `asked_document` is its asked scope as JSON."""

    id: RequestId
    requester_id: PrincipalId
    requester: str
    requester_name: str
    database_id: DatabaseId
    database: str
    asked_document: dict[str, Any]
    profile: str
    duration: timedelta
    starts_at: datetime | None
    reason: str
    ticket: str
    direct_credentials: bool
    break_glass: bool
    extends_grant_id: GrantId | None
    state: str
    rule: str | None
    decision: dict[str, Any]
    round: int
    policy_version: PolicyVersion
    pending_until: datetime
    decided_by: str | None
    decided_reason: str
    decided_at: datetime | None
    created_at: datetime
    grant_id: GrantId | None

    @property
    def asked(self) -> AskedScope:
        """Return the asked scope."""
        return asked_from_json(self.asked_document)


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What a request is made of."""

    requester_id: PrincipalId
    database_id: DatabaseId
    asked: AskedScope
    profile: str
    duration: timedelta
    starts_at: datetime | None
    reason: str
    ticket: str
    direct_credentials: bool
    break_glass: bool
    extends_grant_id: GrantId | None
    decision: Decision
    policy_version: PolicyVersion
    pending_ttl: timedelta


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One approver's yes or no."""

    id: int
    request_id: RequestId
    round: int
    position: int
    approver_id: PrincipalId
    approver: str
    on_behalf_of_id: PrincipalId | None
    on_behalf_of: str | None
    verdict: str
    comment: str
    duration_limit: timedelta | None
    created_at: datetime


_SELECT = """
    select r.id, r.requester_id, p.email as requester, p.name as requester_name, r.database_id,
      i.name || '/' || d.name as database, r.asked as asked_document, r.profile, r.duration,
      r.starts_at, r.reason, r.ticket, r.direct_credentials, r.break_glass, r.extends_grant_id,
      r.state, r.rule, r.decision, r.round, r.policy_version, r.pending_until,
      by_.email as decided_by, r.decided_reason, r.decided_at, r.created_at, g.id as grant_id
    from request r
    join principal p on p.id = r.requester_id
    join database d on d.id = r.database_id
    join instance i on i.id = d.instance_id
    left join principal by_ on by_.id = r.decided_by
    left join access_grant g on g.request_id = r.id
"""


async def insert_request(tx: Tx, new: NewRequest) -> RequestId:
    """File a request as pending, with its steps."""
    cursor = await tx.execute(
        """
        insert into request (
          requester_id, database_id, asked, profile, duration, starts_at, reason, ticket,
          direct_credentials, break_glass, extends_grant_id, rule, decision, policy_version,
          pending_until
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now() + %s)
        returning id
        """,
        (
            new.requester_id,
            new.database_id,
            Jsonb(asked_to_json(new.asked)),
            new.profile,
            new.duration,
            new.starts_at,
            new.reason,
            new.ticket,
            new.direct_credentials,
            new.break_glass,
            new.extends_grant_id,
            new.decision.rule,
            Jsonb(decision_to_json(new.decision)),
            new.policy_version,
            new.pending_ttl,
        ),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    request_id = RequestId(row[0])
    await _insert_steps(tx, request_id, 1, new.decision.steps)
    return request_id


async def _insert_steps(
    tx: Tx, request_id: RequestId, round_: int, steps: Sequence[StepSpec]
) -> None:
    for position, step in enumerate(steps):
        await tx.execute(
            """
            insert into request_step (request_id, round, position, approvers, needed)
            values (%s, %s, %s, %s, %s)
            """,
            (request_id, round_, position, Jsonb(approvers_to_json(step.approvers)), step.count),
        )


async def start_round(
    tx: Tx, request_id: RequestId, decision: Decision, version: PolicyVersion
) -> int:
    """Give a pending request the steps of a new decision; earlier approvals stay in their round."""
    cursor = await tx.execute(
        """
        update request set round = round + 1, rule = %s, decision = %s, policy_version = %s
        where id = %s and state = 'pending' returning round
        """,
        (decision.rule, Jsonb(decision_to_json(decision)), version, request_id),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("a round was started for a request that is not pending")
    await _insert_steps(tx, request_id, row[0], decision.steps)
    return int(row[0])


async def confirm_round(
    tx: Tx, request_id: RequestId, decision: Decision, version: PolicyVersion
) -> None:
    """Note that a newer policy decides as before."""
    await tx.execute(
        "update request set policy_version = %s, rule = %s, decision = %s where id = %s",
        (version, decision.rule, Jsonb(decision_to_json(decision)), request_id),
    )


async def get_request(tx: Tx, request_id: RequestId) -> RequestRow | None:
    """Return a request."""
    async with tx.cursor(row_factory=class_row(RequestRow)) as cursor:
        await cursor.execute(_SELECT + "where r.id = %s", (request_id,))
        return await cursor.fetchone()


async def lock_request(tx: Tx, request_id: RequestId) -> RequestRow | None:
    """Return a request that nobody else changes until the transaction ends."""
    await tx.execute("select from request where id = %s for update", (request_id,))
    return await get_request(tx, request_id)


async def list_requests(
    tx: Tx,
    *,
    requester_id: PrincipalId | None = None,
    database_id: DatabaseId | None = None,
    state: RequestState | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[RequestRow, ...]:
    """List requests, newest first; filters are ANDed."""
    async with tx.cursor(row_factory=class_row(RequestRow)) as cursor:
        await cursor.execute(
            _SELECT
            + """
            where (%(requester)s::bigint is null or r.requester_id = %(requester)s)
              and (%(database)s::bigint is null or r.database_id = %(database)s)
              and (%(state)s::text is null or r.state = %(state)s)
              and (%(before)s::bigint is null or r.id < %(before)s)
            order by r.id desc limit %(limit)s
            """,
            {
                "requester": requester_id,
                "database": database_id,
                "state": state,
                "before": before,
                "limit": limit,
            },
        )
        return tuple(await cursor.fetchall())


async def list_pending(tx: Tx) -> tuple[RequestId, ...]:
    """List every pending request, oldest first."""
    cursor = await tx.execute("select id from request where state = 'pending' order by id")
    return tuple(RequestId(row[0]) for row in await cursor.fetchall())


async def list_overdue(tx: Tx, limit: int = 100) -> tuple[RequestId, ...]:
    """List pending requests whose time to be decided is over."""
    cursor = await tx.execute(
        """
        select id from request where state = 'pending' and pending_until <= clock_timestamp()
        order by pending_until limit %s
        """,
        (limit,),
    )
    return tuple(RequestId(row[0]) for row in await cursor.fetchall())


async def end_request(
    tx: Tx,
    request_id: RequestId,
    state: RequestState,
    *,
    decided_by: PrincipalId | None,
    reason: str,
) -> None:
    """Move a pending request to the state it ends in."""
    await tx.execute(
        """
        update request set state = %s, decided_by = %s, decided_reason = %s,
          decided_at = clock_timestamp()
        where id = %s
        """,
        (state, decided_by, reason, request_id),
    )


async def steps_of(tx: Tx, request_id: RequestId, round_: int) -> tuple[StepSpec, ...]:
    """Return the steps of a round, in order."""
    cursor = await tx.execute(
        """
        select approvers, needed from request_step where request_id = %s and round = %s
        order by position
        """,
        (request_id, round_),
    )
    return tuple(step_from_json(row[0], row[1]) for row in await cursor.fetchall())


async def insert_approval(
    tx: Tx,
    request_id: RequestId,
    round_: int,
    position: int,
    *,
    approver_id: PrincipalId,
    on_behalf_of: PrincipalId | None,
    verdict: str,
    comment: str,
    duration_limit: timedelta | None = None,
) -> None:
    """Keep a verdict; constraints refuse a second one by the same person."""
    await tx.execute(
        """
        insert into approval (
          request_id, round, position, approver_id, on_behalf_of, verdict, comment, duration_limit
        ) values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            request_id,
            round_,
            position,
            approver_id,
            on_behalf_of,
            verdict,
            comment,
            duration_limit,
        ),
    )


async def approvals_of(
    tx: Tx, request_id: RequestId, round_: int | None = None
) -> tuple[ApprovalRow, ...]:
    """Return verdicts in the order they were given, of one round or of all."""
    async with tx.cursor(row_factory=class_row(ApprovalRow)) as cursor:
        await cursor.execute(
            """
            select a.id, a.request_id, a.round, a.position, a.approver_id, p.email as approver,
              a.on_behalf_of as on_behalf_of_id, b.email as on_behalf_of, a.verdict, a.comment,
              a.duration_limit, a.created_at
            from approval a
            join principal p on p.id = a.approver_id
            left join principal b on b.id = a.on_behalf_of
            where a.request_id = %(request)s
              and (%(round)s::int is null or a.round = %(round)s)
            order by a.id
            """,
            {"request": request_id, "round": round_},
        )
        return tuple(await cursor.fetchall())

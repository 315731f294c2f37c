"""Grants: what a request became, until a receipt proves it closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from daypass.domain.ids import (
    CatalogVersion,
    DatabaseId,
    GrantId,
    InstanceId,
    PolicyVersion,
    PrincipalId,
    RequestId,
    ScopeHash,
)
from daypass.domain.limits import Parameters, SessionLimits
from daypass.domain.scope import AskedScope
from daypass.domain.states import GrantEnd, GrantState
from daypass.store.codec import asked_from_json, asked_to_json
from daypass.store.database import Tx
from daypass.store.processes import Hint, tell


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant as stored; `asked_document` is its asked scope as JSON."""

    id: GrantId
    request_id: RequestId
    principal_id: PrincipalId
    principal: str
    principal_name: str
    instance_id: InstanceId
    database_id: DatabaseId
    database: str
    asked_document: dict[str, Any]
    profile: str
    reason: str
    ticket: str
    rule: str | None
    limits: dict[str, Any]
    direct_credentials: bool
    break_glass: bool
    review: dict[str, Any] | None
    reviewed: bool
    review_overdue: bool
    scope_hash: ScopeHash | None
    policy_version: PolicyVersion | None
    catalog_version: CatalogVersion | None
    starts_at: datetime
    deadline: datetime
    state: str
    end_cause: str | None
    ended_by: str | None
    end_reason: str
    ended_at: datetime | None
    revoke_attempts: int
    revoke_error: str
    revision: int
    created_at: datetime

    @property
    def asked(self) -> AskedScope:
        """Return the asked scope, as approved."""
        return asked_from_json(self.asked_document)

    @property
    def session_limits(self) -> SessionLimits:
        """Return what its sessions may do with their statements."""
        said = self.limits
        return SessionLimits(
            statement_timeout_s=said.get("statement_timeout_s"),
            rows=said.get("rows"),
            size_bytes=said.get("size_bytes"),
            parameters=Parameters(said.get("parameters", Parameters.FULL)),
            strict=said.get("strict", False),
            statements=self.asked.statements,
        )


_SELECT = """
    select g.id, g.request_id, g.principal_id, p.email as principal, p.name as principal_name,
      d.instance_id, g.database_id, i.name || '/' || d.name as database,
      g.asked as asked_document, r.profile, r.reason, r.ticket, g.rule, g.limits,
      g.direct_credentials, g.break_glass, g.review, w.grant_id is not null as reviewed,
      w.grant_id is null
        and coalesce((g.review->>'due_at')::timestamptz <= clock_timestamp(), false)
        as review_overdue, g.scope_hash, g.policy_version,
      g.catalog_version, g.starts_at, g.deadline, g.state, g.end_cause, e.email as ended_by,
      g.end_reason, g.ended_at, g.revoke_attempts, g.revoke_error, g.revision, g.created_at
    from access_grant g
    join principal p on p.id = g.principal_id
    join request r on r.id = g.request_id
    join database d on d.id = g.database_id
    join instance i on i.id = d.instance_id
    left join principal e on e.id = g.ended_by
    left join break_glass_review w on w.grant_id = g.id
"""


async def insert_grant(
    tx: Tx,
    *,
    request_id: RequestId,
    principal_id: PrincipalId,
    database_id: DatabaseId,
    asked: AskedScope,
    rule: str | None,
    limits: Mapping[str, Any],
    direct_credentials: bool,
    break_glass: bool,
    review: Mapping[str, Any] | None,
    starts_at: datetime,
    deadline: datetime,
    state: GrantState,
    scope_hash: ScopeHash | None = None,
    policy_version: PolicyVersion | None = None,
    catalog_version: CatalogVersion | None = None,
) -> GrantId:
    """Make the grant of an approved request, with its scope where that is written down already."""
    cursor = await tx.execute(
        """
        insert into access_grant (
          request_id, principal_id, database_id, asked, rule, limits, direct_credentials,
          break_glass, review, starts_at, deadline, state, scope_hash, policy_version,
          catalog_version
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        returning id
        """,
        (
            request_id,
            principal_id,
            database_id,
            Jsonb(asked_to_json(asked)),
            rule,
            Jsonb(dict(limits)),
            direct_credentials,
            break_glass,
            Jsonb(dict(review)) if review is not None else None,
            starts_at,
            deadline,
            state,
            scope_hash,
            policy_version,
            catalog_version,
        ),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return GrantId(row[0])


async def get_grant(tx: Tx, grant_id: GrantId) -> GrantRow | None:
    """Return a grant."""
    async with tx.cursor(row_factory=class_row(GrantRow)) as cursor:
        await cursor.execute(_SELECT + "where g.id = %s", (grant_id,))
        return await cursor.fetchone()


async def lock_grant(tx: Tx, grant_id: GrantId) -> GrantRow | None:
    """Return a grant that nobody else changes until the transaction ends."""
    await tx.execute("select from access_grant where id = %s for update", (grant_id,))
    return await get_grant(tx, grant_id)


async def keep_grant(tx: Tx, grant_id: GrantId) -> GrantRow | None:
    """Return a grant that may be used by others, but not ended, until the transaction ends."""
    await tx.execute("select from access_grant where id = %s for share", (grant_id,))
    return await get_grant(tx, grant_id)


async def list_grants(
    tx: Tx,
    *,
    principal_id: PrincipalId | None = None,
    database_id: DatabaseId | None = None,
    instance_id: InstanceId | None = None,
    states: tuple[GrantState, ...] = (),
    unreviewed_only: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> tuple[GrantRow, ...]:
    """List grants, newest first; filters are ANDed, no states mean all."""
    async with tx.cursor(row_factory=class_row(GrantRow)) as cursor:
        await cursor.execute(
            _SELECT
            + """
            where (%(principal)s::bigint is null or g.principal_id = %(principal)s)
              and (%(database)s::bigint is null or g.database_id = %(database)s)
              and (%(instance)s::bigint is null or d.instance_id = %(instance)s)
              and (%(states)s::text[] = '{}' or g.state = any(%(states)s))
              and (not %(unreviewed)s or (g.break_glass and w.grant_id is null))
              and (%(before)s::bigint is null or g.id < %(before)s)
            order by g.id desc limit %(limit)s
            """,
            {
                "principal": principal_id,
                "database": database_id,
                "instance": instance_id,
                "states": [state.value for state in states],
                "unreviewed": unreviewed_only,
                "before": before,
                "limit": limit,
            },
        )
        return tuple(await cursor.fetchall())


async def live_grants(
    tx: Tx, principal_id: PrincipalId, database_id: DatabaseId
) -> tuple[GrantRow, ...]:
    """List the grants somebody may use on a database at this moment, newest first."""
    async with tx.cursor(row_factory=class_row(GrantRow)) as cursor:
        await cursor.execute(
            _SELECT
            + """
            where g.principal_id = %s and g.database_id = %s and g.state in ('active', 'scheduled')
              and g.starts_at <= clock_timestamp() and g.deadline > clock_timestamp()
            order by g.id desc
            """,
            (principal_id, database_id),
        )
        return tuple(await cursor.fetchall())


async def get_grants(tx: Tx, grant_ids: Sequence[GrantId]) -> tuple[GrantRow, ...]:
    """Return grants by their numbers."""
    async with tx.cursor(row_factory=class_row(GrantRow)) as cursor:
        await cursor.execute(_SELECT + "where g.id = any(%s) order by g.id", (list(grant_ids),))
        return tuple(await cursor.fetchall())


async def lock_due(tx: Tx, limit: int) -> tuple[GrantRow, ...]:
    """Lock and return live grants whose deadline has come, but those somebody else holds now."""
    async with tx.cursor(row_factory=class_row(GrantRow)) as cursor:
        await cursor.execute(
            _SELECT
            + """
            where g.state in ('scheduled', 'active') and g.deadline <= clock_timestamp()
            order by g.id limit %s
            for update of g skip locked
            """,
            (limit,),
        )
        return tuple(await cursor.fetchall())


async def lock_revoking(tx: Tx, grant_ids: Sequence[GrantId]) -> tuple[GrantRow, ...]:
    """Lock grants in the order of their numbers and return those that wait for their receipt."""
    await tx.execute(
        "select from access_grant where id = any(%s) order by id for update", (list(grant_ids),)
    )
    return tuple(
        grant
        for grant in await get_grants(tx, grant_ids)
        if grant.state == GrantState.REVOKING and grant.ended_at is not None
    )


async def list_due(tx: Tx, limit: int = 500) -> tuple[GrantId, ...]:
    """List live grants whose deadline has come."""
    cursor = await tx.execute(
        """
        select id from access_grant
        where state in ('scheduled', 'active') and deadline <= clock_timestamp()
        order by deadline limit %s
        """,
        (limit,),
    )
    return tuple(GrantId(row[0]) for row in await cursor.fetchall())


async def list_starting(tx: Tx, limit: int = 500) -> tuple[GrantId, ...]:
    """List scheduled grants whose start has come."""
    cursor = await tx.execute(
        """
        select id from access_grant where state = 'scheduled' and starts_at <= clock_timestamp()
        order by starts_at limit %s
        """,
        (limit,),
    )
    return tuple(GrantId(row[0]) for row in await cursor.fetchall())


async def next_moment(tx: Tx) -> float | None:
    """Return the seconds until a grant next starts or ends or a request expires, if any will."""
    cursor = await tx.execute(
        """
        select extract(epoch from min(moment) - clock_timestamp())::float8 from (
          select min(deadline) as moment from access_grant where state in ('scheduled', 'active')
          union all
          select min(starts_at) from access_grant where state = 'scheduled'
          union all
          select min(pending_until) from request where state = 'pending'
        ) as moments
        """
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def list_revoking(tx: Tx) -> tuple[GrantId, ...]:
    """List grants that wait for their receipt."""
    cursor = await tx.execute("select id from access_grant where state = 'revoking' order by id")
    return tuple(GrantId(row[0]) for row in await cursor.fetchall())


async def list_to_close(tx: Tx) -> tuple[tuple[GrantId, InstanceId], ...]:
    """List grants that wait for their receipt, with the instances they are closed on."""
    cursor = await tx.execute(
        """
        select g.id, d.instance_id from access_grant g join database d on d.id = g.database_id
        where g.state = 'revoking' order by g.id
        """
    )
    return tuple((GrantId(row[0]), InstanceId(row[1])) for row in await cursor.fetchall())


async def list_unreviewed(tx: Tx) -> tuple[GrantId, ...]:
    """List break-glass grants that should have been judged by now."""
    cursor = await tx.execute(
        """
        select g.id from access_grant g
        where g.break_glass and (g.review->>'due_at')::timestamptz <= clock_timestamp()
          and not exists (select from break_glass_review w where w.grant_id = g.id)
        order by g.id
        """
    )
    return tuple(GrantId(row[0]) for row in await cursor.fetchall())


async def start_grant(tx: Tx, grant_id: GrantId) -> None:
    """Move a scheduled grant to active."""
    await tx.execute(
        "update access_grant set state = 'active', revision = revision + 1 where id = %s",
        (grant_id,),
    )


async def end_grant(
    tx: Tx, grant_id: GrantId, cause: GrantEnd, *, by: PrincipalId | None, reason: str
) -> None:
    """Move a live grant to revoking."""
    await tx.execute(
        """
        update access_grant set state = 'revoking', end_cause = %s, ended_by = %s, end_reason = %s,
          ended_at = clock_timestamp(), revision = revision + 1
        where id = %s
        """,
        (cause, by, reason, grant_id),
    )


async def end_grants(tx: Tx, grant_ids: Sequence[GrantId], cause: GrantEnd, *, reason: str) -> None:
    """Move live grants the caller has locked to revoking; nobody's doing."""
    await tx.execute(
        """
        update access_grant set state = 'revoking', end_cause = %s, end_reason = %s,
          ended_at = clock_timestamp(), revision = revision + 1
        where id = any(%s)
        """,
        (cause, reason, list(grant_ids)),
    )


async def finish_grants(tx: Tx, grant_ids: Sequence[GrantId]) -> None:
    """Move revoking grants to revoked; their receipts are written in the same transaction."""
    await tx.execute(
        """
        update access_grant set state = 'revoked', revoke_error = '', revision = revision + 1
        where id = any(%s)
        """,
        (list(grant_ids),),
    )


async def note_revoke_attempts(tx: Tx, grant_ids: Sequence[GrantId], error: str) -> None:
    """Count an attempt to revoke grants and keep why it failed."""
    await tx.execute(
        """
        update access_grant set revoke_attempts = revoke_attempts + 1, revoke_error = %s
        where id = any(%s) and state = 'revoking'
        """,
        (error, list(grant_ids)),
    )


async def note_unreachable(
    tx: Tx, instance_id: InstanceId, tried: Sequence[GrantId], error: str
) -> None:
    """Count an attempt for every grant to be revoked on an instance but those that were tried."""
    await tx.execute(
        """
        update access_grant set revoke_attempts = revoke_attempts + 1, revoke_error = %s
        where state = 'revoking' and id <> all(%s)
          and database_id in (select id from database where instance_id = %s)
        """,
        (error, list(tried), instance_id),
    )


async def move_deadline(tx: Tx, grant_id: GrantId, deadline: datetime) -> None:
    """Set a new deadline."""
    await tx.execute(
        "update access_grant set deadline = %s, revision = revision + 1 where id = %s",
        (deadline, grant_id),
    )
    await tell(tx, Hint.GRANT_MOVED, grant_id)


async def set_scope(
    tx: Tx,
    grant_id: GrantId,
    scope_hash: ScopeHash,
    policy_version: PolicyVersion,
    catalog_version: CatalogVersion | None,
) -> None:
    """Note which scope a grant now stands for."""
    await tx.execute(
        """
        update access_grant set scope_hash = %s, policy_version = %s, catalog_version = %s
        where id = %s
        """,
        (scope_hash, policy_version, catalog_version, grant_id),
    )


async def scope_needed(tx: Tx, database_id: DatabaseId, scope_hash: ScopeHash) -> bool:
    """Say whether any grant that is not closed yet stands for a scope."""
    cursor = await tx.execute(
        """
        select exists (
          select from access_grant where database_id = %(database)s and scope_hash = %(hash)s
            and state in ('scheduled', 'active', 'revoking')
        ) or exists (
          select from session s join access_grant g on g.id = s.grant_id
          where g.database_id = %(database)s and s.scope_hash = %(hash)s and s.state <> 'closed'
        )
        """,
        {"database": database_id, "hash": scope_hash},
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def insert_review(
    tx: Tx, grant_id: GrantId, *, reviewer_id: PrincipalId, verdict: str, comment: str
) -> None:
    """Keep the review of a break-glass grant; a constraint refuses its principal's own."""
    await tx.execute(
        """
        insert into break_glass_review (grant_id, reviewer_id, verdict, comment)
        values (%s, %s, %s, %s)
        """,
        (grant_id, reviewer_id, verdict, comment),
    )

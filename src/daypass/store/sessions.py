"""Sessions: known here before their account exists on the target, until it is gone again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from daypass.domain.errors import Conflict
from daypass.domain.ids import GrantId, InstanceId, PrincipalId, ScopeHash, SessionId, TokenId
from daypass.domain.states import SessionState
from daypass.store.database import Tx, lock_key


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as stored."""

    id: SessionId
    grant_id: GrantId
    principal: str
    database: str
    instance_id: InstanceId
    kind: str
    account: str
    scope_hash: ScopeHash
    process_id: uuid.UUID
    state: str
    backend_id: int | None
    address: str
    application: str
    opened_at: datetime
    closed_at: datetime | None
    close_reason: str


_SELECT = """
    select s.id, s.grant_id, p.email as principal, i.name || '/' || d.name as database,
      d.instance_id, s.kind, s.account, s.scope_hash, s.process_id, s.state, s.backend_id,
      s.address, s.application, s.opened_at, s.closed_at, s.close_reason
    from session s
    join access_grant g on g.id = s.grant_id
    join principal p on p.id = g.principal_id
    join database d on d.id = g.database_id
    join instance i on i.id = d.instance_id
"""


_INSERT = """
    with next as (
      select nextval(pg_get_serial_sequence('session', 'id')) as id
    )
    insert into session (
      id, grant_id, kind, account, scope_hash, process_id, address, application, token_id
    ) overriding system value
    select id, %(grant)s, %(kind)s, 'dp_g_' || %(grant)s || '_' || id, %(hash)s, %(process)s,
      %(address)s, %(application)s, %(token)s
    from next returning id, account
"""


MOST_BY_GATEWAY = 50
_MOST = {"query": 10, "direct": 4, "gateway": MOST_BY_GATEWAY}
"""How many sessions of a kind one principal has open on an instance at a time, unless told so.

Its connections are the customer's own: one caller must not take them all.
"""


def already_issued(grant_id: GrantId) -> Conflict:
    """Return the error of whoever asks for a grant's direct credential once more."""
    return Conflict(
        f"the credential of grant {grant_id} was shown already",
        next_step=f"daypass release {grant_id} ends it; then ask again",
        code="already_issued",
    )


async def insert_session(
    tx: Tx,
    *,
    grant_id: GrantId,
    kind: str,
    scope_hash: ScopeHash,
    process_id: uuid.UUID,
    address: str,
    application: str,
    token_id: TokenId | None = None,
    most: int | None = None,
    of: tuple[PrincipalId, InstanceId] | None = None,
) -> tuple[SessionId, str]:
    """Note a session that is about to be opened; return its number and its account's name.

    `of` is whose grant it is and on which instance, for a caller that has looked already. Raises
    `Conflict` for a second direct credential of a grant, and for more than `most` at a time.
    """
    await _require_room(tx, grant_id, kind, most or _MOST.get(kind), of)
    try:
        cursor = await tx.execute(
            _INSERT,
            {
                "grant": grant_id,
                "kind": kind,
                "hash": scope_hash,
                "process": process_id,
                "address": address,
                "application": application,
                "token": token_id,
            },
        )
    except UniqueViolation as error:
        if error.diag.constraint_name != "session_one_credential":
            raise
        raise already_issued(grant_id) from error
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return SessionId(row[0]), row[1]


async def _require_room(
    tx: Tx,
    grant_id: GrantId,
    kind: str,
    most: int | None,
    of: tuple[PrincipalId, InstanceId] | None,
) -> None:
    if most is None:
        return
    row: tuple[int, int] | None = of
    if row is None:
        grant = await tx.execute(
            """
            select g.principal_id, d.instance_id
            from access_grant g join database d on d.id = g.database_id where g.id = %s
            """,
            (grant_id,),
        )
        row = await grant.fetchone()
    if row is None:
        return
    # Until the transaction ends: two at once would both be the last there is room for.
    await tx.execute("select pg_advisory_xact_lock(%s)", (lock_key("sessions of", *row),))
    counted = await tx.execute(
        """
        select count(*) from session s
        join access_grant g on g.id = s.grant_id
        join database d on d.id = g.database_id
        where s.state <> 'closed' and s.state <> 'closing' and s.kind = %s
          and g.principal_id = %s and d.instance_id = %s
        """,
        (kind, *row),
    )
    found = await counted.fetchone()
    if found is not None and found[0] >= most:
        raise Conflict(
            f"you have {most} sessions open there, and no more at a time",
            next_step="wait until one of them ends",
            code="too_many_sessions",
        )


@dataclass(frozen=True, slots=True)
class MarkedOpen:
    """The grant's deadline and the store's clock, at the moment a session was marked open."""

    deadline: datetime
    at: datetime


async def mark_open(tx: Tx, session_id: SessionId, backend_id: int | None) -> MarkedOpen | None:
    """Move a session from opening to open; None when it was ended meanwhile.

    Returns the grant's deadline as it is now: it may have moved since the account was made.
    """
    cursor = await tx.execute(
        """
        update session s set state = 'open', backend_id = %s
        from access_grant g where s.id = %s and s.state = 'opening' and g.id = s.grant_id
        returning g.deadline, clock_timestamp()
        """,
        (backend_id, session_id),
    )
    row = await cursor.fetchone()
    return MarkedOpen(row[0], row[1]) if row else None


async def mark_all_closing(tx: Tx, session_ids: Sequence[SessionId], reason: str) -> None:
    """Move sessions to closing; those that are already, or closed, stay as they are."""
    await tx.execute(
        """
        update session set state = 'closing', close_reason = %s
        where id = any(%s) and state in ('opening', 'open')
        """,
        (reason, list(session_ids)),
    )


async def mark_all_closed(tx: Tx, session_ids: Sequence[SessionId]) -> frozenset[SessionId]:
    """Move closing sessions to closed; return those that were not closed before."""
    cursor = await tx.execute(
        """
        update session set state = 'closed', closed_at = clock_timestamp()
        where id = any(%s) and state = 'closing' returning id
        """,
        (list(session_ids),),
    )
    return frozenset(SessionId(row[0]) for row in await cursor.fetchall())


async def list_unclosed(tx: Tx, grant_ids: Sequence[GrantId]) -> tuple[SessionRow, ...]:
    """List the sessions of grants whose accounts may still be on a target."""
    async with tx.cursor(row_factory=class_row(SessionRow)) as cursor:
        await cursor.execute(
            _SELECT + "where s.grant_id = any(%s) and s.state <> 'closed' order by s.id",
            (list(grant_ids),),
        )
        return tuple(await cursor.fetchall())


async def of_tokens(tx: Tx, token_ids: Sequence[TokenId]) -> tuple[SessionRow, ...]:
    """List the sessions of gateways opened with some access tokens that nobody has ended yet."""
    async with tx.cursor(row_factory=class_row(SessionRow)) as cursor:
        await cursor.execute(
            _SELECT
            + """
            where s.token_id = any(%s) and s.kind = 'gateway' and s.state in ('opening', 'open')
            order by s.id
            """,
            (list(token_ids),),
        )
        return tuple(await cursor.fetchall())


async def mark_closing(tx: Tx, session_id: SessionId, reason: str) -> bool:
    """Move a session to closing; False when it already was, or is closed."""
    cursor = await tx.execute(
        """
        update session set state = 'closing', close_reason = %s
        where id = %s and state in ('opening', 'open')
        """,
        (reason, session_id),
    )
    return cursor.rowcount == 1


async def mark_strays_closing(
    tx: Tx, process_id: uuid.UUID, opening_s: float, reason: str
) -> tuple[SessionId, ...]:
    """Move a process's sessions through the gateway to closing that are being opened for so long.

    Returns them.
    """
    cursor = await tx.execute(
        """
        update session set state = 'closing', close_reason = %s
        where process_id = %s and kind = 'gateway' and state = 'opening'
          and opened_at < clock_timestamp() - make_interval(secs => %s)
        returning id
        """,
        (reason, process_id, opening_s),
    )
    return tuple(SessionId(row[0]) for row in await cursor.fetchall())


async def mark_closed(tx: Tx, session_id: SessionId) -> bool:
    """Move a closing session to closed: its account is gone from the target."""
    cursor = await tx.execute(
        """
        update session set state = 'closed', closed_at = clock_timestamp()
        where id = %s and state = 'closing'
        """,
        (session_id,),
    )
    return cursor.rowcount == 1


async def get_session(tx: Tx, session_id: SessionId) -> SessionRow | None:
    """Return a session."""
    async with tx.cursor(row_factory=class_row(SessionRow)) as cursor:
        await cursor.execute(_SELECT + "where s.id = %s", (session_id,))
        return await cursor.fetchone()


async def list_sessions(
    tx: Tx,
    *,
    grant_id: GrantId | None = None,
    principal_id: int | None = None,
    database_id: int | None = None,
    instance_id: InstanceId | None = None,
    states: tuple[SessionState, ...] = (),
    before: int | None = None,
    limit: int | None = 50,
) -> tuple[SessionRow, ...]:
    """List sessions, newest first; filters are ANDed, no states mean all."""
    async with tx.cursor(row_factory=class_row(SessionRow)) as cursor:
        await cursor.execute(
            _SELECT
            + """
            where (%(grant)s::bigint is null or s.grant_id = %(grant)s)
              and (%(principal)s::bigint is null or g.principal_id = %(principal)s)
              and (%(database)s::bigint is null or g.database_id = %(database)s)
              and (%(instance)s::bigint is null or d.instance_id = %(instance)s)
              and (%(states)s::text[] = '{}' or s.state = any(%(states)s))
              and (%(before)s::bigint is null or s.id < %(before)s)
            order by s.id desc limit %(limit)s
            """,
            {
                "grant": grant_id,
                "principal": principal_id,
                "database": database_id,
                "instance": instance_id,
                "states": [state.value for state in states],
                "before": before,
                "limit": limit,
            },
        )
        return tuple(await cursor.fetchall())


UNCLOSED = (SessionState.OPENING, SessionState.OPEN, SessionState.CLOSING)


async def list_abandoned(
    tx: Tx, silent_s: float, instance_id: InstanceId | None = None
) -> tuple[SessionRow, ...]:
    """List sessions whose process has not been seen for so long, but for direct credentials.

    Sessions left in closing are among them once their process is silent: nobody else finishes them.
    """
    async with tx.cursor(row_factory=class_row(SessionRow)) as cursor:
        await cursor.execute(
            _SELECT
            + """
            left join process q on q.id = s.process_id
            where s.state <> 'closed'
              and (%(instance)s::bigint is null or d.instance_id = %(instance)s)
              and (s.kind <> 'direct' or s.state <> 'open')
              and (
                q.id is null or q.seen_at < clock_timestamp() - make_interval(secs => %(silent)s)
              )
              and s.opened_at < clock_timestamp() - make_interval(secs => %(silent)s)
            order by s.id
            """,
            {"instance": instance_id, "silent": silent_s},
        )
        return tuple(await cursor.fetchall())


@dataclass(frozen=True, slots=True)
class WatchedSession:
    """What whoever holds a session's connection has to know of it, again and again."""

    id: SessionId
    state: str
    close_reason: str
    grant_id: GrantId
    grant_state: str
    deadline: datetime
    end_cause: str | None
    end_reason: str


async def watch_sessions(
    tx: Tx, session_ids: Sequence[SessionId]
) -> tuple[datetime, tuple[WatchedSession, ...]]:
    """Return the store's clock, and what has become of some sessions and their grants."""
    cursor = await tx.execute(
        """
        select clock_timestamp(), s.id, s.state, s.close_reason, g.id, g.state, g.deadline,
          g.end_cause, g.end_reason
        from (values (1)) as one
        left join session s on s.id = any(%s)
        left join access_grant g on g.id = s.grant_id
        """,
        (list(session_ids),),
    )
    rows = await cursor.fetchall()
    found = tuple(WatchedSession(*row[1:]) for row in rows if row[1] is not None)
    return rows[0][0], found

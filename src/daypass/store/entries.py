"""Entries of the audit log: appended in the transaction they describe, read back, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from daypass.audit.entry import Entry, EntryKind, canonical, digest
from daypass.domain.ids import EntryId
from daypass.store.database import Tx, now


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as stored; `database` is a path, `subject` the address of whom it is about."""

    id: EntryId
    at: datetime
    kind: str
    actor: str | None
    on_behalf_of: str | None
    address: str
    application: str
    database_id: int | None
    request_id: int | None
    grant_id: int | None
    session_id: int | None
    rule: str | None
    content: dict[str, Any]
    canonical: str
    digest: bytes
    database: str | None
    subject: str | None


_SELECT = """
    select e.id, e.at, e.kind, a.email as actor, b.email as on_behalf_of, e.address,
      e.application, e.database_id, e.request_id, e.grant_id, e.session_id, e.rule,
      e.content, e.canonical, e.digest, i.name || '/' || d.name as database, s.email as subject
    from entry e
    left join principal a on a.id = e.actor_id
    left join principal b on b.id = e.on_behalf_of
    left join database d on d.id = e.database_id
    left join instance i on i.id = d.instance_id
    left join principal s on to_jsonb(s.id) = e.content -> 'principal'
"""
_INSERT = """
    insert into entry (
      at, kind, actor_id, on_behalf_of, address, application, database_id, request_id,
      grant_id, session_id, rule, content, canonical, digest
    ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


async def append(tx: Tx, entry: Entry, *, at: datetime | None = None) -> EntryId:
    """Append one entry; it becomes true with the transaction.

    `at` is the store's clock, where the caller has read it since it took its locks.
    """
    cursor = await tx.execute(_INSERT + "returning id", _values(entry, at or await now(tx)))
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return EntryId(row[0])


async def append_all(tx: Tx, new: Sequence[Entry]) -> None:
    """Append entries of one moment in one go."""
    at = await now(tx)
    async with tx.cursor() as cursor:
        await cursor.executemany(_INSERT, [_values(entry, at) for entry in new])


def _values(entry: Entry, at: datetime) -> tuple[object, ...]:
    text = canonical(entry, at)
    return (
        at,
        entry.kind.value,
        entry.actor_id,
        entry.on_behalf_of,
        entry.address,
        entry.application,
        entry.database_id,
        entry.request_id,
        entry.grant_id,
        entry.session_id,
        entry.rule,
        Jsonb(dict(entry.content)),
        text,
        digest(text),
    )


async def list_entries(
    tx: Tx,
    *,
    kind: str | None = None,
    actor_id: int | None = None,
    database_id: int | None = None,
    request_id: int | None = None,
    grant_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[StoredEntry, ...]:
    """List entries, newest first, `before` an entry's number; filters are ANDed.

    Those of a grant are also those of the requests that led to it and to more time on it.
    """
    requests = await _requests_of(tx, grant_id) if grant_id is not None else []
    async with tx.cursor(row_factory=class_row(StoredEntry)) as cursor:
        await cursor.execute(
            _SELECT
            + """
            where (%(kind)s::text is null or e.kind = %(kind)s or e.kind like %(kind)s || '.%%')
              and (%(actor)s::bigint is null or e.actor_id = %(actor)s)
              and (%(database)s::bigint is null or e.database_id = %(database)s)
              and (%(request)s::bigint is null or e.request_id = %(request)s)
              and (%(grant)s::bigint is null or e.grant_id = %(grant)s
                   or e.grant_id is null and e.request_id = any(%(requests)s::bigint[]))
              and (%(before)s::bigint is null or e.id < %(before)s)
            order by e.id desc
            limit %(limit)s
            """,
            {
                "kind": kind,
                "actor": actor_id,
                "database": database_id,
                "request": request_id,
                "grant": grant_id,
                "requests": requests,
                "before": before,
                "limit": limit,
            },
        )
        return tuple(await cursor.fetchall())


async def get_entry(
    tx: Tx, entry_id: EntryId, *, actor_id: int | None = None
) -> StoredEntry | None:
    """Return one entry, if there is one, and by that actor if one is named."""
    async with tx.cursor(row_factory=class_row(StoredEntry)) as cursor:
        await cursor.execute(
            _SELECT
            + """
            where e.id = %(id)s and (%(actor)s::bigint is null or e.actor_id = %(actor)s)
            """,
            {"id": entry_id, "actor": actor_id},
        )
        return await cursor.fetchone()


async def _requests_of(tx: Tx, grant_id: int) -> list[int]:
    cursor = await tx.execute(
        """
        select request_id from access_grant where id = %(grant)s
        union select id from request where extends_grant_id = %(grant)s
        """,
        {"grant": grant_id},
    )
    return [row[0] for row in await cursor.fetchall()]


async def last_content(
    tx: Tx, kind: EntryKind, key: str, value: int | str
) -> dict[str, Any] | None:
    """Return the content of the newest entry of a kind that says so of a key, if there is one."""
    cursor = await tx.execute(
        """
        select content from entry where kind = %s and content -> %s::text = %s
        order by id desc limit 1
        """,
        (kind.value, key, Jsonb(value)),
    )
    row = await cursor.fetchone()
    return row[0] if row else None

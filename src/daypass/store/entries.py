"""Entries of the audit log: appended in the transaction they describe, read back, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from daypass.audit.entry import Entry, canonical, digest
from daypass.domain.ids import EntryId
from daypass.store.database import Tx, now


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as stored."""

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


async def append(tx: Tx, entry: Entry) -> EntryId:
    """Append one entry; it becomes true with the transaction."""
    at = await now(tx)
    text = canonical(entry, at)
    cursor = await tx.execute(
        """
        insert into entry (
          at, kind, actor_id, on_behalf_of, address, application, database_id, request_id,
          grant_id, session_id, rule, content, canonical, digest
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        returning id
        """,
        (
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
        ),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return EntryId(row[0])


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
    """List entries, newest first, `before` an entry's number; filters are ANDed."""
    async with tx.cursor(row_factory=class_row(StoredEntry)) as cursor:
        await cursor.execute(
            """
            select e.id, e.at, e.kind, a.email as actor, b.email as on_behalf_of, e.address,
              e.application, e.database_id, e.request_id, e.grant_id, e.session_id, e.rule,
              e.content, e.canonical, e.digest
            from entry e
            left join principal a on a.id = e.actor_id
            left join principal b on b.id = e.on_behalf_of
            where (%(kind)s::text is null or e.kind = %(kind)s or e.kind like %(kind)s || '.%%')
              and (%(actor)s::bigint is null or e.actor_id = %(actor)s)
              and (%(database)s::bigint is null or e.database_id = %(database)s)
              and (%(request)s::bigint is null or e.request_id = %(request)s)
              and (%(grant)s::bigint is null or e.grant_id = %(grant)s)
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
                "before": before,
                "limit": limit,
            },
        )
        return tuple(await cursor.fetchall())

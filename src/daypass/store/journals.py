"""Journals of gateways: what of each is in the store, exactly once and in order."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import ForeignKeyViolation
from psycopg.rows import class_row

from daypass.domain.errors import Conflict
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A journal as stored: its records up to `last_sequence` are entries."""

    id: uuid.UUID
    process_id: uuid.UUID
    host: str
    last_sequence: int
    opened_at: datetime
    shipped_at: datetime | None
    closed_at: datetime | None


_SELECT = """
    select id, process_id, host, last_sequence, opened_at, shipped_at, closed_at from journal
"""


async def insert_journal(tx: Tx, journal_id: uuid.UUID, process_id: uuid.UUID, host: str) -> bool:
    """Note a journal; False when it is known already."""
    cursor = await tx.execute(
        """
        insert into journal (id, process_id, host) values (%s, %s, %s)
        on conflict on constraint journal_pkey do nothing
        """,
        (journal_id, process_id, host),
    )
    return cursor.rowcount == 1


async def hold_journal(tx: Tx, journal_id: uuid.UUID) -> JournalRow | None:
    """Return a journal, and let nobody else ship it until the transaction ends."""
    async with tx.cursor(row_factory=class_row(JournalRow)) as cursor:
        await cursor.execute(_SELECT + "where id = %s for update", (journal_id,))
        return await cursor.fetchone()


async def get_journal(tx: Tx, journal_id: uuid.UUID) -> JournalRow | None:
    """Return a journal."""
    async with tx.cursor(row_factory=class_row(JournalRow)) as cursor:
        await cursor.execute(_SELECT + "where id = %s", (journal_id,))
        return await cursor.fetchone()


async def list_unclosed(tx: Tx, host: str | None = None) -> tuple[JournalRow, ...]:
    """List the journals that are not wholly in the store yet, of one machine or all."""
    async with tx.cursor(row_factory=class_row(JournalRow)) as cursor:
        await cursor.execute(
            _SELECT
            + "where closed_at is null and (%(host)s::text is null or host = %(host)s)"
            + " order by opened_at",
            {"host": host},
        )
        return tuple(await cursor.fetchall())


async def append_records(tx: Tx, held: JournalRow, first: int, texts: Sequence[str]) -> int:
    """Append records, canonical entries, of a held journal; what is there already is left out.

    Returns the last record that is there now. Raises `Conflict` when records between are missing:
    nobody can leave any out.
    """
    if held.closed_at is not None:
        raise Conflict(f"journal {held.id} is closed", code="journal_closed")
    if first > held.last_sequence + 1:
        raise Conflict(
            f"journal {held.id} has records {held.last_sequence + 1} to {first - 1} that are"
            " neither in the store nor among those shipped",
            code="journal_gap",
        )
    fresh = texts[held.last_sequence + 1 - first :]
    if not fresh:
        return held.last_sequence
    values = {"texts": list(fresh), "journal": held.id, "shipped": held.last_sequence}
    try:
        async with tx.transaction():
            await tx.execute(_INSERT, {**values, "loose": False})
    except ForeignKeyViolation:
        # The store was restored from before what an entry tells of. Its text says all the same
        # whom and what it meant, and nothing may hold up those behind it.
        await tx.execute(_INSERT, {**values, "loose": True})
    last = held.last_sequence + len(fresh)
    await tx.execute(
        "update journal set last_sequence = %s, shipped_at = clock_timestamp() where id = %s",
        (last, held.id),
    )
    return last


async def close_journal(tx: Tx, journal_id: uuid.UUID) -> bool:
    """Note that nothing comes of a journal any more; False when it was noted before."""
    cursor = await tx.execute(
        "update journal set closed_at = clock_timestamp() where id = %s and closed_at is null",
        (journal_id,),
    )
    return cursor.rowcount == 1


_INSERT = """
    insert into entry (
      at, kind, schema_version, actor_id, on_behalf_of, address, application, database_id,
      request_id, grant_id, session_id, rule, content, canonical, digest, journal_id, sequence
    )
    select (d->>'at')::timestamptz, d->>'kind', (d->>'version')::smallint,
      case when %(loose)s then (select id from principal where id = (d->>'actor')::bigint)
        else (d->>'actor')::bigint end,
      case when %(loose)s then (select id from principal where id = (d->>'on_behalf_of')::bigint)
        else (d->>'on_behalf_of')::bigint end,
      d->>'address', d->>'application',
      case when %(loose)s then (select id from database where id = (d->>'database')::bigint)
        else (d->>'database')::bigint end,
      case when %(loose)s then (select id from request where id = (d->>'request')::bigint)
        else (d->>'request')::bigint end,
      case when %(loose)s then (select id from access_grant where id = (d->>'grant')::bigint)
        else (d->>'grant')::bigint end,
      case when %(loose)s then (select id from session where id = (d->>'session')::bigint)
        else (d->>'session')::bigint end,
      d->>'rule', d->'content', t, sha256(convert_to(t, 'UTF8')), %(journal)s, %(shipped)s + n
    from unnest(%(texts)b::text[]) with ordinality as given (t, n)
    cross join lateral (select t::jsonb as d offset 0) as read
    order by n
"""

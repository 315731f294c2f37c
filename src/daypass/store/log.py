"""The log's place in the store: which leaf an entry is, what was signed, keys of subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from daypass.domain.ids import EntryId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry without a place: its number and canonical text."""

    id: EntryId
    canonical: str


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry with its place: `hash` is that of its leaf."""

    index: int
    id: EntryId
    hash: bytes
    canonical: str


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as it was signed; `note` is its text with signatures."""

    size: int
    root: bytes
    note: str
    signed_at: datetime


async def anything_waits(tx: Tx) -> bool:
    """Say whether there is an entry without a place."""
    cursor = await tx.execute("select exists (select from log_waiting)")
    row = await cursor.fetchone()
    return bool(row and row[0])


async def take_waiting(tx: Tx, limit: int) -> list[Waiting]:
    """Take entries out of those that wait, in the order of their numbers.

    Records of one journal come in their order: its batches are inserted one after the other.
    """
    async with tx.cursor(row_factory=class_row(Waiting), binary=True) as cursor:
        await cursor.execute(
            """
            with taken as (
              delete from log_waiting where entry_id = any(array(
                select entry_id from log_waiting order by entry_id limit %s
              )) returning entry_id
            )
            select e.id, e.canonical from taken join entry e on e.id = taken.entry_id order by e.id
            """,
            (limit,),
        )
        return await cursor.fetchall()


async def log_size(tx: Tx) -> int:
    """Return how many entries have a place."""
    cursor = await tx.execute("select coalesce(max(index) + 1, 0) from log_place")
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def insert_places(
    tx: Tx, first: int, entry_ids: Sequence[EntryId], hashes: Sequence[bytes]
) -> None:
    """Give entries their places, from `first` on."""
    await tx.execute(
        """
        insert into log_place (index, entry_id, hash)
        select %s + n - 1, id, hash
        from unnest(%b::bigint[], %b::bytea[]) with ordinality as given (id, hash, n)
        """,
        (first, list(entry_ids), list(hashes)),
    )


async def list_placed(tx: Tx, first: int, limit: int) -> list[Placed]:
    """List entries by their places, from one on."""
    async with tx.cursor(row_factory=class_row(Placed), binary=True) as cursor:
        await cursor.execute(
            """
            select p.index, p.entry_id as id, p.hash, coalesce(e.canonical, '') as canonical
            from log_place p left join entry e on e.id = p.entry_id
            where p.index >= %s order by p.index limit %s
            """,
            (first, limit),
        )
        return await cursor.fetchall()


async def find_place(tx: Tx, entry_id: EntryId) -> int | None:
    """Return which leaf an entry is, once it has its place."""
    cursor = await tx.execute("select index from log_place where entry_id = %s", (entry_id,))
    row = await cursor.fetchone()
    return int(row[0]) if row else None


async def last_checkpoint(tx: Tx) -> SignedCheckpoint | None:
    """Return the checkpoint that was signed last."""
    return await _checkpoint(tx, None)


async def find_checkpoint(tx: Tx, size: int) -> SignedCheckpoint | None:
    """Return the checkpoint that was signed at a size."""
    return await _checkpoint(tx, size)


async def _checkpoint(tx: Tx, size: int | None) -> SignedCheckpoint | None:
    async with tx.cursor(row_factory=class_row(SignedCheckpoint)) as cursor:
        await cursor.execute(
            """
            select size, root, note, signed_at from log_checkpoint
            where %(size)s::bigint is null or size = %(size)s order by size desc limit 1
            """,
            {"size": size},
        )
        return await cursor.fetchone()


async def insert_checkpoint(tx: Tx, size: int, root: bytes, note: str) -> None:
    """Note a checkpoint before anybody sees it; a second one of the same size is refused."""
    await tx.execute(
        "insert into log_checkpoint (size, root, note) values (%s, %s, %s)", (size, root, note)
    )


async def find_subject_keys(tx: Tx, subjects: Sequence[str]) -> dict[str, str | None]:
    """Return the sealed keys of those subjects that have one; None where it was erased."""
    cursor = await tx.execute(
        "select subject, key from subject_key where subject = any(%s)", (list(subjects),)
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def insert_subject_keys(tx: Tx, sealed: Sequence[tuple[str, str]]) -> None:
    """Note keys of subjects that have none; whoever comes second changes nothing."""
    await tx.execute(
        """
        insert into subject_key (subject, key)
        select * from unnest(%s::text[], %s::text[])
        on conflict on constraint subject_key_pkey do nothing
        """,
        ([each[0] for each in sealed], [each[1] for each in sealed]),
    )


async def count_loose(tx: Tx) -> int:
    """Count entries that neither have a place nor wait for one, or have a place and no row."""
    cursor = await tx.execute(
        """
        select abs((select count(*) from entry)
          - (select count(*) from log_place) - (select count(*) from log_waiting))
        """
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def list_differing(tx: Tx, entry_ids: Sequence[EntryId]) -> list[EntryId]:
    """List those of the entries whose columns do not say what their canonical text says.

    A reference may be missing where what it leads to is not in the store either.
    """
    cursor = await tx.execute(
        """
        select e.id from entry e
        cross join lateral (select e.canonical::jsonb as d offset 0) as read
        where e.id = any(%s) and not (
          e.at = (d->>'at')::timestamptz
          and e.kind = d->>'kind'
          and e.schema_version = (d->>'version')::smallint
          and e.address = d->>'address'
          and e.application = d->>'application'
          and e.rule is not distinct from d->>'rule'
          and e.content = d->'content'
          and e.digest = sha256(convert_to(e.canonical, 'UTF8'))
          and (d->'content'->>'sequence' is null or e.journal_id is null
            or e.sequence::text = d->'content'->>'sequence')
          and (e.actor_id is not distinct from (d->>'actor')::bigint or e.actor_id is null
            and not exists (select from principal where id = (d->>'actor')::bigint))
          and (e.on_behalf_of is not distinct from (d->>'on_behalf_of')::bigint
            or e.on_behalf_of is null
            and not exists (select from principal where id = (d->>'on_behalf_of')::bigint))
          and (e.database_id is not distinct from (d->>'database')::bigint
            or e.database_id is null
            and not exists (select from database where id = (d->>'database')::bigint))
          and (e.request_id is not distinct from (d->>'request')::bigint or e.request_id is null
            and not exists (select from request where id = (d->>'request')::bigint))
          and (e.grant_id is not distinct from (d->>'grant')::bigint or e.grant_id is null
            and not exists (select from access_grant where id = (d->>'grant')::bigint))
          and (e.session_id is not distinct from (d->>'session')::bigint or e.session_id is null
            and not exists (select from session where id = (d->>'session')::bigint))
        )
        order by e.id
        """,
        (list(entry_ids),),
    )
    return [EntryId(row[0]) for row in await cursor.fetchall()]

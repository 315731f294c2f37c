"""Suggested tags: never applied without a person's yes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from daypass.domain.catalog import ColumnName, RelationName
from daypass.domain.ids import DatabaseId, PrincipalId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Proposal:
    """A tag that a column's name, type or values suggest; `confidence` is between 0 and 1."""

    column: ColumnName
    tag: str
    confidence: float
    why: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A proposal as stored, with what somebody decided."""

    id: int
    database_id: DatabaseId
    schema_name: str
    relation_name: str
    column_name: str
    tag: str
    confidence: float
    why: str
    state: str
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime

    @property
    def column(self) -> ColumnName:
        """Return the column it is about."""
        return ColumnName(RelationName(self.schema_name, self.relation_name), self.column_name)


async def propose(tx: Tx, database_id: DatabaseId, proposals: Iterable[Proposal]) -> int:
    """Store proposals and return how many are new; what somebody decided stays decided."""
    rows = tuple(proposals)
    cursor = await tx.execute(
        """
        insert into tag_suggestion (
          database_id, schema_name, relation_name, column_name, tag, confidence, why
        )
        select %s, * from unnest(
          %s::text[], %s::text[], %s::text[], %s::text[], %s::real[], %s::text[]
        )
        on conflict (database_id, schema_name, relation_name, column_name, tag)
        do update set confidence = excluded.confidence, why = excluded.why
        where tag_suggestion.state = 'proposed'
        returning (xmax = 0)
        """,
        (
            database_id,
            [p.column.relation.schema for p in rows],
            [p.column.relation.name for p in rows],
            [p.column.name for p in rows],
            [p.tag for p in rows],
            [p.confidence for p in rows],
            [p.why for p in rows],
        ),
    )
    return sum(1 for row in await cursor.fetchall() if row[0])


async def withdraw_proposals(tx: Tx, database_id: DatabaseId, keep: Iterable[Proposal]) -> int:
    """Delete undecided suggestions but for those to `keep`: nothing suggests them any more."""
    rows = tuple(keep)
    cursor = await tx.execute(
        """
        delete from tag_suggestion
        where database_id = %s and state = 'proposed'
          and (schema_name, relation_name, column_name, tag) not in (
            select * from unnest(%s::text[], %s::text[], %s::text[], %s::text[])
          )
        """,
        (
            database_id,
            [p.column.relation.schema for p in rows],
            [p.column.relation.name for p in rows],
            [p.column.name for p in rows],
            [p.tag for p in rows],
        ),
    )
    return cursor.rowcount


async def lock_suggestion(tx: Tx, suggestion_id: int) -> Suggestion | None:
    """Return a suggestion and keep others from deciding it until the transaction ends."""
    async with tx.cursor(row_factory=class_row(Suggestion)) as cursor:
        await cursor.execute(
            """
            select s.id, s.database_id, s.schema_name, s.relation_name, s.column_name, s.tag,
              s.confidence, s.why, s.state, p.email as decided_by, s.decided_at, s.created_at
            from tag_suggestion s left join principal p on p.id = s.decided_by
            where s.id = %s
            for update of s
            """,
            (suggestion_id,),
        )
        return await cursor.fetchone()


async def list_suggestions(
    tx: Tx, database_id: DatabaseId, *, state: str | None = None
) -> tuple[Suggestion, ...]:
    """List the suggestions of a database by column, the surest first."""
    async with tx.cursor(row_factory=class_row(Suggestion)) as cursor:
        await cursor.execute(
            """
            select s.id, s.database_id, s.schema_name, s.relation_name, s.column_name, s.tag,
              s.confidence, s.why, s.state, p.email as decided_by, s.decided_at, s.created_at
            from tag_suggestion s left join principal p on p.id = s.decided_by
            where s.database_id = %(id)s and (%(state)s::text is null or s.state = %(state)s)
            order by s.schema_name, s.relation_name, s.column_name, s.confidence desc, s.tag
            """,
            {"id": database_id, "state": state},
        )
        return tuple(await cursor.fetchall())


async def decide(tx: Tx, suggestion_id: int, state: str, decided_by: PrincipalId) -> None:
    """Note that a person accepted or dismissed a suggestion."""
    await tx.execute(
        """
        update tag_suggestion set state = %s, decided_by = %s, decided_at = clock_timestamp()
        where id = %s
        """,
        (state, decided_by, suggestion_id),
    )

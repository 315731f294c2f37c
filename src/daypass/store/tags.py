"""Confirmed classification of databases: tags of relations and columns, and what was looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from daypass.domain.catalog import ColumnName, RelationName, Tags
from daypass.domain.ids import DatabaseId
from daypass.store.database import Tx


async def get_tags(tx: Tx, database_id: DatabaseId) -> Tags:
    """Return the classification of a database."""
    cursor = await tx.execute(
        """
        select schema_name, relation_name, null, tag from relation_tag where database_id = %(id)s
        union all
        select schema_name, relation_name, column_name, tag from column_tag
        where database_id = %(id)s
        union all
        select schema_name, relation_name, column_name, null from classified_column
        where database_id = %(id)s
        """,
        {"id": database_id},
    )
    relations: dict[RelationName, set[str]] = defaultdict(set)
    columns: dict[ColumnName, set[str]] = defaultdict(set)
    classified: set[ColumnName] = set()
    for schema, relation, column, tag in await cursor.fetchall():
        name = RelationName(schema, relation)
        if column is None:
            relations[name].add(tag)
        elif tag is None:
            classified.add(ColumnName(name, column))
        else:
            columns[ColumnName(name, column)].add(tag)
    return Tags(
        {name: frozenset(tags) for name, tags in relations.items()},
        {name: frozenset(tags) for name, tags in columns.items()},
        frozenset(classified),
    )


async def set_relation_tags(
    tx: Tx, database_id: DatabaseId, relation: RelationName, tags: Iterable[str]
) -> None:
    """Replace the tags of a relation."""
    await tx.execute(
        """
        delete from relation_tag
        where database_id = %s and schema_name = %s and relation_name = %s
        """,
        (database_id, relation.schema, relation.name),
    )
    await tx.execute(
        """
        insert into relation_tag (database_id, schema_name, relation_name, tag)
        select %s, %s, %s, tag from unnest(%s::text[]) as tag
        """,
        (database_id, relation.schema, relation.name, sorted(set(tags))),
    )


async def set_column_tags(
    tx: Tx, database_id: DatabaseId, column: ColumnName, tags: Iterable[str]
) -> None:
    """Replace the tags of a column, which counts as classified from then on."""
    place = (database_id, column.relation.schema, column.relation.name, column.name)
    await tx.execute(
        """
        delete from column_tag
        where database_id = %s and schema_name = %s and relation_name = %s and column_name = %s
        """,
        place,
    )
    await tx.execute(
        """
        insert into column_tag (database_id, schema_name, relation_name, column_name, tag)
        select %s, %s, %s, %s, tag from unnest(%s::text[]) as tag
        """,
        (*place, sorted(set(tags))),
    )
    await classify(tx, database_id, (column,))


async def classify(tx: Tx, database_id: DatabaseId, columns: Iterable[ColumnName]) -> None:
    """Say that somebody has looked at columns."""
    names = tuple(columns)
    await tx.execute(
        """
        insert into classified_column (database_id, schema_name, relation_name, column_name)
        select %s, * from unnest(%s::text[], %s::text[], %s::text[])
        on conflict do nothing
        """,
        (
            database_id,
            [c.relation.schema for c in names],
            [c.relation.name for c in names],
            [c.name for c in names],
        ),
    )


async def declassify(tx: Tx, database_id: DatabaseId, columns: Iterable[ColumnName]) -> None:
    """Say that nobody has looked at columns: policy's default for unclassified ones applies."""
    names = tuple(columns)
    await tx.execute(
        """
        delete from classified_column
        where database_id = %s and (schema_name, relation_name, column_name) in (
          select * from unnest(%s::text[], %s::text[], %s::text[])
        )
        """,
        (
            database_id,
            [c.relation.schema for c in names],
            [c.relation.name for c in names],
            [c.name for c in names],
        ),
    )

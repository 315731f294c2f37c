"""Read a few rows of a relation, to suggest tags; nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg import AsyncConnection, errors, sql

from daypass.domain.catalog import RelationName
from daypass.engines.postgres.quoting import relation_identifier

_MOST_ROWS: Final = 1000
_MOST_CHARACTERS: Final = 2000
_SCATTERED_FROM: Final = 50_000
_PAGES: Final = 20
_ROWS_OF_A_PAGE: Final = 50
_SETTINGS: Final = (
    "set transaction read only",
    "set local search_path = pg_catalog, pg_temp",
    "set local statement_timeout = '2s'",
    "set local lock_timeout = '500ms'",
    # An error instead of a policy: a policy would run the customer's code as the admin.
    "set local row_security = off",
)
_FACTS: Final = """
select c.relkind::text, c.reltuples::float8, c.relpages
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = %s and c.relname = %s
"""


async def sample(
    conn: AsyncConnection[Any], relation: RelationName, columns: Sequence[str], rows: int
) -> tuple[tuple[str | None, ...], ...]:
    """Read up to `rows` rows of some columns as text, each value cut to 2,000 characters.

    From all over a large table, else the first there are. Nothing comes of a view or a foreign
    table, of what the admin may not read or what takes over two seconds: no code of the customer's
    runs with the admin's rights. The connection must be idle.
    """
    rows = max(0, min(rows, _MOST_ROWS))
    if not columns or not rows:
        return ()
    try:
        async with conn.transaction(), conn.cursor() as cursor:
            for setting in _SETTINGS:
                await cursor.execute(setting)
            await cursor.execute(_FACTS, (relation.schema, relation.name))
            facts = await cursor.fetchone()
            if facts is None or facts[0] not in ("r", "p", "m"):
                return ()
            found: list[tuple[str | None, ...]] = []
            _, tuples, pages = facts
            if tuples >= _SCATTERED_FROM:
                # A partitioned table has no pages of its own.
                share = 100 * _PAGES / (pages if pages > 0 else tuples / _ROWS_OF_A_PAGE)
                found = await _read(cursor, relation, columns, rows, min(100.0, share))
            if len(found) < rows:
                found = await _read(cursor, relation, columns, rows)
            return tuple(found)
    except (
        errors.InsufficientPrivilege,
        errors.QueryCanceled,
        errors.LockNotAvailable,
        errors.UndefinedColumn,
        errors.ObjectNotInPrerequisiteState,
    ):
        return ()


async def _read(
    cursor: Any,
    relation: RelationName,
    columns: Sequence[str],
    rows: int,
    share: float | None = None,
) -> list[tuple[str | None, ...]]:
    """Read the first rows, or some at random out of a share of the pages in per cent."""
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    name, limit = relation_identifier(relation), sql.Literal(rows)
    if share is None:
        query = sql.SQL("select {} from {} limit {}").format(listed, name, limit)
    else:
        query = sql.SQL(
            "select {0} from (select {0} from {1} tablesample system ({2}) limit {3}) as sampled"
            " order by pg_catalog.random() limit {4}"
        ).format(listed, name, sql.Literal(share), sql.Literal(20 * rows), limit)
    await cursor.execute(query)
    result = cursor.pgresult
    # As the server writes them: a cast to text could be a function of the customer's.
    return [
        tuple(_text(result.get_value(row, at)) for at in range(result.nfields))
        for row in range(result.ntuples)
    ]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")[:_MOST_CHARACTERS]

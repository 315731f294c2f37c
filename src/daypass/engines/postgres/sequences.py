"""What a scope's role may do with sequences, which no view stands in front of."""

from __future__ import annotations

from typing import Final

from psycopg import sql

from daypass.domain.statement_class import StatementClass
from daypass.engines.postgres.admin import AdminConnection
from daypass.engines.postgres.plan import PostgresPlan

_WRITES: Final = frozenset({StatementClass.INSERT, StatementClass.COPY_IN})

_DRAWN_FROM: Final = """
select distinct sn.nspname, s.relname
from unnest(%(schemas)s::text[], %(relations)s::text[]) as w (s, r)
join pg_namespace as n on n.nspname = w.s
join pg_class as c on c.relnamespace = n.oid and c.relname = w.r
join pg_attrdef as f on f.adrelid = c.oid
join pg_depend as d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
  and d.refclassid = 'pg_class'::regclass
join pg_class as s on s.oid = d.refobjid and s.relkind = 'S'
join pg_namespace as sn on sn.oid = s.relnamespace
order by 1, 2
"""
"""Sequences that defaults of these relations draw from."""

_OWNED: Final = """
select distinct sn.nspname, s.relname
from unnest(%(schemas)s::text[], %(relations)s::text[], %(columns)s::text[]) as w (s, r, a)
join pg_namespace as n on n.nspname = w.s
join pg_class as c on c.relnamespace = n.oid and c.relname = w.r
join pg_attribute as a on a.attrelid = c.oid and a.attname = w.a
join pg_depend as d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
  and d.refobjsubid = a.attnum and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
join pg_class as s on s.oid = d.objid and s.relkind = 'S'
join pg_namespace as sn on sn.oid = s.relnamespace
order by 1, 2
"""
"""Sequences that belong to these columns: of identity, and serial ones."""


async def let_use_sequences(connection: AdminConnection, plan: PostgresPlan) -> None:
    """Let inserts draw from the sequences of defaults, which the server checks for the session.

    An export may read where those of columns in clear stand, unless rows are hidden from it: a dump
    that is loaded goes on from there.
    """
    drawn = [
        (each.name.schema, each.name.name)
        for each in plan.relations
        if _WRITES & (each.classes | each.base_classes)
    ]
    if drawn:
        schemas, relations = map(list, zip(*drawn, strict=True))
        given = {"schemas": schemas, "relations": relations}
        await _grant(connection, plan, "usage", _DRAWN_FROM, given)
    read = [
        (each.name.schema, each.name.name, column.base.name)
        for each in plan.relations
        if StatementClass.EXPORT in each.classes and not each.filters
        for column in each.columns
        if column.mask is None and (column.base.identity or column.base.has_default)
    ]
    if read:
        schemas, relations, columns = map(list, zip(*read, strict=True))
        given = {"schemas": schemas, "relations": relations, "columns": columns}
        await _grant(connection, plan, "select", _OWNED, given)


async def _grant(
    connection: AdminConnection,
    plan: PostgresPlan,
    privilege: str,
    which: str,
    given: dict[str, list[str]],
) -> None:
    for schema, sequence in await connection.run("read sequences", which, given):
        await connection.run(
            "grant sequence",
            sql.SQL("grant {} on sequence {} to {}").format(
                # A keyword of ours, "usage" or "select".
                sql.SQL("usage" if privilege == "usage" else "select"),
                sql.Identifier(str(schema), str(sequence)),
                sql.Identifier(plan.role),
            ),
        )

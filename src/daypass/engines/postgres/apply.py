"""Make a scope in its database, all of it in one transaction."""

from __future__ import annotations

import hashlib
from typing import Final

import psycopg
from psycopg import sql

from daypass.domain.errors import Conflict, Invalid
from daypass.domain.masks import JsonMask, Mask, RegexMask
from daypass.engines.postgres import names
from daypass.engines.postgres.admin import AdminConnection, comment_on_role
from daypass.engines.postgres.marks import Mark, read_mark
from daypass.engines.postgres.objects import ensure_database, ensure_instance, take_turn
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.remove import remove_views
from daypass.engines.postgres.sequences import let_use_sequences
from daypass.engines.postgres.views import (
    base_statements,
    views_owner_needs,
    views_statements,
)

_VIEWS: Final = """
select c.relname, n.nspname, pg_get_viewdef(c.oid),
  coalesce(array_to_string(c.reloptions, ','), ''),
  pg_get_userbyid(c.relowner), coalesce(array_to_string(c.relacl, ','), '')
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any (%s) order by n.nspname, c.relname
"""


async def apply(connection: AdminConnection, plan: PostgresPlan, installation: str) -> None:
    """Make what a plan describes; found made and unchanged, nothing is done.

    Raises `Conflict` when the catalog has changed since the plan was compiled, and `Invalid` when a
    filter or a mask's pattern does not work on this database.
    """
    await ensure_instance(connection, installation)
    await ensure_database(connection, installation)
    if await is_complete(connection, plan, installation):
        return
    await _check_patterns(connection, plan)
    async with connection.transaction("apply"):
        await take_turn(connection)
        if await is_complete(connection, plan, installation):
            return
        await remove_views(connection, plan.scope_hash)
        scope_oid = await _scope_role(connection, plan, installation)
        try:
            await _make(connection, plan, scope_oid)
        except psycopg.Error as error:
            raise _view_error(error) from error
        await connection.run(
            "mark complete",
            comment_on_role(plan.role, (await _mark(connection, plan, installation)).text()),
        )


async def _make(connection: AdminConnection, plan: PostgresPlan, scope_oid: int) -> None:
    await _let_views_owner(connection, plan)
    for step, statement in views_statements(plan, scope_oid):
        await connection.run(step, statement)
    for step, statement in base_statements(plan, options=connection.has_membership_options):
        await connection.run(step, statement)
    await _let_call(connection, plan)
    await let_use_sequences(connection, plan)
    await _let_connect(connection, plan)
    await _check_columns(connection, plan)


async def is_complete(connection: AdminConnection, plan: PostgresPlan, installation: str) -> bool:
    """Say whether a scope is there as it was made: its role, and every view unchanged."""
    rows = await connection.run(
        "read scope",
        "select shobj_description(r.oid, 'pg_authid') from pg_roles as r where r.rolname = %s",
        (plan.role,),
    )
    found = read_mark(rows[0][0]) if rows else None
    return found is not None and found == await _mark(connection, plan, installation)


async def _mark(connection: AdminConnection, plan: PostgresPlan, installation: str) -> Mark:
    [(oid,)] = await connection.run(
        "read database", "select oid::bigint from pg_database where datname = current_database()"
    )
    rows = await connection.run("read views", _VIEWS, ([view for _, view in plan.view_schemas],))
    digest = hashlib.sha256(repr(rows).encode()).hexdigest() if rows else ""
    return Mark(
        installation=installation,
        database=plan.database,
        database_oid=oid if isinstance(oid, int) else 0,
        views=digest,
        heir=plan.heir or "",
    )


async def _scope_role(connection: AdminConnection, plan: PostgresPlan, installation: str) -> int:
    """Return the oid of the scope's role, made unless a half of it was left."""
    read: Final = (
        "select r.oid::bigint, shobj_description(r.oid, 'pg_authid')"
        " from pg_roles as r where r.rolname = %s"
    )
    rows = await connection.run("find scope role", read, (plan.role,))
    if rows:
        mark = read_mark(rows[0][1])
        if mark is None or mark.installation != installation:
            raise Conflict(
                f"the role {plan.role} exists already and is not this Daypass's",
                code="foreign_object",
            )
    else:
        await connection.run(
            "make scope role",
            sql.SQL("create role {} nologin").format(sql.Identifier(plan.role)),
        )
        rows = await connection.run("find scope role", read, (plan.role,))
    if not connection.has_membership_options:
        # Until 15 a role must be joined before what it owns or was granted can be dropped.
        await connection.run(
            "join scope role",
            sql.SQL("grant {} to current_user").format(sql.Identifier(plan.role)),
        )
    oid = rows[0][0]
    return oid if isinstance(oid, int) else 0


async def _let_views_owner(connection: AdminConnection, plan: PostgresPlan) -> None:
    """Grant the views' owner what it lacks, and only that: each grant rewrites a shared row."""
    owner = sql.Identifier(names.VIEWS_OWNER)
    schemas, relations = views_owner_needs(plan)
    lacking = await connection.run(
        "read views' owner's schemas",
        "select s from unnest(%s::text[]) as s where not has_schema_privilege(%s, s, 'usage')",
        (list(schemas), names.VIEWS_OWNER),
    )
    for (schema,) in lacking:
        await connection.run(
            "grant schema to views' owner",
            sql.SQL("grant usage on schema {} to {}").format(sql.Identifier(str(schema)), owner),
        )
    wanted = {(n.schema, n.name, p) for n, ps in relations for p in ps}
    missing = await connection.run(
        "read views' owner's privileges",
        "select w.s, w.r, string_agg(w.p, ', ' order by w.p)"
        " from unnest(%s::text[], %s::text[], %s::text[]) as w(s, r, p)"
        " where not has_table_privilege(%s, format('%%I.%%I', w.s, w.r), w.p) group by w.s, w.r"
        " order by 1, 2",
        (*(list(each) for each in zip(*sorted(wanted), strict=True)), names.VIEWS_OWNER)
        if wanted
        else ([], [], [], names.VIEWS_OWNER),
    )
    words = {"select": sql.SQL("select"), "insert": sql.SQL("insert")}
    words |= {"update": sql.SQL("update"), "delete": sql.SQL("delete")}
    for schema, relation, privileges in missing:
        await connection.run(
            "grant relation to views' owner",
            sql.SQL("grant {} on {} to {}").format(
                sql.SQL(", ").join(words[each] for each in str(privileges).split(", ")),
                sql.Identifier(str(schema), str(relation)),
                owner,
            ),
        )


async def _let_call(connection: AdminConnection, plan: PostgresPlan) -> None:
    if not plan.callable:
        return
    rows = await connection.run(
        "read routines",
        "select n.nspname, p.proname, coalesce(array_agg(tn.nspname order by a.place)"
        "   filter (where a.type is not null), '{}'),"
        " coalesce(array_agg(t.typname order by a.place) filter (where a.type is not null), '{}')"
        " from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace"
        " left join unnest(p.proargtypes) with ordinality as a(type, place) on true"
        " left join pg_type as t on t.oid = a.type"
        " left join pg_namespace as tn on tn.oid = t.typnamespace"
        " where p.oid::regprocedure::text = any (%s) group by p.oid, n.nspname, p.proname"
        " order by p.oid::regprocedure::text",
        (list(plan.callable),),
    )
    for schema, routine, type_schemas, types in rows:
        if not isinstance(type_schemas, list) or not isinstance(types, list):
            continue
        arguments = zip(type_schemas, types, strict=True)
        await connection.run(
            "grant routine",
            sql.SQL("grant execute on routine {}({}) to {}").format(
                sql.Identifier(str(schema), str(routine)),
                sql.SQL(", ").join(sql.Identifier(str(s), str(t)) for s, t in arguments),
                sql.Identifier(plan.role),
            ),
        )


async def _let_connect(connection: AdminConnection, plan: PostgresPlan) -> None:
    [(may,)] = await connection.run(
        "read connect",
        "select has_database_privilege(%s, current_database(), 'connect')",
        (plan.role,),
    )
    if not may:
        await connection.run(
            "grant connect",
            sql.SQL("grant connect on database {} to {}").format(
                sql.Identifier(plan.database), sql.Identifier(plan.role)
            ),
        )


async def _check_columns(connection: AdminConnection, plan: PostgresPlan) -> None:
    """Compare the columns with those the plan rests on, under the locks the views took."""
    wanted = {
        (r.name.schema, r.name.name, c.base.name, c.base.position, c.base.type)
        for r in plan.relations
        for c in r.columns
    }
    if not wanted:
        return
    relations = sorted({each[:2] for each in wanted})
    rows = await connection.run(
        "check columns",
        "select n.nspname, c.relname, a.attname, a.attnum::int,"
        " format_type(a.atttypid, a.atttypmod)"
        " from unnest(%s::text[], %s::text[]) as w(s, r)"
        " join pg_namespace as n on n.nspname = w.s"
        " join pg_class as c on c.relnamespace = n.oid and c.relname = w.r"
        " join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped",
        ([s for s, _ in relations], [r for _, r in relations]),
    )
    changed = wanted - set(rows)
    if changed:
        schema, relation, column, *_ = min(changed)
        raise Conflict(
            f"{schema}.{relation}.{column} has changed since the catalog was read",
            next_step="sync the catalog and try again",
            code="catalog_changed",
        )


async def _check_patterns(connection: AdminConnection, plan: PostgresPlan) -> None:
    """Try every pattern of a mask before a statement of somebody's fails on it."""
    masks = [c.mask for r in plan.relations for c in r.columns if c.mask is not None]
    for pattern in sorted(set(_patterns(masks))):
        try:
            [(matches_nothing,)] = await connection.run(
                "check pattern", "select ''::text ~ %s::text", (pattern,)
            )
        except psycopg.DataError as error:
            raise Invalid(
                f"the mask's pattern {pattern!r} is no regular expression of PostgreSQL's",
                code="invalid_mask",
            ) from error
        if matches_nothing:
            raise Invalid(
                f"the mask's pattern {pattern!r} matches an empty text, hence every value,"
                " and would leave in clear what it does not replace",
                code="invalid_mask",
            )


def _patterns(masks: list[Mask]) -> list[str]:
    found = [mask.pattern for mask in masks if isinstance(mask, RegexMask) and mask.pattern]
    inner = [each for mask in masks if isinstance(mask, JsonMask) for _, each in mask.paths]
    return found + _patterns(inner) if inner else found


def _view_error(error: psycopg.Error) -> Exception:
    state = error.sqlstate or ""
    if state in ("42P01", "42703", "3F000"):
        return Conflict(
            "a relation or column has gone since the catalog was read",
            next_step="sync the catalog and try again",
            code="catalog_changed",
        )
    # Data and syntax errors of constants: an enumeration without the value, no such operator …
    if state.startswith("22") or state in ("42883", "42804", "42601", "42704", "42803", "42P20"):
        return Invalid(
            f"a row filter does not work on this database ({state})", code="invalid_filter"
        )
    return error

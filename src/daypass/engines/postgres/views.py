"""The statements a plan consists of: pure."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from daypass.domain.catalog import RelationName
from daypass.domain.statement_class import READS, StatementClass
from daypass.engines.postgres import names
from daypass.engines.postgres.filters import filter_sql
from daypass.engines.postgres.masks import mask_expression
from daypass.engines.postgres.plan import PlannedRelation, PostgresPlan
from daypass.engines.postgres.quoting import relation_identifier

_VIEW_PRIVILEGES = {
    StatementClass.INSERT: sql.SQL("insert"),
    StatementClass.UPDATE: sql.SQL("update"),
    StatementClass.DELETE: sql.SQL("delete"),
}
_WRITES = frozenset(_VIEW_PRIVILEGES)

Statement = tuple[str, sql.Composable]
"""A step's name, the same at every run, and its statement."""


def create_view(relation: PlannedRelation, scope_oid: int) -> sql.Composable:
    """Return the statement that makes one view, with its masks, filter and deadline."""
    base = relation_identifier(relation.name)
    columns = sql.SQL(", ").join(
        sql.SQL("b.{}").format(sql.Identifier(column.base.name))
        if column.mask is None
        else sql.SQL("{} as {}").format(
            mask_expression(column.mask, column.base, base).expression,
            sql.Identifier(column.base.name),
        )
        for column in relation.columns
    )
    # Without a filter no barrier: pushdown stays whole, and conditions see the masked values.
    options = sql.SQL(" with (security_barrier)") if relation.filters else sql.SQL("")
    check = sql.SQL(" with cascaded check option") if relation.classes & _WRITES else sql.SQL("")
    conditions: list[sql.Composable] = [live(scope_oid)]
    conditions += [sql.SQL("({})").format(filter_sql(each)) for each in relation.filters]
    return (
        sql.SQL(
            "create view {view}{options} as select {columns} from {base} as b where {where}"
        ).format(
            view=relation_identifier(relation.view),
            options=options,
            columns=columns,
            base=base,
            where=sql.SQL(" and ").join(conditions),
        )
        + check
    )


def live(scope_oid: int) -> sql.Composable:
    """Return the deadline clause of a scope: evaluated once a statement, not once a row."""
    return sql.SQL("(select {}({}::pg_catalog.oid))").format(
        sql.Identifier(names.SCHEMA, "live"), sql.Literal(scope_oid)
    )


def views_owner_needs(
    plan: PostgresPlan,
) -> tuple[tuple[str, ...], tuple[tuple[RelationName, frozenset[str]], ...]]:
    """Return what the views' owner must be able to do: schemas to use, privileges by relation."""
    relations = []
    for relation in plan.relations:
        if not relation.classes:
            continue
        # A filter and a mask read, whatever else a statement does.
        privileges = {"select"}
        privileges |= {each.value for each in relation.classes & _WRITES}
        relations.append((relation.name, frozenset(privileges)))
    return tuple(sorted({name.schema for name, _ in relations})), tuple(relations)


def grant_on_view(relation: PlannedRelation, role: str) -> sql.Composable | None:
    """Return the statement that lets the scope's role use a view, if it may at all."""
    privileges: list[sql.Composable] = []
    if relation.classes & READS:
        privileges.append(sql.SQL("select"))
    privileges += [word for each, word in _VIEW_PRIVILEGES.items() if each in relation.classes]
    if not privileges:
        return None
    return sql.SQL("grant {} on {} to {}").format(
        sql.SQL(", ").join(privileges), relation_identifier(relation.view), sql.Identifier(role)
    )


def views_statements(plan: PostgresPlan, scope_oid: int) -> Iterator[Statement]:
    """Return what the views' owner runs: schemas, views and the scope's privileges on them."""
    role = sql.Identifier(plan.role)
    for _, schema in plan.view_schemas:
        yield (
            "create view schema",
            sql.SQL("create schema {} authorization {}").format(
                sql.Identifier(schema), sql.Identifier(names.VIEWS_OWNER)
            ),
        )
    yield (
        "act as views' owner",
        sql.SQL("set local role {}").format(sql.Identifier(names.VIEWS_OWNER)),
    )
    for _, schema in plan.view_schemas:
        yield (
            "grant view schema",
            sql.SQL("grant usage on schema {} to {}").format(sql.Identifier(schema), role),
        )
    for relation in plan.relations:
        if relation.classes:
            yield "create view", create_view(relation, scope_oid)
            grant = grant_on_view(relation, plan.role)
            if grant is not None:
                yield "grant view", grant
    yield "act as admin", sql.SQL("reset role")


def base_statements(plan: PostgresPlan, *, options: bool) -> Iterator[Statement]:
    """Return the privileges on the customer's own objects: all of them timed by the gateway.

    `options` says that the server knows membership options (from 16).
    """
    role = sql.Identifier(plan.role)
    for schema in plan.granted_schemas:
        yield (
            "grant schema",
            sql.SQL("grant usage on schema {} to {}").format(sql.Identifier(schema), role),
        )
    for relation in plan.relations:
        base = relation_identifier(relation.name)
        if StatementClass.TRUNCATE in relation.base_classes:
            yield "grant truncate", sql.SQL("grant truncate on {} to {}").format(base, role)
        if StatementClass.COPY_IN in relation.base_classes:
            columns = sql.SQL(", ").join(
                sql.Identifier(column.base.name)
                for column in relation.columns
                if not column.base.generated
            )
            yield (
                "grant copy",
                sql.SQL("grant insert ({}) on {} to {}").format(columns, base, role),
            )
    for owner in plan.owners:
        with_options = sql.SQL(" with inherit true, set false") if options else sql.SQL("")
        yield (
            "grant native role",
            sql.SQL("grant {} to {}").format(sql.Identifier(owner), role) + with_options,
        )


def describe(plan: PostgresPlan) -> tuple[str, ...]:
    """Return the statements of a plan as text; the scope role's oid is not known yet, so zero."""
    first = sql.SQL("create role {} nologin").format(sql.Identifier(plan.role))
    statements: list[sql.Composable] = [first]
    statements += [each for _, each in views_statements(plan, 0)]
    statements += [each for _, each in base_statements(plan, options=True)]
    return tuple(each.as_string(None) for each in statements)

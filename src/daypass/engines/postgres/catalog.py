"""Read what a database holds, in one snapshot and a fixed number of queries."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeAlias

from psycopg import AsyncConnection

from daypass.domain.catalog import (
    Catalog,
    Column,
    ColumnName,
    ForeignCode,
    Function,
    NativeRole,
    Relation,
    RelationKind,
    RelationName,
    Schema,
)
from daypass.engines.postgres.foreign_code import (
    CallGraph,
    CodeRow,
    Edge,
    FunctionRow,
    ObjectId,
    cascade_edge,
    child_edge,
    foreign_code,
    rule_edge,
    view_edge,
)
from daypass.engines.postgres.lineage import view_lineage
from daypass.engines.postgres.type_families import TypeFamilies, TypeRow

Row: TypeAlias = tuple[Any, ...]

_KINDS: Final = {
    "r": RelationKind.TABLE,
    "p": RelationKind.PARTITIONED,
    "v": RelationKind.VIEW,
    "m": RelationKind.MATERIALIZED_VIEW,
    "f": RelationKind.FOREIGN_TABLE,
}
# A definition is read under a lock that a migration may hold; names are written in full because
# nothing but pg_catalog is on the path.
_SETTINGS: Final = (
    "set transaction isolation level repeatable read, read only",
    "set local search_path = pg_catalog, pg_temp",
    "set local lock_timeout = '5s'",
    "set local statement_timeout = '60s'",
)


@cache
def _sql(name: str) -> bytes:
    return (files("daypass.engines.postgres") / "sql" / f"{name}.sql").read_bytes()


@dataclass(frozen=True, slots=True)
class _Reading:
    """The rows of every query, as they came."""

    relations: list[Row]
    columns: list[Row]
    types: list[Row]
    dependencies: list[Row]
    code: list[Row]
    code_calls: list[Row]
    functions: list[Row]
    schemas: list[Row]
    roles: list[Row]
    facts: Row
    passwords: Mapping[str, bool] | None


async def read_catalog(conn: AsyncConnection[Any]) -> Catalog:
    """Read the catalog of the database a connection leads to.

    The connection must be idle; autocommit or not, it is idle again afterwards. What belongs to
    Daypass (schemas `daypass` and `dp_v_*`, roles `dp_*`) and to the server is left out.
    """
    reading = await _read(conn)
    # Seconds of work for thousands of relations: other tasks have deadlines to keep meanwhile.
    return await asyncio.to_thread(_catalog, reading)


def _catalog(reading: _Reading) -> Catalog:
    families = TypeFamilies({row[0]: TypeRow(*row[1:]) for row in reading.types})
    names = {row[0]: RelationName(row[1], row[2]) for row in reading.relations}
    schemas = tuple(Schema(*row) for row in reading.schemas)
    code = _foreign_code(reading, families, names, schemas)
    return Catalog(
        engine="postgres",
        server_version=str(reading.facts[1]),
        schemas=schemas,
        relations=_relations(reading, families, names, code),
        functions=tuple(Function(*row[1:8]) for row in reading.functions),
        roles=tuple(_role(row, reading.passwords) for row in reading.roles),
        facts=_facts(reading),
    )


async def _read(conn: AsyncConnection[Any]) -> _Reading:
    async with conn.transaction(), conn.cursor() as cursor:
        for statement in _SETTINGS:
            await cursor.execute(statement)

        async def rows(name: str) -> list[Row]:
            await cursor.execute(_sql(name))
            return await cursor.fetchall()

        [facts] = await rows("facts")
        return _Reading(
            relations=await rows("relations"),
            columns=await rows("columns"),
            types=await rows("types"),
            dependencies=await rows("dependencies"),
            code=await rows("code"),
            code_calls=await rows("code_calls"),
            functions=await rows("functions"),
            schemas=await rows("schemas"),
            roles=await rows("roles"),
            facts=facts,
            passwords=dict(await rows("passwords")) if facts[9] else None,
        )


def _facts(reading: _Reading) -> dict[str, str]:
    """Return the further facts; those that are lists are JSON.

    `definers_used_by` lists pairs of a SECURITY DEFINER function and the operator, cast or
    aggregate that runs it unnamed, `trigger_definers` those only a trigger can run;
    `default_public` says what PUBLIC gets on objects yet to be made.
    """
    facts = reading.facts
    invoker = [f"{row[1]}.{row[2]}" for row in reading.relations if row[12]]
    return {
        "database": facts[0],
        "server_version_num": facts[2],
        "admin": facts[3],
        "public_temporary": "true" if facts[4] else "false",
        "public_create": "true" if facts[5] else "false",
        "extensions": facts[6],
        "default_public": facts[7],
        "definers_used_by": facts[8],
        "trigger_definers": facts[10],
        "security_invoker_views": json.dumps(invoker),
    }


def _role(row: Row, passwords: Mapping[str, bool] | None) -> NativeRole:
    return NativeRole(
        name=row[0],
        can_login=row[1],
        superuser=row[2],
        bypass_row_security=row[3],
        create_role=row[4],
        members=tuple(row[5]),
        grantable=row[6],
        valid_until=row[7],
        has_password=None if passwords is None else passwords.get(row[0], False),
    )


def _foreign_code(
    reading: _Reading,
    families: TypeFamilies,
    names: Mapping[int, RelationName],
    schemas: Iterable[Schema],
) -> dict[int, tuple[ForeignCode, ...]]:
    rows = [CodeRow(r[0], r[1], r[2], r[3], (r[4], r[5])) for r in reading.code]
    domains: dict[int, list[ObjectId]] = defaultdict(list)
    for row in rows:
        if row.via == "domain":
            domains[row.owner].append(row.object_id)
    graph = CallGraph(
        (FunctionRow(r[0], r[3], r[4], r[8], r[9], r[10]) for r in reading.functions),
        (((r[0], r[1]), (r[2], r[3])) for r in reading.code_calls),
        {domain: tuple(objects) for domain, objects in domains.items()},
        frozenset(schema.name for schema in schemas if schema.public_create),
    )
    column_domains: dict[int, frozenset[int]] = {}
    for column in reading.columns:
        if found := families.domains(column[4]) & domains.keys():
            column_domains[column[0]] = column_domains.get(column[0], frozenset()) | found
    kinds = {row[0]: row[3] for row in reading.relations}
    edges = [edge for row in reading.dependencies if (edge := _edge(row, kinds))]
    code = foreign_code(
        rows, column_domains, edges, graph, {oid: str(name) for oid, name in names.items()}
    )
    return {oid: each for oid, each in code.items() if kinds.get(oid) not in (None, "m")}


def _edge(row: Row, kinds: Mapping[int, str]) -> Edge | None:
    kind, relation, detail, other, _ = row
    match kind:
        case "view" if kinds.get(relation) == "v":
            return view_edge(relation, other)
        case "rule":
            return rule_edge(relation, detail, other)
        case "inherits":
            return child_edge(other, relation)
        case "references":
            return cascade_edge(relation, detail, other)
        case _:
            return None


def _relations(
    reading: _Reading,
    families: TypeFamilies,
    names: Mapping[int, RelationName],
    code: Mapping[int, tuple[ForeignCode, ...]],
) -> tuple[Relation, ...]:
    columns: dict[int, list[Column]] = defaultdict(list)
    inherited: set[tuple[int, str]] = set()
    # The same few types come again and again.
    shared: dict[tuple[str, int], tuple[str, str]] = {}
    for row in reading.columns:
        oid, name, position, type_name, type_oid, not_null, generated, *rest = row
        type_key = (type_name, type_oid)
        if type_key not in shared:
            shared[type_key] = (type_name, families.family(type_oid))
        identity, has_default, primary_key, is_inherited, comment = rest
        if is_inherited:
            inherited.add((oid, name))
        columns[oid].append(
            Column(
                name,
                position,
                *shared[type_key],
                not_null=not_null,
                generated=generated != "",
                identity=identity,
                has_default=has_default,
                primary_key=primary_key,
                comment=comment,
            )
        )
    _derive(reading, names, columns, inherited)
    parents = {row[1]: row[3] for row in reversed(reading.dependencies) if row[0] == "inherits"}
    reads: dict[int, set[RelationName]] = defaultdict(set)
    for kind, oid, _, other, _ in reading.dependencies:
        if kind == "view" and other in names:
            reads[oid].add(names[other])
    return tuple(
        Relation(
            name=names[row[0]],
            kind=RelationKind.PARTITION if row[4] else _KINDS[row[3]],
            owner=row[5],
            columns=tuple(columns[row[0]]),
            row_security=row[6],
            parent=names.get(parents.get(row[0], 0)),
            public=tuple(row[9]),
            readers=tuple(row[10]),
            reads=tuple(sorted(reads[row[0]])),
            foreign_code=code.get(row[0], ()),
            estimated_rows=row[7],
            comment=row[8],
        )
        for row in reading.relations
    )


def _derive(
    reading: _Reading,
    names: Mapping[int, RelationName],
    columns: dict[int, list[Column]],
    inherited: set[tuple[int, str]],
) -> None:
    """Put into `columns` what each is computed from."""
    positions = {oid: {c.position: c.name for c in own} for oid, own in columns.items()}
    by_name = {name: tuple(c.name for c in columns[oid]) for oid, name in names.items()}
    used: dict[int, list[tuple[RelationName, tuple[str, ...]]]] = defaultdict(list)
    found: dict[tuple[int, str], set[ColumnName]] = defaultdict(set)
    for kind, oid, detail, other, numbers in reading.dependencies:
        if other not in names:
            continue
        at = positions.get(other, {})
        if kind == "view":
            used[oid].append((names[other], tuple(at[n] for n in numbers if n in at)))
        elif kind == "generated":
            found[oid, detail] |= {ColumnName(names[other], at[n]) for n in numbers if n in at}
        elif kind == "inherits":
            theirs = set(by_name[names[other]])
            for column in columns.get(oid, ()):
                if (oid, column.name) in inherited and column.name in theirs:
                    found[oid, column.name].add(ColumnName(names[other], column.name))
    for row in reading.relations:
        if row[11] is not None:
            own = columns[row[0]]
            lineage = view_lineage(row[11], len(own), by_name, used[row[0]])
            for column, sources in zip(own, lineage, strict=True):
                found[row[0], column.name] |= sources
    for oid, own in columns.items():
        for at_index, column in enumerate(own):
            if origins := found.get((oid, column.name)):
                own[at_index] = replace(column, derived_from=tuple(sorted(origins)))

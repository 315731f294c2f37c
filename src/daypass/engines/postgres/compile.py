"""From a scope and a catalog to a plan: pure and deterministic."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Final

import orjson
from psycopg import sql

from daypass.domain.catalog import Catalog, Relation, RelationName
from daypass.domain.ids import ScopeHash
from daypass.domain.masks import mask_text
from daypass.domain.scope import LeftOut, Scope
from daypass.domain.statement_class import StatementClass
from daypass.engines.postgres import names
from daypass.engines.postgres.compile_relation import RelationCompiler, gone
from daypass.engines.postgres.plan import PlannedRelation, PostgresPlan
from daypass.engines.postgres.reach import PUBLIC_GRANT, reach
from daypass.engines.postgres.session_guards import variable_guard
from daypass.engines.postgres.statement_decision import SessionScope

COMPILER: Final = 1
"""Part of every hash: raise it whenever the same scope compiles to something else."""

_EVERYWHERE: Final = frozenset({StatementClass.CALL, StatementClass.ADMIN})
"""Classes that are not about one relation."""
_CODES: Final = ("foreign_code", "foreign_table")
_SETTING_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]{0,62}")


def compile_scope(
    scope: Scope, catalog: Catalog, database: str, accepted: frozenset[str]
) -> PostgresPlan:
    """Turn a scope into a plan; what the database cannot be made to keep is left out.

    A plan's `left_out` starts with what policy had left out already.
    """
    left_out: list[LeftOut] = list(scope.left_out)
    around = reach(scope, catalog, accepted)
    by_name = {each.name: each for each in catalog.relations}
    relations: list[PlannedRelation] = []
    for scoped in scope.relations:
        known = by_name.get(scoped.name)
        if known is None:
            left_out.append(gone(str(scoped.name)))
            continue
        planned, reasons = RelationCompiler(catalog, accepted, around).relation(scoped, known)
        left_out += reasons
        if planned is not None:
            relations.append(planned)
    owners, problems = _owners(scope, catalog, relations)
    left_out += problems
    relations = [
        kept
        for each in relations
        if (kept := _without_lost_ddl(each, owners)).classes or kept.base_classes
    ]
    schemas = around.usable | around.grantable
    callable_, problems = _callable(scope, catalog, accepted, schemas)
    left_out += problems
    settings, problems = _settings(scope)
    left_out += problems
    granted = _ordered(
        around.grantable & frozenset(scoped.name.schema for scoped in scope.relations)
    )
    usable = _ordered(around.usable | frozenset(granted))
    keys = {f"{code}:{each.name}" for each in scope.relations for code in _CODES}
    facts = {
        "compiler": COMPILER,
        "engine": catalog.engine,
        "database": database,
        "classes": sorted(scope.classes),
        "relations": [_canonical(each, by_name.get(each.name)) for each in relations],
        "settings": settings,
        "native_role": scope.native_role,
        "granted": granted,
        "usable": usable,
        "guarded": sorted(map(str, around.guarded)),
        "owners": owners,
        "callable": callable_,
        "accepted": sorted(accepted & keys),
    }
    digest = hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()
    scope_hash = ScopeHash(digest[:16])
    view_schemas = names.view_schemas(
        scope_hash, {each.name.schema for each in relations if each.classes}
    )
    return PostgresPlan(
        scope_hash=scope_hash,
        database=database,
        classes=scope.classes,
        relations=tuple(_placed(each, view_schemas) for each in relations),
        view_schemas=tuple((s, view_schemas[s]) for s in _ordered(frozenset(view_schemas))),
        granted_schemas=granted,
        usable_schemas=usable,
        guarded=tuple(sorted(around.guarded)),
        owners=owners,
        heir=scope.native_role if scope.native_role in owners else next(iter(owners), None),
        callable=callable_,
        settings=settings,
        native_role=scope.native_role,
        left_out=tuple(dict.fromkeys(left_out)),
        blocked=around.blocked,
        timed_by_gateway=_timed(scope, relations),
        accepted_open=frozenset(
            name for name in around.guarded if f"{PUBLIC_GRANT}:{name}" in accepted
        ),
        session_scope=SessionScope(
            relation_classes={
                each.name: each.classes | each.base_classes | (scope.classes & _EVERYWHERE)
                for each in relations
            },
            classes=scope.classes,
            view_schema_of=view_schemas,
            search_path=tuple(dict.fromkeys((*_ordered(frozenset(view_schemas)), *usable))),
            known_relations=frozenset(each.name for each in catalog.relations),
            native=scope.native_role is not None and bool(owners),
            filtered=frozenset(each.name for each in relations if each.filters),
            protected_variables=frozenset(name for name, _ in settings),
        ),
    )


def _without_lost_ddl(relation: PlannedRelation, owners: tuple[str, ...]) -> PlannedRelation:
    if relation.owner in owners:
        return relation
    return replace(relation, base_classes=relation.base_classes - {StatementClass.DDL})


def _owners(
    scope: Scope, catalog: Catalog, relations: list[PlannedRelation]
) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
    """Return the roles sessions become members of, and those they cannot."""
    wanted = {each.owner for each in relations if StatementClass.DDL in each.base_classes}
    if scope.native_role is not None:
        wanted.add(scope.native_role)
    known = {role.name: role for role in catalog.roles}
    problems = []
    for name in sorted(wanted):
        role = known.get(name)
        if role is None or role.superuser or not role.grantable:
            why = (
                "is not known"
                if role is None
                else (
                    "is a superuser" if role.superuser else "cannot be granted by Daypass's admin"
                )
            )
            problems.append(
                LeftOut(
                    f"role {name}",
                    "role_not_grantable",
                    f"the role {name} {why}",
                    f"grant {sql.Identifier(name).as_string(None)} to the admin with admin option",
                )
            )
    return tuple(sorted(wanted - {p.name.removeprefix("role ") for p in problems})), tuple(problems)


def _callable(
    scope: Scope, catalog: Catalog, accepted: frozenset[str], schemas: frozenset[str]
) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
    """Return the routines that class `call` adds to those everybody may execute."""
    wanted = {r.name.schema for r in scope.relations if StatementClass.CALL in r.classes}
    problems = [
        LeftOut(
            f"schema {schema}: call",
            "schema_closed",
            f"call needs the schema {schema}, which shows more than the scope",
        )
        for schema in sorted(wanted - schemas)
    ]
    signatures = []
    for function in catalog.functions:
        if function.schema not in wanted & schemas or function.public_execute:
            continue
        if function.security_definer and f"definer_function:{function.signature}" not in accepted:
            problems.append(
                LeftOut(
                    function.signature,
                    "definer_function",
                    f"{function.signature} runs with its owner's privileges,"
                    " around masks and filters",
                )
            )
        else:
            signatures.append(function.signature)
    return tuple(sorted(signatures)), tuple(problems)


def _settings(scope: Scope) -> tuple[tuple[tuple[str, str], ...], tuple[LeftOut, ...]]:
    kept = []
    problems = []
    for name, value in sorted(dict(scope.settings).items()):
        # What a session may not set itself, nobody asks for either: with texts read differently by
        # the server (standard_conforming_strings, an encoding) one statement would hide another.
        if not _SETTING_NAME.fullmatch(name) or variable_guard(name, value) or "\0" in value:
            problems.append(
                LeftOut(
                    f"setting {name}", "setting_denied", f"{name!r} cannot be set for a session"
                )
            )
        else:
            kept.append((name, value))
    return tuple(kept), tuple(problems)


def _timed(scope: Scope, relations: list[PlannedRelation]) -> frozenset[StatementClass]:
    if scope.native_role is not None:
        return scope.classes
    timed = {statement for each in relations for statement in each.base_classes}
    return frozenset(timed | (scope.classes & {StatementClass.CALL}))


def _placed(relation: PlannedRelation, schemas: dict[str, str]) -> PlannedRelation:
    schema = schemas.get(relation.name.schema)
    if schema is None:
        return relation
    return replace(relation, view=RelationName(schema, relation.name.name))


def _ordered(schemas: frozenset[str]) -> tuple[str, ...]:
    """Put `public` first: unqualified names of the customer's usually mean it."""
    return tuple(sorted(schemas, key=lambda name: (name != "public", name)))


def _canonical(relation: PlannedRelation, known: Relation | None) -> dict[str, object]:
    """Return all that a relation's views and privileges come from."""
    return {
        "name": [relation.name.schema, relation.name.name],
        "kind": relation.kind,
        "owner": relation.owner,
        "classes": sorted(relation.classes),
        "base_classes": sorted(relation.base_classes),
        "columns": [
            [c.base.name, c.base.position, c.base.type, c.mask and mask_text(c.mask), c.type]
            for c in relation.columns
        ],
        "filters": [[f.text, repr(f.values)] for f in relation.filters],
        "public": sorted(known.public) if known else [],
        "foreign_code": sorted(repr(code) for code in known.foreign_code) if known else [],
    }

"""What every login of an instance can reach of a database by itself, around any scope: pure.

PUBLIC cannot be taken from a session. So a scope gives USAGE only on schemas where nothing but the
scope's own unguarded relations is open to PUBLIC, and where PUBLIC has USAGE already, what it can
reach there denies every session until an owner mends or accepts it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from daypass.domain.catalog import Catalog, Relation, RelationName, Schema
from daypass.domain.exposure import Exposure, Severity
from daypass.domain.scope import Scope
from daypass.engines.postgres.quoting import relation_identifier

PUBLIC_GRANT: Final = "public_grant"
DEFINER_FUNCTION: Final = "definer_function"
_SELECT: Final = "select"


@dataclass(frozen=True, slots=True)
class Reach:
    """The schemas sessions can use, those they may be given, and what denies every session.

    `guarded` are relations hidden in part or whole; `sessions_create_nothing` says that sessions
    can make no object, not even a temporary one, that could stand in for another.
    """

    usable: frozenset[str]
    grantable: frozenset[str]
    guarded: frozenset[RelationName]
    blocked: tuple[Exposure, ...]
    sessions_create_nothing: bool


def reach(scope: Scope, catalog: Catalog, accepted: frozenset[str]) -> Reach:
    """Say what sessions under a scope could reach of a database besides it."""
    guarded = _guarded(scope, catalog)
    usable = frozenset(schema.name for schema in catalog.schemas if schema.public_usage)
    blocked: list[Exposure] = []
    grantable: set[str] = set()
    for schema in catalog.schemas:
        public = [r for r in catalog.relations if r.name.schema == schema.name and r.public]
        open_relations = [
            r
            for r in public
            if (scope.relation(r.name) is None or r.name in guarded)
            and f"{PUBLIC_GRANT}:{r.name}" not in accepted
        ]
        definers = list(_definers(schema, catalog, accepted))
        if not schema.public_usage and not open_relations and not definers:
            grantable.add(schema.name)
        if schema.public_usage:
            blocked += definers
        # Statistics of a column show its commonest values to whoever has SELECT on it, with or
        # without USAGE on the schema; hence no look at the schema here.
        blocked += [
            _public_grant(r, schema.public_usage)
            for r in open_relations
            if r.name in guarded and _SELECT in r.public
        ]
    blocked += _unnamed_definers(catalog, accepted)
    return Reach(
        usable=usable,
        grantable=frozenset(grantable),
        guarded=guarded,
        blocked=tuple(dict.fromkeys(blocked)),
        sessions_create_nothing=_nothing_to_create(catalog),
    )


def _guarded(scope: Scope, catalog: Catalog) -> frozenset[RelationName]:
    guarded = {relation.name for relation in scope.relations if relation.guarded}
    guarded |= set(scope.guarded_elsewhere)
    # A child's rows are its parent's: what hides these hides those.
    growing = True
    while growing:
        children = {r.name for r in catalog.relations if r.parent in guarded} - guarded
        # A child that the scope has by itself is guarded as policy says of it.
        children -= {relation.name for relation in scope.relations}
        guarded |= children
        growing = bool(children)
    return frozenset(guarded)


def _definers(schema: Schema, catalog: Catalog, accepted: frozenset[str]) -> Iterator[Exposure]:
    for function in catalog.functions:
        if (
            function.schema == schema.name
            and function.security_definer
            and function.public_execute
            and f"{DEFINER_FUNCTION}:{function.signature}" not in accepted
        ):
            yield _definer(function.signature, "everybody may execute")


def _unnamed_definers(catalog: Catalog, accepted: frozenset[str]) -> Iterator[Exposure]:
    """Yield definer functions that run unnamed, by an operator, cast or aggregate."""
    public = {f.signature for f in catalog.functions if f.public_execute}
    used: list[list[str]] = json.loads(catalog.facts.get("definers_used_by", "[]"))
    for signature, by in used:
        if signature in public and f"{DEFINER_FUNCTION}:{signature}" not in accepted:
            yield _definer(signature, f"{by} runs")


def _definer(signature: str, how: str) -> Exposure:
    return Exposure(
        code=DEFINER_FUNCTION,
        object_name=signature,
        text=f"{how} {signature} with its owner's privileges, around masks and filters",
        severity=Severity.HIGH,
        mend=f"revoke execute on function {signature} from public",
        blocks=True,
    )


def _public_grant(relation: Relation, reachable: bool) -> Exposure:
    name = relation_identifier(relation.name).as_string(None)
    how = "read it in clear" if reachable else "read its statistics (pg_stats)"
    return Exposure(
        code=PUBLIC_GRANT,
        object_name=str(relation.name),
        text=f"{relation.name} is granted to PUBLIC: every login can {how}",
        severity=Severity.HIGH,
        mend=f"revoke all on {name} from public",
        blocks=True,
    )


def _nothing_to_create(catalog: Catalog) -> bool:
    """Say whether PUBLIC has neither TEMP nor CREATE; what is not known counts as held."""
    facts = catalog.facts
    return (
        facts.get("public_temporary") == "false"
        and facts.get("public_create") == "false"
        and not any(s.public_create and s.public_usage for s in catalog.schemas)
    )

"""The ways around Daypass that a catalog shows, each with the SQL that mends it: pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, LiteralString

from psycopg import sql

from daypass.domain.catalog import Catalog, ForeignCode, Relation, RelationKind, RelationName
from daypass.domain.exposure import Exposure, Severity
from daypass.engines.postgres.login_kinds import login_kind
from daypass.engines.postgres.quoting import relation_identifier

_ORDER: Final = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 2}
_WRITES: Final = ("insert", "update", "delete", "truncate", "trigger")
_OBJECTS: Final = {"r": "tables", "n": "schemas"}
_POWERFUL: Final = {
    "pg_execute_server_program": "run programs on the server",
    "pg_read_server_files": "read files of the server",
    "pg_write_server_files": "write files on the server",
    "pg_read_all_data": "read every table",
    "pg_write_all_data": "write every table",
    "pg_maintain": "run maintenance on every table",
    "pg_create_subscription": "copy data in from other servers",
}


def exposures(catalog: Catalog, sensitive: frozenset[RelationName]) -> tuple[Exposure, ...]:
    """List the ways around that the catalog shows, the gravest first.

    `sensitive` are the relations something of is hidden from somebody, views that show such a
    column among them; partitions and inheriting tables are added here. Keys name the object, so
    that accepting one says nothing of another.
    """
    hidden = _with_children(catalog, sensitive)
    found = [
        *_public_grants(catalog, hidden),
        *_public_defaults(catalog),
        *_public_creation(catalog),
        *_definers(catalog),
        *_leaking_views(catalog, hidden),
        *_unsafe_code(catalog, hidden),
        *_standing_logins(catalog, hidden),
        *_powerful_roles(catalog),
    ]
    return tuple(sorted(found, key=lambda e: (_ORDER[e.severity], e.key)))


def _mend(text: LiteralString, *parts: sql.Composable) -> str:
    return sql.SQL(text).format(*parts).as_string(None)


def _with_children(catalog: Catalog, sensitive: frozenset[RelationName]) -> frozenset[RelationName]:
    """Add relations whose rows are a sensitive relation's."""
    origins = _origins(catalog)
    hidden = set(sensitive)
    children = [r for r in catalog.relations if r.kind not in _VIEWS and origins[r.name]]
    growing = True
    while growing:
        more = {r.name for r in children if origins[r.name] & hidden} - hidden
        hidden |= more
        growing = bool(more)
    return frozenset(hidden)


_VIEWS: Final = (RelationKind.VIEW, RelationKind.MATERIALIZED_VIEW)


def _origins(catalog: Catalog) -> dict[RelationName, frozenset[RelationName]]:
    found: dict[RelationName, frozenset[RelationName]] = {}
    for relation in catalog.relations:
        of_columns = {origin.relation for c in relation.columns for origin in c.derived_from}
        of_parent = {relation.parent} if relation.parent else set()
        found[relation.name] = frozenset(of_columns | of_parent) - {relation.name}
    return found


def _open_schemas(catalog: Catalog) -> frozenset[str]:
    return frozenset(schema.name for schema in catalog.schemas if schema.public_usage)


def _public_grants(catalog: Catalog, hidden: frozenset[RelationName]) -> Iterator[Exposure]:
    usable = _open_schemas(catalog)
    for relation in catalog.relations:
        if relation.name not in hidden or not relation.public:
            continue
        name, schema = relation.name, relation.name.schema
        reads = "select" in relation.public
        writes = [each for each in _WRITES if each in relation.public]
        if not reads and not writes:
            continue
        what = " and ".join(
            ["read"] * reads
            + [f"{' and '.join(writes)} on" if not reads else "change"] * bool(writes)
        )
        if schema in usable:
            text = f"every login may {what} {name}: it is granted to PUBLIC"
            severity = Severity.HIGH
        else:
            # pg_stats shows a column's commonest values to whoever has SELECT on it, and never
            # asks about the schema.
            rest = ", and its commonest values are in pg_stats for everybody" if reads else ""
            text = (
                f"{name} is granted to PUBLIC ({', '.join(relation.public)}); only that nobody has"
                f" USAGE on schema {schema} keeps every login from it{rest}"
            )
            severity = Severity.HIGH if reads else Severity.MEDIUM
        yield Exposure(
            code="public_grant",
            object_name=str(name),
            text=text,
            severity=severity,
            mend=_mend("revoke all on table {} from public;", relation_identifier(name)),
            blocks=reads or schema in usable,
        )


def _public_defaults(catalog: Catalog) -> Iterator[Exposure]:
    defaults: list[dict[str, str | None]] = json.loads(catalog.facts.get("default_public", "[]"))
    for each in defaults:
        role, schema, privilege = each["role"] or "", each["schema"], each["privilege"] or ""
        objects = _OBJECTS.get(each["objects"] or "", "tables")
        where = f" in schema {schema}" if schema else ""
        within = _mend(" in schema {}", sql.Identifier(schema)) if schema else ""
        start = _mend("alter default privileges for role {}", sql.Identifier(role))
        yield Exposure(
            code="public_grant",
            object_name=f"{privilege} on new {objects} of {role}{where}",
            text=f"whatever {objects} {role} makes{where} are open to every login: {privilege} is"
            " granted to PUBLIC by default",
            severity=Severity.MEDIUM,
            mend=f"{start}{within} revoke {privilege} on {objects} from public;",
        )


def _public_creation(catalog: Catalog) -> Iterator[Exposure]:
    for schema in catalog.schemas:
        if schema.public_create:
            yield Exposure(
                code="public_grant",
                object_name=f"create in schema {schema.name}",
                text=f"every login may make objects in schema {schema.name}, where they can stand"
                " in for what somebody else's statement or function means",
                severity=Severity.MEDIUM,
                mend=_mend("revoke create on schema {} from public;", sql.Identifier(schema.name)),
            )
    database = catalog.facts.get("database", "")
    name = sql.Identifier(database)
    if catalog.facts.get("public_create") == "true":
        yield Exposure(
            code="public_grant",
            object_name=f"create in database {database}",
            text=f"every login may make schemas in database {database}",
            severity=Severity.MEDIUM,
            mend=_mend("revoke create on database {} from public;", name),
        )
    unsafe = any(code.unsafe for r in catalog.relations for code in r.foreign_code)
    if catalog.facts.get("public_temporary") == "true" and unsafe:
        yield Exposure(
            code="public_grant",
            object_name=f"temporary in database {database}",
            text=f"every login may make temporary tables in database {database}; they can stand in"
            " for tables that the database's own functions name without a schema",
            severity=Severity.LOW,
            mend=_mend("revoke temporary on database {} from public;", name),
        )


def _definers(catalog: Catalog) -> Iterator[Exposure]:
    usable = _open_schemas(catalog)
    by_triggers = set(json.loads(catalog.facts.get("trigger_definers", "[]")))
    pairs: list[list[str]] = json.loads(catalog.facts.get("definers_used_by", "[]"))
    used: dict[str, list[str]] = defaultdict(list)
    for signature, by in pairs:
        used[signature].append(by)
    for function in catalog.functions:
        if not function.security_definer or not function.public_execute:
            continue
        signature = function.signature
        unnamed = used.get(signature, [])
        blocks = function.schema in usable or bool(unnamed)
        if signature in by_triggers:
            text = (
                f"{signature} runs with its owner's rights for whoever makes a trigger with it, on"
                " a table of their own for example: EXECUTE is PUBLIC's"
            )
            # It may fill the new row with what its owner reads.
            severity = Severity.MEDIUM if blocks else Severity.LOW
        elif unnamed:
            text = (
                f"every login runs {signature} with its owner's rights by way of"
                f" {', '.join(unnamed)}; what it reads is seen past every mask and filter"
            )
            severity = Severity.HIGH
        elif blocks:
            text = (
                f"every login may run {signature} with its owner's rights, past every mask and"
                " filter: EXECUTE is PUBLIC's"
            )
            severity = Severity.HIGH
        else:
            text = (
                f"{signature} runs with its owner's rights and EXECUTE is PUBLIC's; only that"
                f" nobody has USAGE on schema {function.schema} keeps every login from it"
            )
            severity = Severity.MEDIUM
        yield Exposure(
            code="definer_function",
            object_name=signature,
            text=text,
            severity=severity,
            mend=f"revoke execute on routine {signature} from public;",
            blocks=blocks,
        )


def _leaking_views(catalog: Catalog, hidden: frozenset[RelationName]) -> Iterator[Exposure]:
    origins = _origins(catalog)
    kinds = {r.name: r.kind for r in catalog.relations}
    invoker = set(json.loads(catalog.facts.get("security_invoker_views", "[]")))
    for relation in catalog.relations:
        if relation.kind not in _VIEWS or str(relation.name) in invoker:
            continue
        readers = relation.readers
        # What PUBLIC may read of a sensitive view is a public_grant.
        public = "select" in relation.public and relation.name not in hidden
        shown = sorted(str(n) for n in _reached(relation.name, origins, kinds) & hidden)
        if not shown or not (readers or public):
            continue
        sure = relation.name in hidden
        who = ", ".join([*readers, *(["everybody"] if public else [])])
        name = relation_identifier(relation.name)
        if relation.kind is RelationKind.MATERIALIZED_VIEW:
            how = "keeps a copy of"
            mend = _mend("revoke select on table {} from {};", name, _grantees(readers, public))
        else:
            how = "shows, with its owner's rights,"
            mend = _mend("alter view {} set (security_invoker = true);", name)
        yield Exposure(
            code="leaking_view",
            object_name=str(relation.name),
            text=f"{relation.name} {how} {'hidden columns' if sure else 'columns'} of"
            f" {', '.join(shown)} to {who}; no mask or filter on the table reaches it",
            severity=Severity.MEDIUM if sure or public else Severity.LOW,
            mend=mend,
        )


def _grantees(readers: Iterable[str], public: bool) -> sql.Composable:
    names: list[sql.Composable] = [sql.Identifier(each) for each in readers]
    return sql.SQL(", ").join([*names, *([sql.SQL("public")] if public else [])])


def _reached(
    name: RelationName,
    origins: dict[RelationName, frozenset[RelationName]],
    kinds: dict[RelationName, RelationKind],
) -> frozenset[RelationName]:
    """Return the tables a view's columns come from, through views."""
    seen: set[RelationName] = set()
    todo = [name]
    while todo:
        for origin in origins.get(todo.pop(), frozenset()):
            if origin not in seen:
                seen.add(origin)
                todo.append(origin)
    return frozenset(each for each in seen if kinds.get(each) not in _VIEWS)


def _unsafe_code(catalog: Catalog, hidden: frozenset[RelationName]) -> Iterator[Exposure]:
    for relation in catalog.relations:
        unsafe = [code for code in relation.foreign_code if code.unsafe]
        if not unsafe:
            continue
        own = [code for code in unsafe if " on " not in code.name] or unsafe
        listed = ", ".join(sorted({f"{code.function} ({code.via} {code.name})" for code in own}))
        when = ", ".join(sorted({on for code in own for on in code.on}))
        yield Exposure(
            code="foreign_code",
            object_name=str(relation.name),
            text=f"{when} on {relation.name} runs {listed}, whose names are looked up through the"
            " session's search path: a temporary table can stand in and receive rows in clear",
            severity=Severity.HIGH if relation.name in hidden else Severity.LOW,
            mend=" ".join(dict.fromkeys(_pinned(relation, code, catalog) for code in own)),
            blocks=True,
        )


def _pinned(relation: Relation, code: ForeignCode, catalog: Catalog) -> str:
    """Return the SQL that fixes a function's path; its body may need more schemas than these."""
    schema = next((f.schema for f in catalog.functions if f.signature == code.function), None)
    path = dict.fromkeys([schema or relation.name.schema, relation.name.schema])
    names = sql.SQL(", ").join([*(sql.Identifier(each) for each in path), sql.SQL("pg_temp")])
    listed = names.as_string(None)
    return f"alter routine {code.function} set search_path = {listed};"


def _standing_logins(catalog: Catalog, hidden: frozenset[RelationName]) -> Iterator[Exposure]:
    holds: dict[str, set[str]] = defaultdict(set)
    for role in catalog.roles:
        for member in role.members:
            holds[member].add(role.name)
    readers = {reader for r in catalog.relations if r.name in hidden for reader in r.readers}
    owners = {r.owner for r in catalog.relations}
    for role in catalog.roles:
        if not role.can_login or role.name == catalog.facts.get("admin"):
            continue
        if login_kind(role.name, superuser=role.superuser) != "human":
            continue
        held = _closure(role.name, holds)
        if role.superuser or role.bypass_row_security or role.create_role or held & owners:
            severity = Severity.HIGH
        elif held & readers:
            severity = Severity.MEDIUM
        else:
            severity = Severity.LOW
        powers = [
            word
            for word, has in (
                ("a superuser", role.superuser),
                ("passes row-level security", role.bypass_row_security),
                ("makes roles", role.create_role),
                (f"holds {', '.join(sorted(held - {role.name}))}", len(held) > 1),
            )
            if has
        ]
        yield Exposure(
            code="standing_login",
            object_name=role.name,
            text=f"{role.name} can sign in without any grant"
            + (f": {', '.join(powers)}" if powers else "")
            + ("" if role.valid_until else "; it never expires"),
            severity=severity,
            mend=_mend("alter role {} nologin;", sql.Identifier(role.name)),
        )


def _closure(name: str, holds: dict[str, set[str]]) -> set[str]:
    found, todo = {name}, [name]
    while todo:
        for role in holds.get(todo.pop(), set()) - found:
            found.add(role)
            todo.append(role)
    return found


def _powerful_roles(catalog: Catalog) -> Iterator[Exposure]:
    for role in catalog.roles:
        members = [m for m in role.members if m != catalog.facts.get("admin")]
        if role.name in _POWERFUL and members:
            yield Exposure(
                code="standing_privilege",
                object_name=role.name,
                text=f"{', '.join(members)} may always {_POWERFUL[role.name]}, as members of"
                f" {role.name}",
                severity=Severity.MEDIUM if role.name == "pg_maintain" else Severity.HIGH,
                mend=_mend(
                    "revoke {} from {};", sql.Identifier(role.name), _grantees(members, False)
                ),
            )

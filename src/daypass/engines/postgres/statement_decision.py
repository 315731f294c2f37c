"""Whether statements may be sent under a scope, with what to request when they may not.

The database enforces; this decides early, says why, and keeps to the gateway's classes.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from daypass.domain.catalog import RelationName
from daypass.domain.statement_class import GATEWAY_TIMED, StatementClass
from daypass.engines.contract import PreparedText
from daypass.engines.postgres.function_classes import reads_nothing_of_the_customers
from daypass.engines.postgres.names import SCHEMA, VIEW_SCHEMA_PREFIX
from daypass.engines.postgres.relay_reading import Reading
from daypass.engines.postgres.relay_shapes import Shapes
from daypass.engines.postgres.session_guards import SENSITIVE_CATALOGS
from daypass.engines.postgres.statement_classes import Analysis
from daypass.engines.postgres.statement_kinds import NO_WRITE, SYSTEM_SCHEMAS
from daypass.engines.postgres.text_cache import TextCache

_LOOKING: Final = frozenset({StatementClass.SELECT, StatementClass.EXPLAIN})
_DEFINING: Final = frozenset({StatementClass.DDL, StatementClass.ADMIN})
ANSWERS_BYTES: Final = 4 * 1_048_576
_COMPARED: Final = 100
"""Names compared with a mistyped one, at most: sessions of others wait meanwhile."""
_LONGER: Final = 2


class Place(Enum):
    """Where a name leads."""

    SCOPE = auto()
    TEMPORARY = auto()
    SYSTEM = auto()
    KNOWN = auto()
    """A relation the catalog knows and the scope does not have."""
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Denial:
    """Why one statement is denied and what to request."""

    code: str
    reason: str
    missing: tuple[RelationName, ...] = ()
    missing_classes: frozenset[StatementClass] = frozenset()


@dataclass(frozen=True, slots=True)
class SessionScope:
    """What a session may do, as statements are held against it.

    `search_path` are the customer's schemas in which names without a schema are looked for;
    `filtered` are relations with hidden rows; `protected_variables` are set by the scope;
    `prepared` maps names of prepared statements to the relations they read; `temporary` are names
    of the session's own temporary tables. `native`: the database's own role decides on relations.
    """

    relation_classes: Mapping[RelationName, frozenset[StatementClass]]
    classes: frozenset[StatementClass]
    view_schema_of: Mapping[str, str]
    search_path: tuple[str, ...]
    known_relations: AbstractSet[RelationName]
    native: bool = False
    filtered: AbstractSet[RelationName] = frozenset()
    protected_variables: AbstractSet[str] = frozenset()
    prepared: Mapping[str, AbstractSet[RelationName]] = field(default_factory=dict)
    temporary: AbstractSet[str] = frozenset()
    answers: TextCache[PreparedText] = field(
        default_factory=lambda: TextCache(ANSWERS_BYTES), init=False, compare=False, repr=False
    )
    """What was decided under this scope; the other fields never change."""
    readings: TextCache[Reading] = field(
        default_factory=lambda: TextCache(ANSWERS_BYTES), init=False, compare=False, repr=False
    )
    """The same with what a relay needs besides."""
    shapes: Shapes = field(
        default_factory=lambda: TextCache(ANSWERS_BYTES), init=False, compare=False, repr=False
    )
    """What texts have in common that differ in literals alone."""

    def place(self, name: RelationName, temporary: AbstractSet[str]) -> tuple[Place, RelationName]:
        """Say where a name as written leads, and the relation's full name."""
        if name.schema:
            return self._place_qualified(name)
        if name.name in SENSITIVE_CATALOGS:
            return Place.SYSTEM, RelationName("pg_catalog", name.name)
        for schema in self.search_path:
            full = RelationName(schema, name.name)
            if full in self.relation_classes:
                return Place.SCOPE, full
        if name.name in temporary:
            return Place.TEMPORARY, name
        for schema in self.search_path:
            full = RelationName(schema, name.name)
            if full in self.known_relations:
                return Place.KNOWN, full
        if name.name.startswith("pg_"):
            return Place.SYSTEM, RelationName("pg_catalog", name.name)
        return Place.UNKNOWN, name

    def _place_qualified(self, name: RelationName) -> tuple[Place, RelationName]:
        if name.schema in SYSTEM_SCHEMAS:
            return Place.SYSTEM, name
        if name.schema == "pg_temp":
            return Place.TEMPORARY, name
        for source, views in self.view_schema_of.items():
            if views == name.schema:
                name = RelationName(source, name.name)
        if name in self.relation_classes:
            return Place.SCOPE, name
        return (Place.KNOWN if name in self.known_relations else Place.UNKNOWN), name


def deny_statement(
    analysis: Analysis,
    scope: SessionScope,
    temporary: AbstractSet[str],
    prepared: Mapping[str, AbstractSet[RelationName]],
) -> Denial | None:
    """Say why a statement is denied, or None."""
    facts = analysis.facts
    if facts.unsafe and not (scope.native and facts.unsafe == analysis.path):
        return Denial("session_guard", facts.unsafe)
    protected = sorted(analysis.variables & {v.lower() for v in scope.protected_variables})
    if protected:
        return Denial("session_guard", f"{protected[0]} is set by the grant and stays as it is")
    if scope.native:
        return _deny_classes(facts.classes - scope.classes, scope)
    return (
        _deny_explain_execute(analysis, scope, prepared)
        or _deny_schemas(analysis, scope)
        or _deny_relations(analysis, scope, temporary)
        or _deny_views_cannot(analysis, scope, temporary)
    )


def relations_read(analysis: Analysis, scope: SessionScope) -> frozenset[RelationName]:
    """Return the full names of what a statement reads or locks."""
    return frozenset(scope.place(name, scope.temporary)[1] for name, _ in analysis.uses)


def _deny_classes(missing: frozenset[StatementClass], scope: SessionScope) -> Denial | None:
    if not missing:
        return None
    return Denial(
        "class_not_in_scope",
        f"the grant allows {_listed(scope.classes)}, not {_listed(missing)}; "
        f"request {_listed(missing)}",
        missing_classes=missing,
    )


def _deny_relations(
    analysis: Analysis, scope: SessionScope, temporary: AbstractSet[str]
) -> Denial | None:
    """Hold every relation's classes and the statement's own against the scope."""
    asked = set(analysis.bare)
    missing: dict[RelationName, set[StatementClass]] = {}
    lacking: dict[RelationName, set[StatementClass]] = {}
    own: Denial | None = None
    looks_only = asked <= _LOOKING and not analysis.made
    for name, needed in sorted(analysis.uses):
        place, full = scope.place(name, temporary)
        match place:
            case Place.SCOPE:
                looks_only = False
                if needed not in scope.relation_classes[full]:
                    lacking.setdefault(full, set()).add(needed)
            case Place.KNOWN:
                looks_only = False
                missing.setdefault(full, set()).add(needed)
            case Place.SYSTEM:
                if full.name in SENSITIVE_CATALOGS:
                    reason = f"{full} shows values or secrets of others; a grant does not have it"
                    return Denial("sensitive_catalog", reason)
                if needed not in _LOOKING:
                    looks_only = False
                    asked.add(needed)
                if needed not in NO_WRITE:
                    asked.add(StatementClass.ADMIN)
            case Place.TEMPORARY:
                pass
            case Place.UNKNOWN:
                looks_only = False
                if _of_daypass(full):
                    # Whoever locks or reads all there is learns first which of theirs it lacks.
                    own = own or _own(full)
                    continue
                # A definition makes its relation; a bare name may be a temporary table's.
                if name.schema and needed not in _DEFINING:
                    return Denial("unknown_relation", f"no relation {full} is known", (full,))
                asked.add(needed)
    if missing:
        return _outside(missing)
    if own is not None:
        return own
    if lacking:
        return _not_on(lacking, scope)
    if looks_only and all(reads_nothing_of_the_customers(f) for f in analysis.facts.functions):
        return None
    return _deny_classes(frozenset(asked) - scope.classes, scope)


def _deny_schemas(analysis: Analysis, scope: SessionScope) -> Denial | None:
    """Deny what happens to a schema of which the grant does not have all relations."""
    if not analysis.schemas:
        return None
    needed = StatementClass.DDL
    for name in sorted(n for n in scope.known_relations if n.schema in analysis.schemas):
        if needed not in scope.relation_classes.get(name, ()):
            return Denial(
                "not_in_scope",
                f"all of the schema {name.schema} would change, and the grant does not have "
                f"{needed.value} on {name}; request {needed.value} on {name.schema}.*",
                (name,),
                frozenset({needed}),
            )
    return None


def _of_daypass(name: RelationName) -> bool:
    return name.schema == SCHEMA or name.schema.startswith(VIEW_SCHEMA_PREFIX)


def _own(name: RelationName) -> Denial:
    reason = (
        f"{name} is Daypass's own, which no grant has; pg_dump leaves it out with "
        f"--exclude-schema={SCHEMA} --exclude-schema='{VIEW_SCHEMA_PREFIX}*'"
    )
    return Denial("unknown_relation", reason, (name,))


def _outside(missing: dict[RelationName, set[StatementClass]]) -> Denial:
    names = tuple(sorted(missing))
    classes = frozenset().union(*missing.values())
    return Denial(
        "not_in_scope",
        f"the grant does not have {_joined(names)}; request {_listed(classes)} on "
        f"{'it' if len(names) == 1 else 'them'}",
        names,
        classes,
    )


def _not_on(lacking: dict[RelationName, set[StatementClass]], scope: SessionScope) -> Denial:
    names = tuple(sorted(lacking))
    classes = frozenset().union(*lacking.values())
    first = names[0]
    return Denial(
        "class_not_in_scope",
        f"the grant allows {_listed(scope.relation_classes[first])} on {first}, not "
        f"{_listed(lacking[first])}; request {_listed(classes)} on {_joined(names)}",
        names,
        classes,
    )


def did_you_mean(name: RelationName, scope: SessionScope) -> str:
    """Return which relation may have been meant, to be put behind a denial, or nothing."""
    known = scope.known_relations
    candidates = [n for n in known if n.schema == name.schema]
    if not candidates:
        candidates = [n for n in known if n.name == name.name] or list(known)
    lengths = range(len(name.name) - _LONGER, len(name.name) + _LONGER + 1)
    near = [str(n) for n in candidates if n.name[:1] == name.name[:1] and len(n.name) in lengths]
    close = difflib.get_close_matches(str(name), sorted(near)[:_COMPARED], n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _deny_explain_execute(
    analysis: Analysis, scope: SessionScope, prepared: Mapping[str, AbstractSet[RelationName]]
) -> Denial | None:
    """Deny EXPLAIN of what is not known, and EXPLAIN ANALYZE of what would tell of hidden rows."""
    if not (analysis.plan_only or analysis.analyzes):
        return None
    read = relations_read(analysis, scope)
    if analysis.executes:
        known = prepared.get(analysis.executes)
        if known is None:
            return Denial(
                "explain_execute",
                f"what {analysis.executes} was prepared from is not known here; "
                "explain the statement itself",
            )
        read |= frozenset(known)
    hidden = sorted(read & frozenset(scope.filtered))
    if analysis.analyzes and hidden:
        return Denial(
            "explain_analyze_filtered",
            f"EXPLAIN ANALYZE would tell of the rows hidden in {_joined(hidden)}; "
            "leave ANALYZE out",
        )
    return None


def _deny_views_cannot(
    analysis: Analysis, scope: SessionScope, temporary: AbstractSet[str]
) -> Denial | None:
    """Deny, with the way that works, what would meet a view and fail there."""
    for name, needed in sorted(analysis.uses):
        place, full = scope.place(name, temporary)
        if place is not Place.SCOPE or full.schema not in scope.view_schema_of:
            continue
        if needed in GATEWAY_TIMED and not name.schema:
            return Denial(
                "qualify_name",
                f"{needed.value} works on the table itself: write {full} instead of {name.name}",
            )
    return None


def _listed(classes: AbstractSet[StatementClass]) -> str:
    return ", ".join(sorted(each.value for each in classes)) or "nothing"


def _joined(names: tuple[RelationName, ...] | list[RelationName]) -> str:
    return ", ".join(str(name) for name in names)

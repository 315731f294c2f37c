"""Resolving what somebody asks for into a scope: names, masks, filters, and what is left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

from daypass.domain.catalog import Catalog, ColumnName, Relation, RelationKind, RelationName, Tags
from daypass.domain.errors import Invalid
from daypass.domain.principal import Principal
from daypass.domain.scope import (
    AskedScope,
    LeftOut,
    RowFilter,
    Scope,
    ScopedColumn,
    ScopedRelation,
)
from daypass.domain.statement_class import READS, StatementClass
from daypass.policy.derivation import ClassifiedCatalog, classify
from daypass.policy.facts import DatabaseFacts, class_names
from daypass.policy.globs import COLUMN_PARTS, RELATION_PARTS, exact_glob, matches, split_glob
from daypass.policy.guards import Guards
from daypass.policy.rules import Policy

_OF_NO_RELATION: Final = frozenset({StatementClass.CALL, StatementClass.ADMIN})
_READ_ONLY_KINDS: Final = frozenset(
    {
        RelationKind.VIEW,
        RelationKind.MATERIALIZED_VIEW,
        RelationKind.FOREIGN_TABLE,
        RelationKind.PARTITION,
    }
)
_SLOT = re.compile(r"\{\d+\}")
_SUGGESTIONS: Final = 3


@dataclass(frozen=True, slots=True)
class Resolution:
    """A scope with the names its globs matched.

    `relations` are all that matched, left out or not; `unmask` the columns that are clear only
    because the request asks for it.
    """

    scope: Scope
    relations: tuple[RelationName, ...]
    unmask: tuple[ColumnName, ...]


def resolve_scope(
    policy: Policy,
    asked: AskedScope,
    principal: Principal,
    database: DatabaseFacts,
    catalog: Catalog,
    tags: Tags,
    *,
    accepted: frozenset[str] = frozenset(),
    missing_ok: bool = False,
) -> Scope:
    """Return the scope alone; see `resolve`."""
    return resolve(
        policy,
        asked,
        principal,
        database,
        classify(catalog, tags),
        accepted=accepted,
        missing_ok=missing_ok,
    ).scope


def resolve(
    policy: Policy,
    asked: AskedScope,
    principal: Principal,
    database: DatabaseFacts,
    catalog: ClassifiedCatalog,
    *,
    accepted: frozenset[str] = frozenset(),
    missing_ok: bool = False,
) -> Resolution:
    """Turn what is asked for into a scope of this person on this database.

    It depends on nothing else: neither the clock nor the rule that allows it. `accepted` are keys
    such as `derived_from_filtered:sales.a_view` that an owner accepted. Raises `Invalid` where a
    glob is malformed or matches nothing, unless `missing_ok` (a grant made earlier), which lists it
    as left out.
    """
    if not asked.classes:
        raise Invalid(
            "no class of statement is asked for",
            next_step="name at least one, such as select",
            code="invalid_scope",
        )
    return _Resolving(policy, asked, principal, database, catalog, accepted, missing_ok).run()


def pin_unmask(asked: AskedScope, resolution: Resolution) -> AskedScope:
    """Return what was asked with its unmask globs narrowed to the very columns resolved now.

    A grant keeps this form, so that a column tagged later is not unmasked by a glob nobody approved
    for it.
    """
    return replace(
        asked,
        unmask=tuple(
            exact_glob((c.relation.schema, c.relation.name, c.name)) for c in resolution.unmask
        ),
    )


class _Resolving:
    """One resolution under way: gathers every problem before it gives up."""

    def __init__(
        self,
        policy: Policy,
        asked: AskedScope,
        principal: Principal,
        database: DatabaseFacts,
        catalog: ClassifiedCatalog,
        accepted: frozenset[str],
        missing_ok: bool,
    ) -> None:
        self._asked = asked
        self._catalog = catalog
        self._missing_ok = missing_ok
        self._guards = Guards(policy, principal, database, asked.classes, catalog, accepted)
        self._problems: list[tuple[str, str]] = []
        self._left_out: list[LeftOut] = []

    def run(self) -> Resolution:
        asked = self._asked
        settings = tuple(sorted(asked.settings.items()))
        if asked.native_role is not None:
            self._check_native_role(asked.native_role)
            self._raise_problems()
            scope = Scope(asked.classes, (), settings, asked.native_role, tuple(self._left_out), ())
            return Resolution(scope, (), ())
        matched = self._match_relations()
        wanted = self._match_columns(matched)
        narrowing = self._match_row_filters()
        self._raise_problems()
        scoped: list[ScopedRelation] = []
        unmasked: list[ColumnName] = []
        for relation in matched:
            found = self._scope_relation(relation, wanted, narrowing, unmasked)
            if found is not None:
                scoped.append(found)
        inside = {relation.name for relation in scoped}
        elsewhere = tuple(
            sorted(
                name
                for name, relation in self._catalog.relations.items()
                if name not in inside and self._guards.relation_is_guarded(relation)
            )
        )
        scope = Scope(
            asked.classes, tuple(scoped), settings, None, tuple(self._left_out), elsewhere
        )
        return Resolution(scope, tuple(r.name for r in matched), tuple(unmasked))

    def _raise_problems(self) -> None:
        if self._problems:
            raise Invalid(
                "; ".join(text for _, text in self._problems),
                problems=tuple(self._problems),
                next_step="name relations as schema.name; * stands for any name, as in sales.*",
                code="invalid_scope",
            )

    def _missing(self, glob: str, text: str) -> None:
        if self._missing_ok:
            self._left_out.append(LeftOut(glob, "no_longer_there", text))
        else:
            self._problems.append((glob, text))

    def _check_native_role(self, role: str) -> None:
        known = [r.name for r in self._catalog.catalog.roles]
        if role not in known:
            self._missing(role, f"the database has no role {role!r}{_suggest(role, known)}")

    def _match_relations(self) -> list[Relation]:
        found: dict[RelationName, Relation] = {}
        names = sorted(self._catalog.relations)
        for glob in self._asked.relations:
            if not self._well_formed(glob, RELATION_PARTS, "schema.name", names):
                continue
            hits = [n for n in names if matches(glob, (n.schema, n.name))]
            if not hits:
                hint = _suggest(glob, [str(n) for n in names])
                self._missing(glob, f"no relation matches {glob!r}{hint}")
            found.update((n, self._catalog.relations[n]) for n in hits)
        return [found[name] for name in sorted(found)]

    def _well_formed(self, glob: str, parts: int, form: str, names: list[RelationName]) -> bool:
        found = split_glob(glob)
        if found is not None and len(found) == parts:
            return True
        bare = glob.rpartition(".")[2]
        near = [str(n) for n in names if n.name == bare][:_SUGGESTIONS]
        hint = f"; did you mean {' or '.join(near)}?" if near and parts == RELATION_PARTS else ""
        self._problems.append((glob, f"{glob!r} is not of the form {form}{hint}"))
        return False

    def _match_columns(self, matched: list[Relation]) -> frozenset[ColumnName]:
        """Return the columns asked to be unmasked, masked or not."""
        found: set[ColumnName] = set()
        names = sorted(self._catalog.relations)
        for glob in self._asked.unmask:
            if not self._well_formed(glob, COLUMN_PARTS, "schema.relation.column", names):
                continue
            hits = {
                ColumnName(relation.name, column.name)
                for relation in matched
                for column in relation.columns
                if matches(glob, (relation.name.schema, relation.name.name, column.name))
            }
            if not hits:
                columns = [f"{r.name}.{c.name}" for r in matched for c in r.columns]
                self._missing(
                    glob,
                    f"no column of the relations asked for matches {glob!r}"
                    f"{_suggest(glob, columns)}",
                )
            found |= hits
        return frozenset(found)

    def _match_row_filters(self) -> list[tuple[str, RowFilter]]:
        found = []
        names = sorted(self._catalog.relations)
        for glob, text in sorted(self._asked.row_filters.items()):
            if not self._well_formed(glob, RELATION_PARTS, "schema.name", names):
                continue
            if not text.strip() or _SLOT.search(text):
                self._problems.append((glob, f"the row filter of {glob!r} is not a predicate"))
            elif not any(matches(glob, (n.schema, n.name)) for n in names):
                hint = _suggest(glob, [str(n) for n in names])
                # A filter that fits nothing must never silently become no filter.
                self._problems.append(
                    (glob, f"no relation matches the row filter's {glob!r}{hint}")
                )
            else:
                found.append((glob, RowFilter(text)))
        return found

    def _scope_relation(
        self,
        relation: Relation,
        wanted: frozenset[ColumnName],
        narrowing: list[tuple[str, RowFilter]],
        unmasked: list[ColumnName],
    ) -> ScopedRelation | None:
        name = relation.name
        classes = self._asked.classes - _OF_NO_RELATION
        if not classes:
            return None
        if relation.kind in _READ_ONLY_KINDS:
            kept = classes & (READS | {StatementClass.DDL})
            if not kept:
                kind = relation.kind.value.replace("_", " ")
                self._left_out.append(
                    LeftOut(
                        str(name),
                        "read_only",
                        f"a {kind} can only be read, not used for "
                        f"{', '.join(class_names(classes))}",
                        "ask for the relation its rows come from",
                    )
                )
                return None
            classes = kept
        rows = self._guards.rows(relation)
        if rows.left_out is not None:
            self._left_out.append(rows.left_out)
            return None
        columns = []
        for column, guard in zip(relation.columns, self._guards.columns(name), strict=True):
            full = ColumnName(name, column.name)
            if guard.mask is not None and full in wanted:
                unmasked.append(full)
                columns.append(ScopedColumn(column.name))
            else:
                columns.append(ScopedColumn(column.name, guard.mask, guard.rule))
        own = tuple(f for glob, f in narrowing if matches(glob, (name.schema, name.name)))
        return ScopedRelation(name, classes, tuple(columns), rows.filters + own)


def _suggest(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=_SUGGESTIONS, cutoff=0.6)
    if not near:
        bare = {name.rpartition(".")[2]: name for name in reversed(known)}
        last = word.rpartition(".")[2]
        near = [bare[b] for b in get_close_matches(last, list(bare), n=_SUGGESTIONS, cutoff=0.6)]
    return f"; did you mean {' or '.join(near)}?" if near else ""

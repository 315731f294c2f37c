"""Decide one relation of a scope: its columns, filters and classes, or why it is left out: pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from daypass.domain.catalog import Catalog, Column, Relation, RelationKind, RelationName
from daypass.domain.masks import Mask
from daypass.domain.scope import LeftOut, RowFilter, ScopedRelation
from daypass.domain.statement_class import GATEWAY_TIMED, READS, WRITES, StatementClass
from daypass.engines.postgres.filters import check_row_filter, columns_of_filter
from daypass.engines.postgres.masks import mask_expression
from daypass.engines.postgres.plan import PlannedColumn, PlannedRelation
from daypass.engines.postgres.quoting import relation_identifier
from daypass.engines.postgres.reach import Reach

_CONFLICTS_CHECKED: Final = {15: 20, 16: 16, 17: 12, 18: 6}
"""The first minor release of each major version that checks conflicting rows against a view."""


@dataclass(frozen=True, slots=True)
class RelationCompiler:
    """Decides one relation at a time."""

    catalog: Catalog
    accepted: frozenset[str]
    around: Reach

    def relation(
        self, scoped: ScopedRelation, known: Relation
    ) -> tuple[PlannedRelation | None, list[LeftOut]]:
        """Return the relation as it will be, or None, and what of it is left out."""
        name = str(scoped.name)
        problems: list[LeftOut] = []
        whole = self._reason_against(scoped, known)
        if whole is not None:
            return None, [whole]
        columns: list[PlannedColumn] = []
        for each in scoped.columns:
            column = known.column(each.name)
            if column is None:
                return None, [gone(f"{name}.{each.name}")]
            columns.append(_column(column, each.mask, scoped.name))
        for row_filter in scoped.filters:
            problem = self._filter_problem(row_filter, scoped, known)
            if problem is not None:
                return None, [problem]
        classes = scoped.classes & (READS | WRITES)
        base = scoped.classes & (GATEWAY_TIMED - {StatementClass.ADMIN, StatementClass.CALL})
        kept: set[StatementClass] = set()
        for statement in sorted(classes | base):
            reason = self._reason_against_class(statement, scoped, known)
            if reason is None:
                kept.add(statement)
            else:
                problems.append(reason)
        planned = PlannedRelation(
            name=scoped.name,
            kind=known.kind,
            owner=known.owner,
            view=scoped.name,
            classes=frozenset(kept & classes),
            base_classes=frozenset(kept & base),
            columns=tuple(sorted(columns, key=lambda c: c.base.position)),
            filters=scoped.filters,
        )
        return (planned if kept else None), problems

    def _reason_against(self, scoped: ScopedRelation, known: Relation) -> LeftOut | None:
        name = str(scoped.name)
        if not scoped.columns:
            return LeftOut(name, "no_columns", f"{name} has no column the scope could show")
        if known.kind is RelationKind.FOREIGN_TABLE:
            return self._unless_accepted(
                "foreign_table",
                name,
                f"{name} lives on another server, which Daypass does not guard",
            )
        invoker = self._invoker_view(known)
        if invoker is not None:
            return LeftOut(
                name,
                "invoker_view",
                f"{name} reads as whoever reads it ({invoker} has security_invoker),"
                " and sessions can read no relation themselves",
                "ask for the relations it is made of",
            )
        unsafe = self._unsafe_code(known, StatementClass.SELECT)
        if unsafe and not self.around.sessions_create_nothing:
            return self._unless_accepted(
                "foreign_code",
                name,
                f"{name}: reading it runs {unsafe}, whose names a session could redirect",
                "set search_path on the function, ending in pg_temp",
            )
        return None

    def _reason_against_class(
        self, statement: StatementClass, scoped: ScopedRelation, known: Relation
    ) -> LeftOut | None:
        name = str(scoped.name)
        label = f"{name}: {statement.value}"
        is_table = known.kind in (
            RelationKind.TABLE,
            RelationKind.PARTITIONED,
            RelationKind.PARTITION,
        )
        if statement not in READS and not is_table:
            return LeftOut(label, "not_writable", f"{name} is a {known.kind.value}, read only here")
        if statement in (StatementClass.TRUNCATE, StatementClass.COPY_IN):
            if scoped.filters:
                return LeftOut(
                    label,
                    "row_filter",
                    f"{statement.value} would reach rows of {name} that the scope hides",
                )
            if scoped.name.schema not in self.around.usable | self.around.grantable:
                return LeftOut(
                    label,
                    "schema_closed",
                    f"{statement.value} needs the schema {scoped.name.schema}, which shows more",
                )
        if statement is StatementClass.INSERT and self._conflicts_show_hidden_rows(scoped):
            return LeftOut(
                label,
                "conflict_shows_hidden",
                f"insert beside update would reach rows of {name} that the scope hides, by ON"
                f" CONFLICT DO UPDATE: PostgreSQL {self.catalog.server_version} lets it",
                "ask for insert and update apart, or upgrade the server to its newest minor",
            )
        if statement is StatementClass.INSERT:
            lacking = [
                column.name
                for column in known.columns
                if column.not_null
                and not column.has_default
                and not column.identity
                and not column.generated
                and not _shown(scoped, column.name)
            ]
            if lacking:
                return LeftOut(
                    label,
                    "masked_required",
                    f"{name} needs a value for {', '.join(lacking)}, which the scope masks",
                )
        if statement in READS:
            return None
        unsafe = self._unsafe_code(known, statement)
        if unsafe and not self.around.sessions_create_nothing:
            return self._unless_accepted(
                "foreign_code",
                name,
                f"{name}: {statement.value} runs {unsafe}, whose names a session could redirect",
                "set search_path on the function, ending in pg_temp",
                label=label,
            )
        return None

    def _conflicts_show_hidden_rows(self, scoped: ScopedRelation) -> bool:
        """Say whether ON CONFLICT DO UPDATE through the view would act on rows it filters out.

        Before the minor releases below the server updates the conflicting row, and evaluates what
        the session says about it, whether or not the view shows it. Since them it raises 55000.
        """
        if not scoped.filters or StatementClass.UPDATE not in scoped.classes:
            return False
        number = int(self.catalog.facts.get("server_version_num", "0"))
        major, minor = divmod(number, 10000)
        return major <= max(_CONFLICTS_CHECKED) and minor < _CONFLICTS_CHECKED.get(major, 10000)

    def _invoker_view(self, known: Relation) -> str | None:
        """Return the view that reads as its reader, this one or one it is made of."""
        found: list[str] = json.loads(self.catalog.facts.get("security_invoker_views", "[]"))
        if not found or known.kind is not RelationKind.VIEW:
            return None
        seen: set[RelationName] = set()
        todo = [known]
        while todo:
            relation = todo.pop()
            if str(relation.name) in found:
                return str(relation.name)
            seen.add(relation.name)
            sources = {c.relation for column in relation.columns for c in column.derived_from}
            todo += [
                view
                for name in sorted(sources - seen)
                if (view := self.catalog.relation(name)) is not None
                and view.kind is RelationKind.VIEW
            ]
        return None

    def _filter_problem(
        self, row_filter: RowFilter, scoped: ScopedRelation, known: Relation
    ) -> LeftOut | None:
        name = str(scoped.name)
        narrowing = row_filter.rule is None
        problem = check_row_filter(row_filter, known.name, self.catalog, narrowing=narrowing)
        if problem is not None:
            return LeftOut(name, "invalid_filter", f"{name}: {problem}")
        if narrowing:
            named = columns_of_filter(row_filter)
            masked = [c.name for c in scoped.columns if c.mask is not None and c.name in named]
            unknown = named - {c.name for c in scoped.columns}
            if masked or unknown:
                return LeftOut(
                    name,
                    "filter_on_masked",
                    f"{name}: a filter on {', '.join(sorted({*masked, *unknown}))} would tell"
                    " what the scope hides",
                    "narrow by a column the scope shows in clear",
                )
        return None

    def _unsafe_code(self, known: Relation, statement: StatementClass) -> str:
        found = [
            f"{code.via} {code.name}"
            for code in known.foreign_code
            if code.unsafe and statement.value in code.on
        ]
        return ", ".join(sorted(set(found)))

    def _unless_accepted(
        self, code: str, name: str, reason: str, mend: str = "", *, label: str = ""
    ) -> LeftOut | None:
        if f"{code}:{name}" in self.accepted:
            return None
        return LeftOut(label or name, code, reason, mend)


def _shown(scoped: ScopedRelation, column: str) -> bool:
    return any(each.name == column and each.mask is None for each in scoped.columns)


def gone(name: str) -> LeftOut:
    """Return what is said of a relation or column the database does not have any more."""
    return LeftOut(name, "gone", f"{name} is not in the database any more", "sync the catalog")


def _column(column: Column, mask: Mask | None, relation: RelationName) -> PlannedColumn:
    if mask is None:
        return PlannedColumn(column, None, column.type)
    return PlannedColumn(
        column, mask, mask_expression(mask, column, relation_identifier(relation)).type
    )

"""Scopes: what is asked for, and what a database is then made to obey."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from daypass.domain.catalog import ColumnName, RelationName
from daypass.domain.limits import ExactStatement
from daypass.domain.masks import Mask
from daypass.domain.statement_class import StatementClass

LiteralValue: TypeAlias = "str | int | float | bool | tuple[LiteralValue, ...] | None"
"""A value that enters a row filter as a typed literal, never as text."""


@dataclass(frozen=True, slots=True)
class AskedScope:
    """What somebody asks for, before policy and catalog have been looked at.

    `relations` are globs over `schema.name` (`sales.*`, `*.orders`); `unmask` are globs over
    `schema.relation.column`; `row_filters` narrow relations (glob → predicate over clear columns);
    `native_role` asks for a role the database has of itself instead of relations. With `statements`
    nothing else may be sent: classes and relations are then those that they need.
    """

    classes: frozenset[StatementClass]
    relations: tuple[str, ...] = ("*.*",)
    unmask: tuple[str, ...] = ()
    row_filters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    native_role: str | None = None
    statements: tuple[ExactStatement, ...] = ()


def _shown(value: LiteralValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case tuple():
            return f"({', '.join(_shown(each) for each in value)})"
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A predicate over the relation's columns.

    `text` is SQL of the engine's dialect with `{1}`, `{2}` … where `values` go in as literals;
    `rule` is the row rule it comes from, or None for what the request narrowed by itself.
    """

    text: str
    values: tuple[LiteralValue, ...] = ()
    rule: str | None = None

    @property
    def shown(self) -> str:
        """Return the predicate with its values in it, for people to read: nothing runs it."""

        def value(found: re.Match[str]) -> str:
            index = int(found[1])
            return _shown(self.values[index - 1]) if 1 <= index <= len(self.values) else found[0]

        return re.sub(r"\{(\d+)\}", value, self.text)


@dataclass(frozen=True, slots=True)
class ScopedColumn:
    """A column of a scope, in clear without a `mask`; `rule` is the masking rule that decided."""

    name: str
    mask: Mask | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class ScopedRelation:
    """A relation of a scope with every column of its, in order, and filters that are ANDed."""

    name: RelationName
    classes: frozenset[StatementClass]
    columns: tuple[ScopedColumn, ...]
    filters: tuple[RowFilter, ...] = ()

    @property
    def guarded(self) -> bool:
        """Say whether anything of the relation is hidden: a masked column or a filtered row."""
        return bool(self.filters) or any(c.mask is not None for c in self.columns)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A relation (or other object) a scope does not get, why, and what its owner can do."""

    name: str
    code: str
    reason: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """What one principal may do on one database: policy's answer to an `AskedScope`.

    `relations` are in order of name and hold only what is granted. `guarded_elsewhere` are
    relations outside it whose columns policy would mask or rows it would filter for this principal:
    a session must not reach those by any other way either. `settings` are session settings.
    """

    classes: frozenset[StatementClass]
    relations: tuple[ScopedRelation, ...]
    settings: tuple[tuple[str, str], ...] = ()
    native_role: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    guarded_elsewhere: tuple[RelationName, ...] = ()

    def relation(self, name: RelationName) -> ScopedRelation | None:
        """Return the scoped relation of that name, if the scope has it."""
        return next((r for r in self.relations if r.name == name), None)

    def only(self, given: Mapping[RelationName, frozenset[StatementClass]]) -> Scope:
        """Return what of it a database gives: what is left out is not opened."""
        return replace(
            self,
            relations=tuple(
                replace(each, classes=each.classes & given[each.name])
                for each in self.relations
                if each.name in given
            ),
        )

    def masked_columns(self) -> tuple[ColumnName, ...]:
        """List the masked columns."""
        return tuple(
            ColumnName(r.name, c.name) for r in self.relations for c in r.columns if c.mask
        )

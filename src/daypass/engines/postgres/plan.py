"""What makes one PostgreSQL database obey a scope: a value, with everything decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from daypass.domain.catalog import Column, RelationKind, RelationName
from daypass.domain.exposure import Exposure
from daypass.domain.ids import ScopeHash
from daypass.domain.masks import Mask
from daypass.domain.scope import LeftOut, RowFilter
from daypass.domain.statement_class import StatementClass
from daypass.engines.postgres import names
from daypass.engines.postgres.statement_decision import SessionScope

_OF_NO_RELATION: Final = frozenset({StatementClass.CALL, StatementClass.ADMIN})
"""Classes that are of use without any relation."""


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """A column of a view: the base column, its mask if any, and the type that comes out."""

    base: Column
    mask: Mask | None
    type: str


@dataclass(frozen=True, slots=True)
class PlannedRelation:
    """A relation of a plan.

    `view` is what sessions read and write instead, with `classes`; `base_classes` are those that
    need privileges on the relation itself and are timed by the gateway.
    """

    name: RelationName
    kind: RelationKind
    owner: str
    view: RelationName
    classes: frozenset[StatementClass]
    base_classes: frozenset[StatementClass]
    columns: tuple[PlannedColumn, ...]
    filters: tuple[RowFilter, ...]

    @property
    def guarded(self) -> bool:
        """Say whether a column is masked or a row filtered."""
        return bool(self.filters) or any(column.mask is not None for column in self.columns)


@dataclass(frozen=True, slots=True)
class PostgresPlan:
    """A compiled scope; see `Plan` of the contract.

    `view_schemas` pairs source schemas with the schemas of their views, in the order of a session's
    search path. `granted_schemas` are the customer's own schemas sessions get USAGE on,
    `usable_schemas` all those they can use (PUBLIC's among them). `guarded` are the base relations
    no session may read directly. `owners` are roles sessions become members of (class `ddl`, or the
    native role of the scope), and `heir` the one that inherits what sessions leave behind.
    `callable` are signatures of routines sessions get EXECUTE on, `accepted_open` guarded relations
    an owner accepted to be open to PUBLIC. `session_scope` is the same for `prepare`.
    """

    scope_hash: ScopeHash
    database: str
    classes: frozenset[StatementClass]
    relations: tuple[PlannedRelation, ...]
    view_schemas: tuple[tuple[str, str], ...]
    granted_schemas: tuple[str, ...]
    usable_schemas: tuple[str, ...]
    guarded: tuple[RelationName, ...]
    owners: tuple[str, ...]
    heir: str | None
    callable: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    native_role: str | None
    left_out: tuple[LeftOut, ...]
    blocked: tuple[Exposure, ...]
    timed_by_gateway: frozenset[StatementClass]
    accepted_open: frozenset[RelationName]
    session_scope: SessionScope = field(compare=False, repr=False)

    @property
    def role(self) -> str:
        """Return the name of the scope's role."""
        return names.scope_role(self.scope_hash)

    @property
    def search_path(self) -> tuple[str, ...]:
        """Return what unqualified names of a session resolve to, in order."""
        return (*(view for _, view in self.view_schemas), *self.usable_schemas, "pg_temp")

    @property
    def given(self) -> Mapping[RelationName, frozenset[StatementClass]]:
        """Return the relations that sessions get, with what they may do with each."""
        return {each.name: each.classes | each.base_classes for each in self.relations}

    @property
    def opens_nothing(self) -> bool:
        """Say whether all that the scope asked for is left out: a session could do nothing."""
        if not self.left_out:
            return False
        if self.native_role is not None:
            return self.native_role not in self.owners
        return not (self.relations or self.classes & _OF_NO_RELATION)

    def relation(self, name: RelationName) -> PlannedRelation | None:
        """Return the relation of that name as the customer calls it, if the plan has it."""
        return next((each for each in self.relations if each.name == name), None)

    def view_schema(self, source: str) -> str | None:
        """Return the schema that holds the views of a source schema, if there is one."""
        return next((view for schema, view in self.view_schemas if schema == source), None)

    def describe(self) -> tuple[str, ...]:
        """Return the statements it will run, in order, for people to read."""
        # Here, since the words of the statements are kept apart from the value they come from.
        from daypass.engines.postgres.views import describe

        return describe(self)

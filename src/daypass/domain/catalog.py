"""What Daypass knows of a database: schemas, relations, columns, functions, roles, tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class RelationName:
    """A relation's schema and name, as the database stores them (unquoted)."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @classmethod
    def parse(cls, text: str) -> RelationName:
        """Split `schema.name` at the first dot; without one the schema is empty."""
        schema, dot, name = text.partition(".")
        return cls(schema, name) if dot else cls("", schema)


@dataclass(frozen=True, slots=True, order=True)
class ColumnName:
    """A column of a relation."""

    relation: RelationName
    name: str

    def __str__(self) -> str:
        return f"{self.relation}.{self.name}"


class RelationKind(StrEnum):
    """Kinds of relation; a `partition` is a child that another relation is made of."""

    TABLE = "table"
    PARTITIONED = "partitioned"
    PARTITION = "partition"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized_view"
    FOREIGN_TABLE = "foreign_table"


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    `type` is the engine's own spelling, `type_family` the engine-neutral kind masks go by: `text`,
    `integer`, `decimal`, `float`, `boolean`, `date`, `timestamp`, `json`, `bytes`, `uuid`, `other`.
    `derived_from` lists the columns its value is computed from (a view, a generated column, a
    partition): exact where the engine can tell, else every column it might be.
    """

    name: str
    position: int
    type: str
    type_family: str
    not_null: bool = False
    generated: bool = False
    identity: bool = False
    has_default: bool = False
    primary_key: bool = False
    derived_from: tuple[ColumnName, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ForeignCode:
    """Code of the customer's that runs when a session writes or reads a relation.

    `via` is `trigger`, `policy`, `check`, `default`, `index` or `rule`; `unsafe` says that its
    names resolve through the session's search path, where a temporary object can stand in for them.
    `on` lists the statement classes that run it.
    """

    via: str
    name: str
    function: str
    unsafe: bool
    on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation with its columns in order of position.

    `public` lists what everybody on the instance may do with it (`select`, `insert` …), `readers`
    the roles besides its owner that may read some of it by name. `reads` are the relations a view's
    query reads for any purpose, also where no column of them is shown.
    """

    name: RelationName
    kind: RelationKind
    owner: str
    columns: tuple[Column, ...]
    row_security: bool = False
    parent: RelationName | None = None
    public: tuple[str, ...] = ()
    foreign_code: tuple[ForeignCode, ...] = ()
    estimated_rows: int = 0
    comment: str = ""
    readers: tuple[str, ...] = ()
    reads: tuple[RelationName, ...] = ()

    def column(self, name: str) -> Column | None:
        """Return the column of that name, if there is one."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Function:
    """A function or procedure; `signature` is its full name with argument types."""

    schema: str
    name: str
    signature: str
    language: str
    security_definer: bool
    public_execute: bool
    volatile: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema; `public_usage` says that everybody on the instance may look into it."""

    name: str
    owner: str
    public_usage: bool
    public_create: bool


@dataclass(frozen=True, slots=True)
class NativeRole:
    """A role the database has of itself; `members` are role names that hold it directly."""

    name: str
    can_login: bool
    superuser: bool
    bypass_row_security: bool = False
    create_role: bool = False
    members: tuple[str, ...] = ()
    grantable: bool = False
    """Daypass's admin may grant it."""
    valid_until: str | None = None
    has_password: bool | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """One reading of a database's catalog; `facts` are further ones only its engine understands."""

    engine: str
    server_version: str
    schemas: tuple[Schema, ...]
    relations: tuple[Relation, ...]
    functions: tuple[Function, ...]
    roles: tuple[NativeRole, ...]
    facts: Mapping[str, str] = field(default_factory=dict)

    def relation(self, name: RelationName) -> Relation | None:
        """Return the relation of that name, if there is one."""
        return next((r for r in self.relations if r.name == name), None)


@dataclass(frozen=True, slots=True)
class Tags:
    """Classification of one database, as people confirmed it (not yet propagated).

    `classified` are columns somebody has looked at, tagged or not; a column outside it is
    unclassified.
    """

    relations: Mapping[RelationName, frozenset[str]]
    columns: Mapping[ColumnName, frozenset[str]]
    classified: frozenset[ColumnName]


NO_TAGS = Tags({}, {}, frozenset())

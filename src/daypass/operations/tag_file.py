"""Files of tags: `instance/database` → relation → its tags and those of its columns.

    prod/shop:
      sales.customers:
        tags: [regional]
        columns:
          email: [pii.email]
          region: []
      sales.products: {}

A relation a file names is classified as the file says, wholly: what it does not list has no tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from daypass.domain.catalog import RelationName
from daypass.policy.document import (
    Entries,
    Items,
    Node,
    Place,
    Problems,
    Scalar,
    read_document,
)

TAG_FORM = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_RELATION_KEYS = ("tags", "columns")


@dataclass(frozen=True, slots=True)
class ColumnTags:
    """Tags of one column, and where they are written."""

    name: str
    tags: frozenset[str]
    place: Place


@dataclass(frozen=True, slots=True)
class RelationTags:
    """Tags of one relation and its columns, and where they are written."""

    name: RelationName
    tags: frozenset[str]
    columns: tuple[ColumnTags, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class DatabaseTags:
    """Tags of one database's relations, and where they are written."""

    path: str
    relations: tuple[RelationTags, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class TagFile:
    """A file that was read, with problems a database's catalog adds to."""

    databases: tuple[DatabaseTags, ...]
    problems: Problems = field(default_factory=Problems)


def read_tag_file(name: str, text: str) -> TagFile:
    """Read a file of tags; what is wrong is in `problems`, each with its place."""
    problems = Problems()
    root = read_document(name, text, problems)
    found = tuple(_database(key, node, problems) for key, node in root.entries) if root else ()
    return TagFile(found, problems)


def _database(key: Scalar, node: Node, problems: Problems) -> DatabaseTags:
    instance, slash, database = key.value.partition("/")
    if not (instance and slash and database):
        problems.add(key.place, f"{key.value!r} is not instance/database")
    relations = tuple(
        _relation(name, inner, problems)
        for name, inner in _entries(node, "relations by schema.name", problems)
    )
    return DatabaseTags(key.value, relations, key.place)


def _relation(key: Scalar, node: Node, problems: Problems) -> RelationTags:
    tags: frozenset[str] = frozenset()
    columns: tuple[ColumnTags, ...] = ()
    for name, inner in _entries(node, "tags and columns", problems):
        match name.value:
            case "tags":
                tags = _tags(inner, problems)
            case "columns":
                columns = tuple(
                    ColumnTags(column.value, _tags(of_column, problems), column.place)
                    for column, of_column in _entries(inner, "columns by name", problems)
                )
            case other:
                problems.add(name.place, f"{other!r} is not one of {', '.join(_RELATION_KEYS)}")
    return RelationTags(RelationName.parse(key.value), tags, columns, key.place)


def _tags(node: Node, problems: Problems) -> frozenset[str]:
    found: set[str] = set()
    for item in node.items if isinstance(node, Items) else (node,):
        if not isinstance(item, Scalar):
            problems.add(item.place, "a tag must be a text, such as pii.email")
        elif item.value == "" and item.plain:
            continue
        elif not TAG_FORM.fullmatch(item.value):
            problems.add(
                item.place,
                f"{item.value!r} is no tag: lower-case letters, digits, . _ - and at most 63",
            )
        else:
            found.add(item.value)
    return frozenset(found)


def _entries(node: Node, what: str, problems: Problems) -> Iterator[tuple[Scalar, Node]]:
    if isinstance(node, Entries):
        yield from node.entries
    elif not (isinstance(node, Scalar) and node.plain and node.value == ""):
        problems.add(node.place, f"here must stand {what}")

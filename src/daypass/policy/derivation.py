"""How tags and rules follow data: from columns to whatever is computed from them.

A column is sensitive if anything it may be computed from is; a partition and the relation it is
part of hold the same rows and share everything.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from daypass.domain.catalog import (
    Catalog,
    Column,
    ColumnName,
    Relation,
    RelationKind,
    RelationName,
    Tags,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)

NO_TAGS: Final[frozenset[str]] = frozenset()
STORED_VIEWS: Final = frozenset({RelationKind.VIEW, RelationKind.MATERIALIZED_VIEW})
"""Kinds whose rows are computed by a query of the customer's own."""


@dataclass(frozen=True, slots=True)
class ClassifiedColumn:
    """A column with its tags; `linked` says that another column comes from it, or it from one."""

    name: ColumnName
    column: Column
    tags: frozenset[str]
    classified: bool
    linked: bool


@dataclass(frozen=True, slots=True)
class ClassifiedCatalog:
    """A catalog with its tags propagated; independent of any person, so it may be kept and shared.

    `column_edges` and `relation_edges` lead from data to what it comes from; `tags` are complete,
    `own_relation_tags` only what people said.
    """

    catalog: Catalog
    relations: Mapping[RelationName, Relation]
    columns: Mapping[RelationName, tuple[ClassifiedColumn, ...]]
    column_edges: Mapping[ColumnName, frozenset[ColumnName]]
    relation_edges: Mapping[RelationName, frozenset[RelationName]]
    relation_tags: Mapping[RelationName, frozenset[str]]
    own_relation_tags: Mapping[RelationName, frozenset[str]]

    @property
    def column_tags(self) -> dict[ColumnName, frozenset[str]]:
        """Return every column that has tags, with all of them."""
        return {c.name: c.tags for columns in self.columns.values() for c in columns if c.tags}

    @property
    def classified(self) -> frozenset[ColumnName]:
        """Return every column that somebody has looked at, or all it comes from."""
        return frozenset(
            c.name for columns in self.columns.values() for c in columns if c.classified
        )


def classify(catalog: Catalog, tags: Tags) -> ClassifiedCatalog:
    """Propagate the tags of a catalog along what its columns are derived from."""
    relations = {relation.name: relation for relation in catalog.relations}
    column_edges: dict[ColumnName, set[ColumnName]] = {}
    relation_edges: dict[RelationName, set[RelationName]] = {}
    for relation in catalog.relations:
        for column in relation.columns:
            if column.derived_from:
                name = ColumnName(relation.name, column.name)
                column_edges.setdefault(name, set()).update(column.derived_from)
                sources = {source.relation for source in column.derived_from}
                relation_edges.setdefault(relation.name, set()).update(sources - {relation.name})
        others = set(relation.reads) - {relation.name}
        if others:
            relation_edges.setdefault(relation.name, set()).update(others)
        parent = relations.get(relation.parent) if relation.parent is not None else None
        if parent is not None:
            _join(relation, parent, column_edges, relation_edges)
    frozen_columns = {k: frozenset(v) for k, v in column_edges.items()}
    frozen_relations = {k: frozenset(v) for k, v in relation_edges.items()}
    return ClassifiedCatalog(
        catalog,
        relations,
        _columns(catalog, tags, frozen_columns),
        frozen_columns,
        frozen_relations,
        spread(frozen_relations, tags.relations),
        tags.relations,
    )


def _columns(
    catalog: Catalog, tags: Tags, edges: Mapping[ColumnName, frozenset[ColumnName]]
) -> dict[RelationName, tuple[ClassifiedColumn, ...]]:
    classified = _classified(catalog, tags)
    all_tags = spread(edges, tags.columns)
    linked = set(edges).union(*edges.values())
    found = {}
    for relation in catalog.relations:
        columns = []
        for column in relation.columns:
            name = ColumnName(relation.name, column.name)
            own = all_tags.get(name, NO_TAGS)
            columns.append(ClassifiedColumn(name, column, own, name in classified, name in linked))
        found[relation.name] = tuple(columns)
    return found


def _join(
    part: Relation,
    parent: Relation,
    column_edges: dict[ColumnName, set[ColumnName]],
    relation_edges: dict[RelationName, set[RelationName]],
) -> None:
    """Tie a partition and its parent together, both ways: each shows rows of the other."""
    relation_edges.setdefault(part.name, set()).add(parent.name)
    relation_edges.setdefault(parent.name, set()).add(part.name)
    shared = {column.name for column in parent.columns}
    for column in part.columns:
        if column.name in shared:
            below = ColumnName(part.name, column.name)
            above = ColumnName(parent.name, column.name)
            column_edges.setdefault(below, set()).add(above)
            column_edges.setdefault(above, set()).add(below)


def _classified(catalog: Catalog, tags: Tags) -> frozenset[ColumnName]:
    """Return the columns people classified, and those derived from classified ones alone.

    Columns derived from each other in a circle wait for one another and stay unclassified.
    """
    found = set(tags.classified)
    waiting: dict[ColumnName, int] = {}
    dependents: dict[ColumnName, list[ColumnName]] = {}
    for relation in catalog.relations:
        for column in relation.columns:
            if not column.derived_from:
                continue
            name = ColumnName(relation.name, column.name)
            sources = set(column.derived_from)
            waiting[name] = len(sources)
            for source in sources:
                dependents.setdefault(source, []).append(name)
    ready = list(found)
    while ready:
        for dependent in dependents.get(ready.pop(), ()):
            waiting[dependent] -= 1
            if waiting[dependent] == 0 and dependent not in found:
                found.add(dependent)
                ready.append(dependent)
    return frozenset(found)


def spread(edges: Mapping[K, Iterable[K]], own: Mapping[K, frozenset[V]]) -> dict[K, frozenset[V]]:
    """Return for each node its own values and those of every node its edges lead to.

    Linear in nodes and edges, safe for circles: nodes on one circle get the same.
    """
    result: dict[K, frozenset[V]] = dict(own)
    for circle in _circles(edges):
        values = frozenset().union(*(own.get(node, frozenset()) for node in circle))
        values = values.union(
            *(result.get(to, frozenset()) for node in circle for to in edges.get(node, ()))
        )
        for node in circle:
            result[node] = values
    return result


def _circles(edges: Mapping[K, Iterable[K]]) -> Iterable[list[K]]:
    """Yield the strongly connected components, each after those it leads to (Tarjan, iterative)."""
    number: dict[K, int] = {}
    low: dict[K, int] = {}
    stack: list[K] = []
    on_stack: set[K] = set()
    for root in edges:
        if root in number:
            continue
        work = [(root, iter(edges[root]))]
        number[root] = low[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in edges:
                    continue
                if target not in number:
                    number[target] = low[target] = len(number)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(edges[target])))
                    break
                if target in on_stack:
                    low[node] = min(low[node], number[target])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[node])
                if low[node] == number[node]:
                    circle = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        circle.append(member)
                        if member == node:
                            break
                    yield circle

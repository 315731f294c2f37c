"""From which columns each output column of a view is computed: pure.

Reads the text PostgreSQL itself writes for a view (`pg_get_viewdef` with nothing but pg_catalog on
the path): every relation carries its schema, no `*` stands for a list of columns, and `t.*` is
always a whole row. What decides which rows there are (WHERE, JOIN conditions, GROUP BY) does not
count, what an expression is made of does. Whatever is not understood, and whatever goes beyond the
columns the server says the view depends on, falls back to all of those: too much, never too little.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest
from typing import Final, TypeAlias

from daypass.domain.catalog import ColumnName, RelationName
from daypass.domain.errors import Invalid
from daypass.engines.postgres.parsing import (
    Node,
    child,
    items,
    parse_text,
    string,
    strings,
    unwrap,
)

Origin: TypeAlias = frozenset[ColumnName]
NOTHING: Final[Origin] = frozenset()

_SYSTEM_COLUMNS: Final = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})
_MAX_ROUNDS: Final = 20
_KEPT: Final = 5000


class _UnclearError(Exception):
    """The definition holds something whose columns cannot be told apart."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Something FROM names: its output columns in order, or `opaque` for any name at all."""

    alias: str
    columns: tuple[tuple[str, Origin], ...] = ()
    opaque: Origin | None = None

    def find(self, name: str) -> Origin | None:
        """Return where a column comes from, or None if there is none of that name."""
        found = [origin for column, origin in self.columns if column == name]
        if found:
            return _union(found)
        return NOTHING if name in _SYSTEM_COLUMNS else self.opaque

    def named(self, name: str) -> Origin:
        """Return where a column comes from that must be there."""
        found = self.find(name)
        if found is None:
            raise _UnclearError(name)
        return found

    def whole(self) -> Origin:
        """Return where any of its columns comes from."""
        return _union([origin for _, origin in self.columns]) | (self.opaque or NOTHING)

    def renamed(self, alias: str, names: Sequence[str]) -> _Source:
        """Return it under an alias, the first columns under new names."""
        columns = tuple(
            (new if new is not None else old[0], old[1])
            for old, new in zip_longest(self.columns, names[: len(self.columns)])
        )
        return _Source(alias, columns, self.opaque)


@dataclass(frozen=True, slots=True)
class _Item:
    """An item of FROM: what it lets names mean, and all of its columns in order."""

    sources: tuple[_Source, ...]
    output: _Source

    @classmethod
    def of(cls, source: _Source) -> _Item:
        """Return an item that is one source."""
        return cls((source,), source)


@dataclass(slots=True)
class _Scope:
    """What names mean at one level of a query; `outer` is asked for what this level lacks."""

    outer: _Scope | None
    queries: Mapping[str, _Source]
    sources: list[_Source] = field(default_factory=list)
    windows: dict[str, Node] = field(default_factory=dict)

    def column(self, name: str) -> Origin:
        """Return where an unqualified column comes from; several that fit are taken together."""
        found = [o for s in self.sources if (o := s.find(name)) is not None]
        if found and (self.outer is None or any(s.opaque is None for s in self.sources)):
            return _union(found)
        if found and self.outer is not None:
            # It may be none of the function's columns but one from further out.
            with contextlib.suppress(_UnclearError):
                found.append(self.outer.column(name))
            return _union(found)
        if whole := [s.whole() for s in self.sources if s.alias == name]:
            return _union(whole)
        if self.outer is None:
            raise _UnclearError(name)
        return self.outer.column(name)

    def source(self, alias: str) -> _Source:
        """Return what an alias stands for."""
        found = [s for s in self.sources if s.alias == alias]
        if len(found) == 1:
            return found[0]
        if found or self.outer is None:
            raise _UnclearError(alias)
        return self.outer.source(alias)


def _union(origins: Iterable[Origin]) -> Origin:
    return NOTHING.union(*origins)


class _Reader:
    def __init__(self, columns: Mapping[RelationName, Sequence[str]]) -> None:
        self._columns = columns

    def query(
        self, select: Node, queries: Mapping[str, _Source], outer: _Scope | None
    ) -> list[tuple[str, Origin]]:
        """Return the output columns of a SELECT, a VALUES list or a set operation."""
        queries = self._with_clause(child(select, "withClause"), queries, outer)
        if string(select, "op") not in ("", "SETOP_NONE"):
            left = self.query(_required(select, "larg"), queries, outer)
            right = self.query(_required(select, "rarg"), queries, outer)
            if len(left) != len(right):
                raise _UnclearError("set operation")
            return [(n, a | b) for (n, a), (_, b) in zip(left, right, strict=True)]
        scope = _Scope(outer, queries)
        if values := items(select, "valuesLists"):
            rows = [self._expressions(items(_list(row), "items"), scope) for row in values]
            return [
                (f"column{at}", _union(each)) for at, each in enumerate(zip(*rows, strict=True), 1)
            ]
        for each in items(select, "fromClause"):
            scope.sources += self._from(each, scope).sources
        for each in items(select, "windowClause"):
            _, window = unwrap(each)
            scope.windows[string(window, "name")] = window
        return [self._target(unwrap(each)[1], scope) for each in items(select, "targetList")]

    def _expressions(self, nodes: list[Node], scope: _Scope) -> list[Origin]:
        return [self._expression(node, scope) for node in nodes]

    def _target(self, target: Node, scope: _Scope) -> tuple[str, Origin]:
        value = _required(target, "val")
        name = string(target, "name")
        if not name:
            fields = strings(items(child(value, "ColumnRef") or {}, "fields"))
            name = fields[-1] if fields else ""
        return name, self._expression(value, scope)

    def _with_clause(
        self, clause: Node | None, queries: Mapping[str, _Source], outer: _Scope | None
    ) -> Mapping[str, _Source]:
        if clause is None:
            return queries
        known = dict(queries)
        for each in items(clause, "ctes"):
            _, cte = unwrap(each)
            if "search_clause" in cte or "cycle_clause" in cte:
                raise _UnclearError("search or cycle")
            kind, query = unwrap(_required(cte, "ctequery"))
            if kind != "SelectStmt":
                raise _UnclearError(kind)
            name = string(cte, "ctename")
            aliases = strings(items(cte, "aliascolnames"))
            if clause.get("recursive") and string(query, "op") not in ("", "SETOP_NONE"):
                known[name] = self._recursive(name, aliases, query, known, outer)
            else:
                found = self.query(query, known, outer)
                known[name] = _Source(name, tuple(found)).renamed(name, aliases)
        return known

    def _recursive(
        self,
        name: str,
        aliases: Sequence[str],
        query: Node,
        queries: Mapping[str, _Source],
        outer: _Scope | None,
    ) -> _Source:
        """Return a recursive query's columns: its first arm's, then until nothing is added."""
        with_own = self._with_clause(child(query, "withClause"), queries, outer)
        first = self.query(_required(query, "larg"), with_own, outer)
        current = _Source(name, tuple(first)).renamed(name, aliases)
        for _ in range(_MAX_ROUNDS):
            found = self.query(query, {**queries, name: current}, outer)
            grown = _Source(name, tuple(found)).renamed(name, aliases)
            if grown == current:
                return current
            current = grown
        raise _UnclearError(name)

    def _from(self, node: Node, scope: _Scope) -> _Item:
        kind, item = unwrap(node)
        alias = child(item, "alias") or {}
        name = string(alias, "aliasname")
        names = strings(items(alias, "colnames"))
        match kind:
            case "RangeVar":
                name = name or string(item, "relname")
                return _Item.of(self._relation(item, scope).renamed(name, names))
            case "RangeSubselect":
                _, query = unwrap(_required(item, "subquery"))
                # Earlier items are visible to a LATERAL one only; names of others never reach them.
                found = self.query(query, scope.queries, scope)
                return _Item.of(_Source(name, tuple(found)).renamed(name, names))
            case "RangeTableSample":
                return self._from(_required(item, "relation"), scope)
            case "RangeFunction" | "RangeTableFunc" | "JsonTable":
                # A function's rows may be made of anything it is given.
                return _Item.of(_Source(name, opaque=self._expression({kind: item}, scope)))
            case "JoinExpr":
                return self._join(item, name, names, scope)
            case _:
                raise _UnclearError(kind)

    def _relation(self, item: Node, scope: _Scope) -> _Source:
        schema, name = string(item, "schemaname"), string(item, "relname")
        if not schema:
            source = _query_named(name, scope)
            if source is not None:
                return source
            # Only pg_catalog is on the path; its relations show nothing of the customer's.
            return _Source(name, opaque=NOTHING)
        relation = RelationName(schema, name)
        columns = self._columns.get(relation)
        if columns is None:
            return _Source(name, opaque=NOTHING)
        return _Source(name, tuple((c, frozenset({ColumnName(relation, c)})) for c in columns))

    def _join(self, item: Node, alias: str, names: Sequence[str], scope: _Scope) -> _Item:
        if item.get("isNatural"):
            raise _UnclearError("natural join")
        left = self._from(_required(item, "larg"), scope)
        # The right side may be LATERAL and name the left one.
        within = _Scope(scope, scope.queries, [*scope.sources, *left.sources])
        right = self._from(_required(item, "rarg"), within)
        using = strings(items(item, "usingClause"))
        merged = tuple((name, left.output.named(name) | right.output.named(name)) for name in using)
        rest = [
            column
            for side in (left.output, right.output)
            for column in side.columns
            if column[0] not in using
        ]
        # With a function's rows in it, positions are not known.
        output = (
            _Source(alias, opaque=left.output.whole() | right.output.whole())
            if left.output.opaque is not None or right.output.opaque is not None
            else _Source(alias, (*merged, *rest)).renamed(alias, names)
        )
        if alias:
            return _Item((output,), output)
        sources = [*left.sources, *right.sources]
        using_alias = child(item, "join_using_alias")
        if using_alias is not None:
            sources.append(_Source(string(using_alias, "aliasname"), merged))
        return _Item(tuple(sources), output)

    def _expression(self, node: object, scope: _Scope) -> Origin:
        if isinstance(node, list):
            return _union([self._expression(each, scope) for each in node])
        if not isinstance(node, dict):
            return NOTHING
        found = []
        for key, value in node.items():
            match key:
                case "ColumnRef":
                    found.append(self._column(items(value, "fields"), scope))
                case "SelectStmt":
                    found += [origin for _, origin in self.query(value, scope.queries, scope)]
                case "over":
                    found.append(self._window(value, scope))
                case _:
                    found.append(self._expression(value, scope))
        return _union(found)

    def _window(self, over: object, scope: _Scope) -> Origin:
        """Return where a window's order and partitions come from; it may rest on named ones."""
        found: list[Origin] = []
        name = ""
        if isinstance(over, dict):
            found.append(self._expression(over, scope))
            name = string(over, "refname") or string(over, "name")
        for _ in range(len(scope.windows)):
            window = scope.windows.get(name)
            if window is None:
                break
            found.append(self._expression(window, scope))
            name = string(window, "refname")
        return _union(found)

    def _column(self, fields: list[Node], scope: _Scope) -> Origin:
        names = strings(fields)
        if any("A_Star" in each for each in fields):
            if len(names) == 1:
                return scope.source(names[0]).whole()
            raise _UnclearError("*")
        match names:
            case (column,):
                return scope.column(column)
            case (alias, column):
                return scope.source(alias).named(column)
            case _:
                raise _UnclearError(".".join(names))


def _query_named(name: str, scope: _Scope) -> _Source | None:
    level: _Scope | None = scope
    while level is not None:
        if name in level.queries:
            return level.queries[name]
        level = level.outer
    return None


def _required(node: Node, key: str) -> Node:
    value = child(node, key)
    if value is None:
        raise _UnclearError(key)
    return value


def _list(node: Node) -> Node:
    kind, fields = unwrap(node)
    if kind != "List":
        raise _UnclearError(kind)
    return fields


def _names_in(used: Iterable[tuple[RelationName, Sequence[str]]]) -> Iterator[ColumnName]:
    for relation, names in used:
        for name in names:
            yield ColumnName(relation, name)


def view_lineage(
    definition: str,
    width: int,
    columns: Mapping[RelationName, Sequence[str]],
    used: Sequence[tuple[RelationName, Sequence[str]]],
) -> tuple[Origin, ...]:
    """Return, by position, the columns of other relations that each output column comes from.

    `columns` are those of every relation, in order; `used` the columns the server says the view
    depends on, by relation. The server does not list the columns of a whole row.
    """
    made_of = tuple((name, tuple(columns.get(name, ())), tuple(some)) for name, some in used)
    return _lineage(definition, width, made_of)


@lru_cache(maxsize=_KEPT)
def _lineage(
    definition: str,
    width: int,
    made_of: tuple[tuple[RelationName, tuple[str, ...], tuple[str, ...]], ...],
) -> tuple[Origin, ...]:
    """Do the work; catalogs are read again and again, and seldom has a view changed."""
    depends = frozenset(_names_in((name, some) for name, _, some in made_of))
    every = frozenset(_names_in((name, columns) for name, columns, _ in made_of))
    try:
        _, statements = parse_text(definition)
    except Invalid:
        return (every,) * width
    if len(statements) != 1 or statements[0].kind != "SelectStmt":
        return (every,) * width
    # Of a whole row the server lists no column.
    superset = every if ".*" in definition else depends
    try:
        reader = _Reader({name: columns for name, columns, _ in made_of})
        found = [origin for _, origin in reader.query(statements[0].node, {}, None)]
    except (_UnclearError, RecursionError):
        return (superset,) * width
    if len(found) != width or not _union(found) <= superset:
        return (superset,) * width
    return tuple(found)

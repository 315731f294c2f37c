"""Which of the customer's functions run when a relation is read or written, and which are unsafe.

A function is unsafe when names in it are looked up through the session's search path: a session's
temporary table then stands in for the real one and receives clear rows. Safe are functions in C,
bodies bound when they were made (BEGIN ATOMIC) as long as all they call is safe, and functions that
fix a `search_path` ending in `pg_temp`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from daypass.domain.catalog import ForeignCode

Oid: TypeAlias = int
ObjectId: TypeAlias = tuple[str, Oid]
"""Catalog table and oid."""

READS: Final = ("select", "export")
INSERTS: Final = ("insert", "copy_in")
ALL: Final = (*READS, *INSERTS, "update", "delete")

_TRIGGER_BITS: Final = ((4, INSERTS), (8, ("delete",)), (16, ("update",)), (32, ("truncate",)))
_POLICY_CLASSES: Final = {
    # RETURNING and WHERE of a write read as well.
    "*": ALL,
    "r": ALL,
    "a": INSERTS,
    "w": ("update",),
    "d": ("delete",),
}
_RULE_CLASSES: Final = {"1": ALL, "2": ("update",), "3": ("insert",), "4": ("delete",)}
_WRITES: Final = ("insert", "update", "delete")


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """What decides whether a function is safe."""

    oid: Oid
    signature: str
    language: str
    bound_body: bool
    search_path: str | None
    aggregate: bool


@dataclass(frozen=True, slots=True)
class CodeRow:
    """An object that may call functions; `owner` is its relation's oid, or its domain's."""

    via: str
    owner: Oid
    name: str
    detail: str
    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class Edge:
    """Statements of some classes on `source` run as statements of other classes on `target`.

    `only_rows` leaves out what belongs to the target's name alone: policies, defaults and rules.
    """

    source: Oid
    target: Oid
    classes: tuple[tuple[str, str], ...]
    only_rows: bool


SAME: Final = tuple((each, each) for each in (*ALL, "truncate"))


def view_edge(view: Oid, relation: Oid) -> Edge:
    """Return what a view does to a relation it shows; writing through it reads as well."""
    reads = tuple((each, "select") for each in _WRITES)
    return Edge(view, relation, SAME + reads, only_rows=False)


def rule_edge(relation: Oid, event: str, target: Oid) -> Edge:
    """Return what a rewrite rule may do to another relation: any write, and a read."""
    classes = tuple((on, to) for on in _RULE_CLASSES[event] for to in (*_WRITES, "select"))
    return Edge(relation, target, classes, only_rows=False)


def child_edge(parent: Oid, child: Oid) -> Edge:
    """Return what a statement on a parent does to a partition or an inheriting table."""
    return Edge(parent, child, SAME, only_rows=True)


def cascade_edge(referenced: Oid, actions: str, referencing: Oid) -> Edge:
    """Return what a foreign key does by itself; `actions` are two letters, delete and update."""
    classes = []
    if actions[0] in "cnd":
        classes.append(("delete", "delete" if actions[0] == "c" else "update"))
    if actions[1] in "cnd":
        classes.append(("update", "update"))
    return Edge(referenced, referencing, tuple(classes), only_rows=True)


def path_is_safe(search_path: str | None, writable: frozenset[str]) -> bool:
    """Say whether a function's search path lets no session put anything in its way.

    `writable` are schemas where everybody may create.
    """
    if search_path is None:
        return False
    parts = [part.strip().strip('"') for part in search_path.split(",")]
    return (
        len(parts) > 1
        and parts[-1] == "pg_temp"
        and not any(part in writable or part == "pg_temp" for part in parts[:-1])
    )


class CallGraph:
    """What calls what, down to functions."""

    def __init__(
        self,
        functions: Iterable[FunctionRow],
        calls: Iterable[tuple[ObjectId, ObjectId]],
        domains: Mapping[Oid, tuple[ObjectId, ...]],
        writable: frozenset[str],
    ) -> None:
        self._functions = {each.oid: each for each in functions}
        self._calls: dict[ObjectId, list[ObjectId]] = defaultdict(list)
        for caller, called in calls:
            self._calls[caller].append(called)
        self._domains = domains
        self._writable = writable
        self._unsafe: dict[Oid, bool] = {}

    def functions_of(self, caller: ObjectId) -> tuple[FunctionRow, ...]:
        """List the functions an object calls itself, through operators and domains too."""
        found: dict[Oid, FunctionRow] = {}
        seen = {caller}
        todo = [caller]
        while todo:
            current = todo.pop()
            called = list(self._calls.get(current, ()))
            if current[0] == "pg_type":
                called += self._domains.get(current[1], ())
            for each in called:
                if each in seen:
                    continue
                seen.add(each)
                if each[0] == "pg_proc":
                    if function := self._functions.get(each[1]):
                        found[function.oid] = function
                else:
                    todo.append(each)
        return tuple(sorted(found.values(), key=lambda each: each.signature))

    def unsafe(self, function: FunctionRow) -> bool:
        """Say whether a function, or one it calls with the session's path, can be deceived."""
        known = self._unsafe.get(function.oid)
        if known is None:
            # A function that calls itself is judged by everything else it calls.
            self._unsafe[function.oid] = False
            known = self._unsafe[function.oid] = self._judge(function)
        return known

    def _judge(self, function: FunctionRow) -> bool:
        if path_is_safe(function.search_path, self._writable):
            return False
        if function.aggregate or function.bound_body:
            called = self.functions_of(("pg_proc", function.oid))
            return any(self.unsafe(each) for each in called)
        return function.language not in ("c", "internal")


def _classes(row: CodeRow) -> tuple[str, ...]:
    match row.via:
        case "trigger":
            bits = int(row.detail)
            return tuple(c for bit, classes in _TRIGGER_BITS if bits & bit for c in classes)
        case "policy":
            return _POLICY_CLASSES[row.detail]
        case "rule":
            return _RULE_CLASSES[row.detail]
        case "default" if row.detail == "":
            return INSERTS
        case "default" if row.detail == "v":
            return ALL
        case _:
            return (*INSERTS, "update")


@dataclass(frozen=True, slots=True)
class _Found:
    code: ForeignCode
    origin: Oid
    rows: bool

    def key(self) -> tuple[Oid, str, str, str]:
        return (self.origin, self.code.via, self.code.name, self.code.function)


def _own(row: CodeRow, relation: Oid, graph: CallGraph) -> Iterator[_Found]:
    via = "check" if row.via in ("domain", "partition") else row.via
    for_rows = via in ("trigger", "check", "index") or row.detail in ("s", "v")
    for function in graph.functions_of(row.object_id):
        code = ForeignCode(via, row.name, function.signature, graph.unsafe(function), _classes(row))
        yield _Found(code, relation, for_rows)


def foreign_code(
    rows: Iterable[CodeRow],
    column_domains: Mapping[Oid, frozenset[Oid]],
    edges: Iterable[Edge],
    graph: CallGraph,
    names: Mapping[Oid, str],
) -> dict[Oid, tuple[ForeignCode, ...]]:
    """Return, by relation, the code its statements run, whichever object brings it along.

    `column_domains` are the domains of a relation's columns; code of another relation (a partition,
    what a view shows, what a foreign key cascades to) is named `… on <relation>`.
    """
    found: dict[Oid, dict[tuple[Oid, str, str, str], _Found]] = defaultdict(dict)
    by_domain: dict[Oid, list[CodeRow]] = defaultdict(list)
    for row in rows:
        if row.via == "domain":
            by_domain[row.owner].append(row)
            continue
        for each in _own(row, row.owner, graph):
            found[row.owner][each.key()] = each
    for relation, domains in column_domains.items():
        for row in (row for domain in domains for row in by_domain.get(domain, ())):
            for each in _own(row, relation, graph):
                found[relation][each.key()] = each
    _spread(found, edges)
    return {
        relation: tuple(sorted((_named(each, relation, names) for each in code.values()), key=str))
        for relation, code in found.items()
    }


def _spread(
    found: dict[Oid, dict[tuple[Oid, str, str, str], _Found]], edges: Iterable[Edge]
) -> None:
    incoming: dict[Oid, list[Edge]] = defaultdict(list)
    for edge in edges:
        incoming[edge.target].append(edge)
    todo = list(found)
    while todo:
        target = todo.pop()
        for edge in incoming.get(target, ()):
            changed = False
            for key, each in list(found[target].items()):
                if edge.only_rows and not each.rows:
                    continue
                known = found[edge.source].get(key)
                on = set(known.code.on) if known else set()
                wider = on | {mine for mine, theirs in edge.classes if theirs in each.code.on}
                if wider != on:
                    code = replace(each.code, on=tuple(sorted(wider)))
                    found[edge.source][key] = replace(each, code=code)
                    changed = True
            if changed:
                todo.append(edge.source)


def _named(each: _Found, relation: Oid, names: Mapping[Oid, str]) -> ForeignCode:
    if each.origin == relation:
        return each.code
    return replace(each.code, name=f"{each.code.name} on {names.get(each.origin, '?')}")

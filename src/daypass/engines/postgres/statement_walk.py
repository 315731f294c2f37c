"""A walk over a parse tree that finds what a statement touches.

Names follow PostgreSQL's own rules of scope: a name without a schema in a FROM clause may be a
CTE's; the target of a write never is. Aliases are not relations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from daypass.domain.catalog import RelationName
from daypass.domain.statement_class import StatementClass
from daypass.engines.postgres.function_classes import FILE_FUNCTIONS, function_class
from daypass.engines.postgres.parsing import Node, child, integer, items, string, strings, unwrap
from daypass.engines.postgres.session_guards import (
    CONFIG_NAME_GUARD,
    FILE_FUNCTION_GUARD,
    NOTIFY_FUNCTION_GUARD,
    SETTINGS_VIEW_GUARD,
    variable_guard,
)

Use = tuple[RelationName, StatementClass]
"""A relation and the class of statement that is needed on it."""

_MERGE_CLASSES: Final = {
    "CMD_INSERT": StatementClass.INSERT,
    "CMD_UPDATE": StatementClass.UPDATE,
    "CMD_DELETE": StatementClass.DELETE,
}
_SKIPPED: Final = frozenset(
    {
        "A_Const",
        "ParamRef",
        "String",
        "TypeName",
        "funcname",
        "intoClause",
        "lockingClause",
        "typeName",
        "withClause",
    }
)
"""Fields without relations, or looked at by the handler of their node."""


def relation_of(node: Node) -> RelationName:
    """Return the name of a `RangeVar`."""
    return RelationName(string(node, "schemaname"), string(node, "relname"))


def is_temporary(node: Node) -> bool:
    """Say whether a `RangeVar` that is to be made lives in the session alone."""
    return node.get("relpersistence") == "t" or node.get("schemaname") == "pg_temp"


class StatementWalk:
    """Collects uses, functions and the rest of what it sees; `visit` may be called repeatedly.

    `points` are the nodes whose schema a splice may replace, gathered only while `splicing` is set;
    `locked` are relations that `FOR UPDATE` or LOCK holds; `made` are temporary tables; `variables`
    are what it sets; `bare` are classes that do not come from a relation.
    """

    __slots__ = (
        "bare",
        "functions",
        "guard",
        "locked",
        "made",
        "path",
        "points",
        "splicing",
        "uses",
        "variables",
    )

    def __init__(self) -> None:
        self.uses: set[Use] = set()
        self.locked: set[RelationName] = set()
        self.bare: set[StatementClass] = set()
        self.functions: set[str] = set()
        self.variables: set[str] = set()
        self.made: set[str] = set()
        self.guard = ""
        self.path = ""
        self.splicing = False
        self.points: list[Node] = []

    def visit(self, value: object, ctes: frozenset[str] = frozenset()) -> None:
        """Walk a part of a query in which the names of `ctes` stand for CTEs."""
        stack = [value]
        while stack:
            current = stack.pop()
            if isinstance(current, list):
                stack.extend(current)
            elif isinstance(current, dict):
                for key, inner in current.items():
                    if key in _SKIPPED or not isinstance(inner, (dict, list)):
                        continue
                    handle = _HANDLERS.get(key)
                    if handle is None or (isinstance(inner, dict) and handle(self, inner, ctes)):
                        stack.append(inner)

    def visit_definition(self, value: object, statement_class: StatementClass) -> None:
        """Walk a definition: what it names needs `statement_class`, what its queries do theirs."""
        stack = [value]
        while stack:
            current = stack.pop()
            if isinstance(current, list):
                stack.extend(current)
            elif isinstance(current, dict):
                if isinstance(current.get("relname"), str):
                    self.uses.add((relation_of(current), statement_class))
                    continue
                for key, inner in current.items():
                    if key in _QUERIES:
                        self.visit({key: inner})
                    elif key == "FuncCall" and isinstance(inner, dict):
                        self.call(inner)
                        stack.append(inner)
                    elif key in _ATTRIBUTES and isinstance(inner, dict):
                        self.attributes(inner)
                        stack.append(inner)
                    elif isinstance(inner, (dict, list)):
                        stack.append(inner)

    def use(self, target: Node, statement_class: StatementClass) -> None:
        """Record a class on a `RangeVar`."""
        self.uses.add((relation_of(target), statement_class))

    def object_to(self, reason: str) -> None:
        """Record why no session may send the statement; the first reason stays."""
        self.guard = self.guard or reason

    def set_variable(self, name: str, value: str | None) -> None:
        """Record that a variable is set, and why no session may, if so."""
        reason = variable_guard(name, value)
        if name == "search_path":
            # Only views are found through it: what a native role reads is named as it is.
            self.path = self.path or reason
        else:
            self.object_to(reason)

    def call(self, node: Node) -> None:
        """Record a function call and what the function is known to do."""
        parts = strings(items(node, "funcname"))
        if not parts:
            return
        self.functions.add(".".join(parts))
        found = function_class(parts)
        if found is not None:
            self.bare.add(found)
        if len(parts) > 1 and parts[-2] != "pg_catalog":
            return
        if parts[-1] == "set_config":
            self._set_config(items(node, "args"))
        elif parts[-1] == "pg_notify":
            self.object_to(NOTIFY_FUNCTION_GUARD)
        elif parts[-1] in FILE_FUNCTIONS:
            self.object_to(FILE_FUNCTION_GUARD)

    def attributes(self, node: Node) -> None:
        """Record what `x.name` and `(x).name` may call: without such a column it is `name(x)`.

        A column of a function's name is taken for the function; without its table it is a column.
        """
        # The first part of a name never is a function.
        parts = items(node, "indirection") or items(node, "fields")[1:]
        for name in strings(parts):
            found = function_class((name,))
            if found is not None:
                self.functions.add(name)
                self.bare.add(found)
                if name in FILE_FUNCTIONS:
                    self.object_to(FILE_FUNCTION_GUARD)

    def into(self, clause: Node) -> None:
        """Record the table a query makes."""
        target = child(clause, "rel")
        if target is None:
            return
        if is_temporary(target):
            self.made.add(string(target, "relname"))
        else:
            self.bare.add(StatementClass.DDL)
            self.use(target, StatementClass.DDL)

    def only_explain(self, *, keep_targets: bool) -> None:
        """Turn what was seen into what an EXPLAIN that runs nothing needs.

        The table a query would make is of no interest, unless it exists (`keep_targets`).
        """
        seen = {name for name, each in self.uses if keep_targets or each is not StatementClass.DDL}
        self.uses = {(name, StatementClass.EXPLAIN) for name in seen | self.locked}
        self.locked.clear()
        self.bare.clear()
        self.made.clear()

    def splice_target(self, target: Node) -> None:
        """Remember a name with a schema, if names are to be spliced here."""
        if self.splicing and target.get("schemaname"):
            self.points.append(target)

    def _set_config(self, arguments: list[Node]) -> None:
        values: dict[str, Node] = {}
        for position, argument in zip(("setting_name", "new_value"), arguments, strict=False):
            named = child(argument, "NamedArgExpr")
            if named is None:
                values[position] = argument
        for argument in arguments:
            named = child(argument, "NamedArgExpr")
            if named is not None:
                values[string(named, "name")] = child(named, "arg") or {}
        name = _literal(values.get("setting_name", {}))
        if name is None:
            self.object_to(CONFIG_NAME_GUARD)
            return
        self.variables.add(name.lower())
        self.set_variable(name.lower(), _literal(values.get("new_value", {})))

    def range_var(self, node: Node, ctes: frozenset[str]) -> bool:
        """Read a relation, unless the name is a CTE's."""
        if node.get("schemaname") is None and node.get("relname") in ctes:
            return False
        self.use(node, StatementClass.SELECT)
        self.splice_target(node)
        return False

    def column_ref(self, node: Node, _ctes: frozenset[str]) -> bool:
        """Remember `schema.relation.column`; with fewer parts the first is never a schema."""
        fields = node.get("fields")
        if isinstance(fields, list) and len(fields) >= 2:
            self.attributes(node)
            if self.splicing and len(fields) >= 3:
                self.points.append(node)
        return False

    def indirection(self, node: Node, _ctes: frozenset[str]) -> bool:
        """Record `(x).name` and go on into x."""
        self.attributes(node)
        return True

    def func_call(self, node: Node, _ctes: frozenset[str]) -> bool:
        """Record a call and go on into its arguments."""
        self.call(node)
        return True

    def select(self, node: Node, ctes: frozenset[str]) -> bool:
        """Read a query; `FOR UPDATE` and its like need `update` on what they lock."""
        into = child(node, "intoClause")
        if into is not None:
            self.into(into)
        for lock in items(node, "lockingClause"):
            clause = child(lock, "LockingClause") or {}
            names = frozenset(
                string(child(n, "RangeVar") or {}, "relname") for n in items(clause, "lockedRels")
            )
            self._lock(items(node, "fromClause"), names, ctes | _cte_names(node))
        return self._after_with(node, ctes)

    def insert(self, node: Node, ctes: frozenset[str]) -> bool:
        """Record an INSERT; `ON CONFLICT DO UPDATE` needs `update` too."""
        conflict = child(node, "onConflictClause") or {}
        classes = [StatementClass.INSERT]
        if conflict.get("action") == "ONCONFLICT_UPDATE":
            classes.append(StatementClass.UPDATE)
        return self._write(node, classes, ctes)

    def update(self, node: Node, ctes: frozenset[str]) -> bool:
        """Record an UPDATE."""
        return self._write(node, [StatementClass.UPDATE], ctes)

    def delete(self, node: Node, ctes: frozenset[str]) -> bool:
        """Record a DELETE."""
        return self._write(node, [StatementClass.DELETE], ctes)

    def merge(self, node: Node, ctes: frozenset[str]) -> bool:
        """Record the union of a MERGE's actions; one that does nothing reads its target."""
        clauses = [child(c, "MergeWhenClause") or {} for c in items(node, "mergeWhenClauses")]
        found = {_MERGE_CLASSES.get(string(c, "commandType")) for c in clauses}
        classes = [c for c in found if c is not None]
        return self._write(node, classes or [StatementClass.SELECT], ctes)

    def _write(self, node: Node, classes: list[StatementClass], ctes: frozenset[str]) -> bool:
        target = child(node, "relation")
        if target is not None:
            self.splice_target(target)
            if "returningClause" in node:
                classes.append(StatementClass.SELECT)
            name = relation_of(target)
            self.uses.update((name, each) for each in classes)
            if name.name == "pg_settings" and name.schema in {"", "pg_catalog"}:
                self.object_to(SETTINGS_VIEW_GUARD)
        return self._after_with(node, ctes)

    def _after_with(self, node: Node, ctes: frozenset[str]) -> bool:
        """Walk the WITH clause; return whether the caller may walk the rest with the same CTEs."""
        clause = child(node, "withClause")
        if clause is None:
            return True
        listed = [child(c, "CommonTableExpr") or {} for c in items(clause, "ctes")]
        if clause.get("recursive"):
            ctes |= {string(c, "ctename") for c in listed}
        for each in listed:
            self.visit(each, ctes)
            ctes |= {string(each, "ctename")}
        self.visit(node, ctes)
        return False

    def _lock(self, sources: list[Node], names: frozenset[str], ctes: frozenset[str]) -> None:
        """Record `update` on the relations of a FROM clause; `names` empty means all of them."""
        for source in sources:
            kind, node = unwrap(source)
            alias = string(child(node, "alias") or {}, "aliasname")
            match kind:
                case "RangeVar":
                    unseen = node.get("schemaname") is None and node.get("relname") in ctes
                    shown = alias or string(node, "relname")
                    if not unseen and (not names or shown in names):
                        self.locked.add(relation_of(node))
                case "JoinExpr":
                    sides = [s for s in (child(node, "larg"), child(node, "rarg")) if s is not None]
                    self._lock(sides, names, ctes)
                case "RangeSubselect":
                    if not names or alias in names:
                        query = child(child(node, "subquery") or {}, "SelectStmt") or {}
                        self._lock_query(query, ctes)

    def _lock_query(self, query: Node, ctes: frozenset[str]) -> None:
        for side in (child(query, "larg"), child(query, "rarg")):
            if side is not None:
                self._lock_query(side, ctes)
        self._lock(items(query, "fromClause"), frozenset(), ctes | _cte_names(query))


def _cte_names(query: Node) -> frozenset[str]:
    clause = child(query, "withClause") or {}
    return frozenset(
        string(child(each, "CommonTableExpr") or {}, "ctename") for each in items(clause, "ctes")
    )


def _select_in_select(walk: StatementWalk, node: Node, ctes: frozenset[str]) -> bool:
    # `larg` and `rarg` are fields of joins too, where they hold wrappers instead of a query.
    return walk.select(node, ctes) if "op" in node and "limitOption" in node else True


def _literal(node: Node) -> str | None:
    """Return the text of a constant, through any casts."""
    cast = child(node, "TypeCast")
    while cast is not None:
        node = child(cast, "arg") or {}
        cast = child(node, "TypeCast")
    constant = child(node, "A_Const")
    if constant is None:
        return None
    text = child(constant, "sval")
    if text is not None:
        return string(text, "sval")
    number = child(constant, "ival")
    return None if number is None else str(integer(number, "ival"))


def literal_values(arguments: list[Node]) -> str | None:
    """Return the one literal value of a SET, or None when there is no such thing."""
    return _literal(arguments[0]) if len(arguments) == 1 else None


_QUERIES: Final = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_ATTRIBUTES: Final = frozenset({"A_Indirection", "ColumnRef"})

_HANDLERS: Final[dict[str, Callable[[StatementWalk, Node, frozenset[str]], bool]]] = {
    "A_Indirection": StatementWalk.indirection,
    "ColumnRef": StatementWalk.column_ref,
    "DeleteStmt": StatementWalk.delete,
    "FuncCall": StatementWalk.func_call,
    "InsertStmt": StatementWalk.insert,
    "MergeStmt": StatementWalk.merge,
    "RangeVar": StatementWalk.range_var,
    "SelectStmt": StatementWalk.select,
    "UpdateStmt": StatementWalk.update,
    "larg": _select_in_select,
    "rarg": _select_in_select,
}

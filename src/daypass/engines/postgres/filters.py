"""Row filters: what they may say, and how their values get in: pure."""

from __future__ import annotations

import re
from typing import Final

from psycopg import sql

from daypass.domain.catalog import Catalog, RelationName
from daypass.domain.errors import Invalid
from daypass.domain.scope import RowFilter
from daypass.engines.postgres.parsing import (
    Node,
    child,
    items,
    parse_text,
    string,
    strings,
    unwrap,
)
from daypass.engines.postgres.quoting import value_literal

_PLACEHOLDER = re.compile(r"\{(\d{1,4})\}")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", re.DOTALL)
_FORBIDDEN_OUTSIDE: Final = {
    ";": "more than one statement",
    "$": "a dollar sign",
    "--": "a comment",
    "/*": "a comment",
    "{": "a brace that is no placeholder",
    "}": "a brace that is no placeholder",
    "\\": "a backslash",
    "'": "an unfinished text",
    '"': "an unfinished name",
}
_PREFIXED_TEXT = re.compile(r"(?i)(?:\b[ebxn]|\bu&)$")

_OPERATORS: Final = frozenset({"=", "<>", "!=", "<", "<=", ">", ">=", "~~", "!~~", "~~*", "!~~*"})
_EXPRESSIONS: Final = frozenset(
    {
        "AEXPR_OP",
        "AEXPR_OP_ANY",
        "AEXPR_OP_ALL",
        "AEXPR_IN",
        "AEXPR_LIKE",
        "AEXPR_ILIKE",
        "AEXPR_BETWEEN",
        "AEXPR_NOT_BETWEEN",
        "AEXPR_DISTINCT",
        "AEXPR_NOT_DISTINCT",
    }
)
_PATTERN_FORMS: Final = frozenset({"AEXPR_LIKE", "AEXPR_ILIKE"})
_PATTERN_OPERATORS: Final = frozenset({"~~", "!~~", "~~*", "!~~*"})
_BETWEEN: Final = frozenset({"BETWEEN", "NOT BETWEEN"})
_LITERAL_TYPES: Final = frozenset(
    {"date", "timestamp", "timestamptz", "time", "interval", "text", "varchar", "bpchar"}
    | {"int2", "int4", "int8", "numeric", "float4", "float8", "bool", "uuid"}
)
_WHERE_PARTS: Final = frozenset({"targetList", "whereClause", "limitOption", "op"})


def filter_sql(row_filter: RowFilter) -> sql.Composable:
    """Return a filter with its values in it as literals.

    Raises `Invalid` for a text that could mean more than one expression.
    """
    parts: list[sql.Composable] = []
    for piece, quoted in _pieces(row_filter.text):
        if quoted:
            parts.append(_verbatim(piece))
            continue
        position = 0
        for match in _PLACEHOLDER.finditer(piece):
            parts.append(_verbatim(piece[position : match.start()]))
            index = int(match[1])
            if not 1 <= index <= len(row_filter.values):
                raise _invalid(f"there is no value for {match[0]}")
            parts.append(value_literal(row_filter.values[index - 1]))
            position = match.end()
        parts.append(_verbatim(piece[position:]))
    return sql.Composed(parts)


def columns_of_filter(row_filter: RowFilter) -> frozenset[str]:
    """Return the columns a filter names. Raises `Invalid` for what is not one expression."""
    return frozenset(_columns(_expression(row_filter)))


def check_row_filter(
    row_filter: RowFilter, relation: RelationName, catalog: Catalog, *, narrowing: bool
) -> str | None:
    """Say what is wrong with a row filter, or None; see the contract."""
    known = catalog.relation(relation)
    if known is None:
        return f"there is no relation {relation}"
    try:
        tree = _expression(row_filter)
    except Invalid as error:
        return error.message
    problem = _not_plain(tree) if narrowing else _not_allowed(tree)
    if problem is not None:
        return problem
    try:
        for name in sorted(set(_columns(tree))):
            if known.column(name) is None:
                return f"{relation} has no column {name!r}"
    except Invalid as error:
        return error.message
    return None


def _pieces(text: str) -> list[tuple[str, bool]]:
    """Split a filter into what stands outside of quotes and what inside."""
    pieces: list[tuple[str, bool]] = []
    position = 0
    for match in _QUOTED.finditer(text):
        before = text[position : match.start()]
        # E'…' and U&'…' read their inside differently.
        if _PREFIXED_TEXT.search(before):
            raise _invalid("a text with a prefix is not allowed")
        pieces += [(before, False), (match[0], True)]
        position = match.end()
    pieces.append((text[position:], False))
    for piece, quoted in pieces:
        rest = "" if quoted else _PLACEHOLDER.sub(" ", piece)
        for mark, what in _FORBIDDEN_OUTSIDE.items():
            if mark in rest:
                raise _invalid(f"{what} is not allowed")
    if "\0" in text or not text.strip():
        raise _invalid("it is empty or holds a NUL character")
    return pieces


def _expression(row_filter: RowFilter) -> Node:
    """Parse a filter, with its values in it, as one expression."""
    text = filter_sql(row_filter).as_string(None)
    _, statements = parse_text(f"select 1 where {text}")
    if len(statements) != 1 or statements[0].kind != "SelectStmt":
        raise _invalid("it is not one expression")
    node = statements[0].node
    where = child(node, "whereClause")
    # GROUP BY, ORDER BY, UNION and the like would be further parts of the statement.
    if where is None or not node.keys() <= _WHERE_PARTS or node.get("op") != "SETOP_NONE":
        raise _invalid("it is not one expression")
    return where


def _columns(node: Node) -> list[str]:
    found: list[str] = []
    stack: list[object] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, list):
            stack.extend(each)
        elif isinstance(each, dict):
            reference = each.get("ColumnRef")
            if isinstance(reference, dict):
                fields = items(reference, "fields")
                path = strings(fields)
                if len(fields) != 1 or len(path) != 1:
                    raise _invalid("columns are named alone, without their relation")
                found.append(path[0])
            else:
                stack.extend(each.values())
    return found


def _not_allowed(node: Node) -> str | None:
    """Say what even policy's own filter may not hold."""
    stack: list[object] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, list):
            stack.extend(each)
        elif isinstance(each, dict):
            if "SubLink" in each:
                return "a sub-query is not allowed in a row filter"
            if "ParamRef" in each:
                return "a parameter is not allowed in a row filter"
            stack.extend(each.values())
    return None


def _not_plain(node: Node) -> str | None:
    """Say why an expression is more than comparisons of columns with literals."""
    kind, fields = unwrap(node)
    match kind:
        case "BoolExpr":
            return _first(_not_plain(each) for each in items(fields, "args"))
        case "NullTest" | "BooleanTest":
            return _operand(child(fields, "arg"))
        case "ColumnRef":
            return _operand(node)
        case "A_Const" if child(fields, "boolval") is not None:
            return None
        case "A_Expr":
            return _comparison(fields)
        case _:
            return f"{_word(kind)} is not allowed: compare columns with literals"


def _comparison(fields: Node) -> str | None:
    form = string(fields, "kind")
    names = strings(items(fields, "name"))
    if form not in _EXPRESSIONS or len(names) != 1:
        return "only plain comparisons are allowed"
    if names[0] not in _OPERATORS and names[0] not in _BETWEEN:
        return f"the operator {names[0]} is not allowed"
    left, right = child(fields, "lexpr"), child(fields, "rexpr")
    problem = _operand(left) or _operand(right)
    if problem is None and (form in _PATTERN_FORMS or names[0] in _PATTERN_OPERATORS):
        return _pattern(right)
    return problem


def _pattern(node: Node | None) -> str | None:
    """Say why a pattern could fail for one row and not for another.

    That would tell of rows that policy hides: both filters stand in one WHERE, in any order.
    """
    kind, fields = unwrap(node or {})
    if kind == "TypeCast":
        return _pattern(child(fields, "arg"))
    text = child(fields, "sval") if kind == "A_Const" else None
    if text is None:
        return "a pattern is a literal"
    return "a backslash is not allowed in a pattern" if "\\" in string(text, "sval") else None


def _operand(node: Node | None) -> str | None:
    if node is None:
        return "only plain comparisons are allowed"
    kind, fields = unwrap(node)
    match kind:
        case "ColumnRef":
            fine = len(items(fields, "fields")) == 1 and len(strings(items(fields, "fields"))) == 1
            return None if fine else "columns are named alone, without their relation"
        case "A_Const":
            return None
        case "List":
            return _first(_operand(each) for each in items(fields, "items"))
        case "A_Expr" if string(fields, "kind") == "AEXPR_OP" and child(fields, "lexpr") is None:
            # A sign before a number.
            signed = strings(items(fields, "name")) in (("-",), ("+",))
            inner = child(fields, "rexpr")
            number = inner is not None and unwrap(inner)[0] == "A_Const"
            return None if signed and number else "only plain comparisons are allowed"
        case "TypeCast":
            return _typed_literal(fields)
        case _:
            return f"{_word(kind)} is not allowed: compare columns with literals"


def _typed_literal(fields: Node) -> str | None:
    argument, target = child(fields, "arg"), child(fields, "typeName")
    if argument is None or target is None or unwrap(argument)[0] != "A_Const":
        return "a cast is allowed of literals only"
    path = strings(items(target, "names"))
    plain = path[-1:] and path[:-1] in ((), ("pg_catalog",)) and path[-1] in _LITERAL_TYPES
    if not plain or items(target, "arrayBounds"):
        return f"a cast to {'.'.join(path)} is not allowed"
    return None


def _first(problems: object) -> str | None:
    if not hasattr(problems, "__iter__"):
        return None
    return next((str(each) for each in problems if each is not None), None)


def _word(kind: str) -> str:
    return {
        "FuncCall": "a function call",
        "SubLink": "a sub-query",
        "CaseExpr": "a case expression",
        "SQLValueFunction": "a value of the session's",
    }.get(kind, kind or "this")


def _verbatim(text: str) -> sql.Composable:
    # Checked above to be one expression; its only way into a statement.
    return _Text(text)


class _Text(sql.Composable):
    """SQL that policy wrote."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text

    def as_bytes(self, context: object = None) -> bytes:  # noqa: ARG002 - psycopg's signature
        """Return the text in the encoding of Daypass's own connections."""
        return self._text.encode()


def _invalid(problem: str) -> Invalid:
    return Invalid(f"the row filter cannot be used: {problem}", code="invalid_filter")

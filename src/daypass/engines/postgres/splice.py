"""Puts the schemas of a scope's views into a text, and nothing else.

In `schema.relation` of a scope's relation, and in the column references that name it in full, the
schema's token alone is replaced. `COPY relation (columns) TO`, which views cannot do, becomes
`COPY (SELECT columns FROM relation) TO`. The result is parsed again and has to be the tree that was
meant; so a mistake here is a denial and never another statement.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from postgast.pg_query_pb2 import ScanToken, Token

from daypass.domain.catalog import RelationName
from daypass.domain.errors import Invalid
from daypass.engines.postgres.parsing import (
    Node,
    child,
    integer,
    items,
    parse_text,
    string,
    strings,
    tokens_of,
)
from daypass.engines.postgres.statement_classes import splice_points
from daypass.engines.postgres.statement_walk import relation_of

_LOCATIONS: Final = frozenset(
    {
        "list_end",
        "list_start",
        "location",
        "name_location",
        "rexpr_list_end",
        "rexpr_list_start",
        "stmt_len",
        "stmt_location",
    }
)
"""Fields that say where a node stood in the text; left out when zero."""


@dataclass(frozen=True, slots=True)
class Spliced:
    """A text with the views' schemas in it.

    `shifts` are pairs in ascending order: an offset in characters of the original, at which a
    replaced token ends, and how many characters longer (or shorter) its replacement is.
    """

    text: str
    shifts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Edit:
    """Bytes `start` to `end` of the original become `replacement`."""

    start: int
    end: int
    replacement: str


def splice(
    text: str,
    view_schema_of: Mapping[str, str],
    relations: AbstractSet[RelationName],
    copied: AbstractSet[RelationName] = frozenset(),
) -> Spliced:
    """Replace the schema of every qualified name of `relations` by its views' schema.

    COPY TO of a name in `copied`, as it is written, becomes that of a query. Raises `Invalid` with
    the code `splice_mismatch` when the result would not be the same text but for this, and
    `copy_view` for a COPY whose old syntax has no form with a query.
    """
    source, statements = parse_text(text)
    points: list[tuple[Node, RelationName]] = []
    copies: list[Node] = []
    for statement in statements:
        nodes = splice_points(statement)
        if statement.kind == "CopyStmt" and not statement.node.get("is_from"):
            target = child(statement.node, "relation")
            if target is not None and relation_of(target) in copied:
                copies.append(statement.node)
                nodes.append(target)
        for node in nodes:
            name = _named(node)
            if name is not None and name in relations and name.schema in view_schema_of:
                points.append((node, name))
    if not points and not copies:
        return Spliced(text)
    tokens = tokens_of(text)
    starts = [token.start for token in tokens]
    edits = {_edit(node, view_schema_of[name.schema], tokens, starts) for node, name in points}
    for copy in copies:
        edits.update(_copy_edits(copy, tokens, starts))
    # Where an edit is nothing but an insertion, it comes before the token that begins there.
    spliced = _apply(text, source, sorted(edits, key=lambda edit: (edit.start, edit.end)))
    for node, name in points:
        _rename(node, view_schema_of[name.schema])
    for copy in copies:
        _copy_query(copy)
    meant = [{each.kind: each.node} for each in statements]
    if not same_tree(meant, _parsed_again(spliced.text, copies)):
        raise _mismatch()
    return spliced


def _parsed_again(text: str, copies: list[Node]) -> list[Node]:
    try:
        return [{each.kind: each.node} for each in parse_text(text)[1]]
    except Invalid as error:
        if not copies:
            raise
        message = "the grant has this relation through a view: write COPY (SELECT …) TO STDOUT"
        raise Invalid(message, problems=(("text", message),), code="copy_view") from error


def _copy_edits(copy: Node, tokens: list[ScanToken], starts: list[int]) -> list[_Edit]:
    """Put `(SELECT columns FROM` before the relation's name, and `)` for the list of columns."""
    relation = child(copy, "relation") or {}
    first = index = bisect_left(starts, integer(relation, "location"))
    for _ in range(bool(relation.get("schemaname")) + bool(relation.get("catalogname"))):
        index = _after_name(tokens, index) + 1
    after = _after_name(tokens, index)
    end = tokens[after - 1].end
    listed = strings(items(copy, "attlist"))
    columns = ", ".join(map(quote_schema, listed)) or "*"
    place = tokens[first].start
    # Names are quoted, and what comes out is parsed again.
    edits = [_Edit(place, place, f"(SELECT {columns} FROM ")]  # noqa: S608
    if listed:
        closing = after
        while closing < len(tokens) and tokens[closing].token != Token.ASCII_41:
            closing += 1
        if closing == len(tokens) or tokens[after].token != Token.ASCII_40:
            raise _mismatch()
        return [*edits, _Edit(end, tokens[closing].end, ")")]
    return [*edits, _Edit(end, end, ")")]


def _copy_query(copy: Node) -> None:
    """Make the tree of a COPY of a relation that of a COPY of a query of it."""
    relation = copy.pop("relation")
    listed = copy.pop("attlist", None)
    fields: list[Node] = (
        [{"String": {"sval": name}} for name in strings(listed)]
        if isinstance(listed, list)
        else [{"A_Star": {}}]
    )
    targets = [{"ResTarget": {"val": {"ColumnRef": {"fields": [each]}}}} for each in fields]
    copy["query"] = {
        "SelectStmt": {
            "targetList": targets,
            "fromClause": [{"RangeVar": relation}],
            "limitOption": "LIMIT_OPTION_DEFAULT",
            "op": "SETOP_NONE",
        }
    }


def original_position(shifts: tuple[tuple[int, int], ...], position: int) -> int:
    """Turn a position (from 1, in characters) in the spliced text into one in the original."""
    offset = position - 1
    added = 0
    for end, longer in shifts:
        if offset < end + added + longer:
            return min(offset - added, end - 1) + 1
        added += longer
    return offset - added + 1


def quote_schema(name: str) -> str:
    """Write a name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def same_tree(one: object, other: object) -> bool:
    """Compare two parse trees, whatever the positions in them."""
    pairs = [(one, other)]
    while pairs:
        left, right = pairs.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            for key in left.keys() | right.keys():
                here, there = left.get(key), right.get(key)
                if key in _LOCATIONS and _is_location(here) and _is_location(there):
                    continue
                pairs.append((here, there))
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            pairs.extend(zip(left, right, strict=True))
        elif type(left) is not type(right) or left != right:
            return False
    return True


def _is_location(value: object) -> bool:
    return value is None or isinstance(value, int)


def _fields(node: Node) -> list[str]:
    """Return the parts of a column reference; a star and the like are empty."""
    return [string(child(part, "String") or {}, "sval") for part in items(node, "fields")]


def _depth(node: Node) -> int:
    """Return which part of the name is the schema: 1 when a database comes before it."""
    if "fields" in node:
        return len(items(node, "fields")) - 3
    return 1 if node.get("catalogname") else 0


def _named(node: Node) -> RelationName | None:
    """Return the relation that a splice point names."""
    if "fields" not in node:
        return RelationName(string(node, "schemaname"), string(node, "relname"))
    parts = _fields(node)
    depth = len(parts) - 3
    return RelationName(parts[depth], parts[depth + 1]) if depth in {0, 1} else None


def _rename(node: Node, schema: str) -> None:
    if "fields" not in node:
        node["schemaname"] = schema
        return
    part = child(items(node, "fields")[_depth(node)], "String")
    if part is not None:
        part["sval"] = schema


def _edit(node: Node, schema: str, tokens: list[ScanToken], starts: list[int]) -> _Edit:
    """Find the token of a point's schema."""
    index = bisect_left(starts, integer(node, "location"))
    for _ in range(_depth(node)):
        index = _after_name(tokens, index)
        if index >= len(tokens) or tokens[index].token != Token.ASCII_46:
            raise _mismatch()
        index += 1
    end = _after_name(tokens, index)
    if end >= len(tokens) or tokens[end].token != Token.ASCII_46:
        raise _mismatch()
    return _Edit(tokens[index].start, tokens[end - 1].end, quote_schema(schema))


def _after_name(tokens: list[ScanToken], index: int) -> int:
    """Return the index after one identifier; `U&"…" UESCAPE '…'` is three tokens."""
    if (
        index + 2 < len(tokens)
        and tokens[index].token == Token.UIDENT
        and tokens[index + 1].token == Token.UESCAPE
    ):
        return index + 3
    return index + 1


def _apply(text: str, source: bytes, edits: list[_Edit]) -> Spliced:
    ascii_only = len(text) == len(source)
    pieces: list[str] = []
    shifts: list[tuple[int, int]] = []
    done = characters = 0
    for edit in edits:
        kept = source[done : edit.start].decode("utf-8")
        replaced = source[edit.start : edit.end].decode("utf-8")
        # Right after `u&` a quoted name would become a Unicode one.
        replacement = " " + edit.replacement if kept.endswith("&") else edit.replacement
        pieces += (kept, replacement)
        characters = edit.end if ascii_only else characters + len(kept) + len(replaced)
        shifts.append((characters, len(replacement) - len(replaced)))
        done = edit.end
    pieces.append(source[done:].decode("utf-8"))
    return Spliced("".join(pieces), tuple(shifts))


def _mismatch() -> Invalid:
    message = "the names in this statement cannot be replaced safely; write them without schema"
    return Invalid(message, problems=(("text", message),), code="splice_mismatch")

"""Readings of texts that differ in literals alone: read once, then filled in.

PostgreSQL reads a text from left to right, and its grammar does not look at what a literal says.
So two texts with the same characters between literals of the same kinds have the same tree but for
the values; if no judgement looks at these, it is the same too. All of this is checked on the text
that is read: a literal is *free* where the parser itself has found a constant of this value at this
place, at one where values decide nothing. Every other one is *pinned*: another text has the same
there, or is read by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import Struct
from typing import Final

from daypass.domain.errors import Invalid
from daypass.engines.contract import StatementFacts
from daypass.engines.postgres.parsing import (
    Node,
    child,
    integer,
    items,
    parse_text,
    string,
    strings,
)
from daypass.engines.postgres.relay_reading import Reading
from daypass.engines.postgres.text_cache import TextCache

LONGEST: Final = 4096

# Strings without quotes or backslashes in them, and numbers that fit an int4. What stands before
# and behind is such that no other literal in the same place could become part of it.
_split = re.compile(
    r"(?<=[ \t\n\r(,=<>+*/\[-])('[ -&(-\[\]-~]*'|[0-9]{1,9})(?![^ \t\n\r),;:=<>+*/\]-])"
).split
_query_head = Struct(">cI").pack

_COMMANDS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
_HOLDERS: Final = frozenset(
    {
        ("A_Expr", "lexpr"),
        ("A_Expr", "rexpr"),
        ("CaseExpr", "arg"),
        ("CaseExpr", "defresult"),
        ("CaseWhen", "expr"),
        ("CaseWhen", "result"),
        ("CoalesceExpr", "args"),
        ("ResTarget", "val"),
        ("SelectStmt", "limitCount"),
        ("SelectStmt", "limitOffset"),
        ("SelectStmt", "valuesLists"),
    }
)
"""Where a constant decides about nothing: neither class nor names, neither then nor there.

Arguments of functions are not among them (`set_config`), nor what `ORDER BY` counts.
"""
_PLAIN_TYPES: Final = frozenset(
    {
        "bool", "bpchar", "date", "float4", "float8", "int2", "int4", "int8", "numeric", "text",
        "time", "timestamp", "timestamptz", "uuid", "varchar",
    }
)  # fmt: skip
"""Types of which a literal names nothing in the database, as `regclass` does."""

Shapes = TextCache["Shape"]


class Shape:
    """What a text's reading is, whatever its free literals say."""

    __slots__ = ("_ends", "_facts", "_kinds", "_pinned", "_reading", "_spliced", "_tail")

    def __init__(
        self,
        reading: Reading,
        literals: list[str],
        free: frozenset[int],
        spliced: list[str] | None,
        ends: tuple[tuple[int, int, int], ...],
    ) -> None:
        (facts,) = reading.statements
        self._reading = reading
        self._facts = facts
        start = reading.text.index(facts.text)
        self._tail = start, len(reading.text) - start - len(facts.text)
        self._pinned = tuple((at, each) for at, each in enumerate(literals) if at not in free)
        self._kinds = [each[0] == "'" for each in literals]
        self._spliced = spliced
        self._ends = ends

    def fill(self, text: str, literals: list[str]) -> Reading | None:
        """Return the reading of a text that has this shape's characters between its literals."""
        if [each[0] == "'" for each in literals] != self._kinds:
            return None
        for at, value in self._pinned:
            if literals[at] != value:
                return None
        like = self._reading
        start, tail = self._tail
        old = self._facts
        facts = StatementFacts(
            text[start : len(text) - tail],
            old.classes,
            old.read,
            old.written,
            old.functions,
            old.command,
            old.fingerprint,
            old.unsafe,
        )
        query = None
        if self._spliced is not None:
            parts = self._spliced.copy()
            parts[1::2] = literals
            body = "".join(parts).encode()
            query = _query_head(b"Q", len(body) + 5) + body + b"\0"
        shifts = like.shifts
        if self._ends:
            lengths = [len(each) for each in literals]
            shifts = tuple((base + sum(lengths[:n]), longer) for base, n, longer in self._ends)
        return Reading(
            text,
            (facts,),
            None,
            query,
            shifts,
            (),
            0,
            like.made,
            like.read,
            like.guarded,
            like.setting,
            like.origin,
        )


def find(shapes: Shapes, text: str) -> Reading | None:
    """Return a text's reading, if one is known that differs in free literals alone."""
    if len(text) > LONGEST or not text.isascii():
        return None
    parts = _split(text)
    if len(parts) == 1:
        return None
    found = shapes.get("\0".join(parts[::2]))
    if found is None:
        return None
    literals = parts[1::2]
    return found.fill(text, literals)


def keep(shapes: Shapes, reading: Reading) -> None:
    """Keep what a text just read has in common with others, where that is certain."""
    text = reading.text
    if (
        reading.refusal is not None
        or len(reading.statements) != 1
        or reading.statements[0].command not in _COMMANDS
        or reading.effects
        or reading.copies_in
        or reading.made
        or len(text) > LONGEST
        or not text.isascii()
        # What a parameter may meet is told from names, and a literal may look like one.
        or "$" in text
    ):
        return
    parts = _split(text)
    literals = parts[1::2]
    free = _free(text, parts) if literals else frozenset()
    if not free:
        return
    spliced = None
    if reading.spliced is not None:
        spliced = _split(reading.spliced[5:-1].decode())
        if spliced[1::2] != literals:
            return
    shapes.put(
        "\0".join(parts[::2]), Shape(reading, literals, free, spliced, _ends(reading.shifts, parts))
    )


def _ends(
    shifts: tuple[tuple[int, int], ...], parts: list[str]
) -> tuple[tuple[int, int, int], ...]:
    """Say of each shift where it ends without the literals before it, and how many these are."""
    found = []
    for end, longer in shifts:
        place = count = width = 0
        for at, part in enumerate(parts):
            place += len(part)
            if place > end:
                break
            if at % 2:
                count += 1
                width += len(part)
        found.append((end - width, count, longer))
    return tuple(found) if any(count for _, count, _ in found) else ()


def _free(text: str, parts: list[str]) -> frozenset[int]:
    """Return the literals that are constants of the tree, at places where they decide nothing."""
    try:
        _, statements = parse_text(text)
    except Invalid:
        return frozenset()
    constants = _constants([{each.kind: each.node} for each in statements])
    found = set()
    place = 0
    for at, part in enumerate(parts):
        if at % 2:
            if part[0] == "'":
                same = constants.get(place) == part[1:-1]
            else:
                # A minus before a number may be one with it.
                same = constants.get(place) == int(part) or (
                    text[place - 1] == "-" and constants.get(place - 1) == -int(part)
                )
            if same:
                found.add(at // 2)
        place += len(part)
    return frozenset(found)


def _constants(statements: list[Node]) -> dict[int, str | int]:
    """Return the constants that decide nothing, by their place."""
    found: dict[int, str | int] = {}
    stack: list[tuple[object, str, str]] = [(statements, "", "")]
    while stack:
        value, kind, name = stack.pop()
        if isinstance(value, list):
            stack.extend((each, kind, name) for each in value)
            continue
        if not isinstance(value, dict):
            continue
        for key, inner in value.items():
            if not isinstance(inner, dict) or not key[0].isupper():
                # The sides of a UNION are queries without a wrapper.
                query = kind == "SelectStmt" and name in {"larg", "rarg"}
                stack.append((inner, "SelectStmt" if query else "", key))
            elif key == "A_Const":
                if (kind, name) in _HOLDERS:
                    found.update(_constant(inner))
            elif key == "List":
                stack.append((inner.get("items"), kind, name))
            elif key == "TypeCast" and _is_plain(child(inner, "typeName") or {}):
                stack.append((inner.get("arg"), kind, name))
            else:
                stack.extend((each, key, field) for field, each in inner.items())
    return found


def _constant(node: Node) -> Iterator[tuple[int, str | int]]:
    location = integer(node, "location")
    text, number = child(node, "sval"), child(node, "ival")
    if text is not None:
        yield location, string(text, "sval")
    elif number is not None:
        yield location, integer(number, "ival")


def _is_plain(type_name: Node) -> bool:
    names = strings(items(type_name, "names"))
    plain = len(names) == 1 or (len(names) == 2 and names[0] == "pg_catalog")
    return plain and names[-1] in _PLAIN_TYPES

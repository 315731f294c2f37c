"""Masks at paths of a JSON document: pure.

A path is dotted; `[]` after a name goes into every element of an array, `*` into every member of an
object. What a path leads through but is not shaped as it says is hidden entirely; a JSON null and a
missing member stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from psycopg import sql

from daypass.domain.masks import (
    ConstantMask,
    FullMask,
    JsonMask,
    Mask,
    NullMask,
    RangeMask,
)
from daypass.engines.postgres.quoting import text_literal, typed_text
from daypass.engines.postgres.text_masks import HIDDEN, numeric_floor, text_mask

_HIDDEN = sql.SQL("pg_catalog.to_jsonb({})").format(typed_text(HIDDEN))
_EVERY_ELEMENT = "[]"
_EVERY_MEMBER = "*"


@dataclass(slots=True)
class _Branch:
    """What happens below one place of a document."""

    mask: Mask | None = None
    below: dict[str, _Branch] = field(default_factory=dict)


def json_mask(mask: JsonMask, value: sql.Composable, kind: str) -> sql.Composable:
    """Return the expression for a masked document: `kind` is `json`, `jsonb` or a domain's name.

    It is `json` for `json`, else `jsonb`.
    """
    root = _Branch()
    for path, leaf in mask.paths:
        _plant(root, _steps(path), leaf)
    if kind == "jsonb":
        shown = _masked(root, value, 0)
    else:
        document = sql.SQL("{}::pg_catalog.jsonb").format(value)
        shown = sql.SQL("(case when {} then {} else {} end)").format(
            _surely_jsonb(value), _masked(root, document, 0), _HIDDEN
        )
    return sql.SQL("(case when {} is not null then {} end)::{}").format(
        value, shown, sql.Identifier("pg_catalog", "json" if kind == "json" else "jsonb")
    )


def _steps(path: str) -> list[str]:
    steps: list[str] = []
    for part in path.removeprefix("$.").split("."):
        name = part
        arrays = 0
        while name.endswith(_EVERY_ELEMENT):
            name = name.removesuffix(_EVERY_ELEMENT)
            arrays += 1
        if name:
            steps.append(name)
        steps.extend([_EVERY_ELEMENT] * arrays)
    return steps


def _plant(branch: _Branch, steps: list[str], leaf: Mask) -> None:
    for step in steps:
        branch = branch.below.setdefault(step, _Branch())
    # A document masked as a whole stays so, whatever else is said of its parts; two masks for one
    # place, or one inside of the other, hide it.
    branch.mask = leaf if branch.mask is None or branch.mask == leaf else FullMask()


def _masked(branch: _Branch, value: sql.Composable, depth: int) -> sql.Composable:
    """Return the masked form of a jsonb expression; never NULL for a value that is not NULL."""
    if branch.mask is not None:
        return _leaf(branch.mask, value)
    if not branch.below:
        return value
    every_element = branch.below.get(_EVERY_ELEMENT)
    members = {step: b for step, b in branch.below.items() if step != _EVERY_ELEMENT}
    alias = sql.Identifier(f"j{depth}")
    inner = sql.SQL("{}.v").format(alias)
    cases: list[sql.Composable] = []
    if members:
        cases.append(
            sql.SQL(
                "when pg_catalog.jsonb_typeof({}) operator(pg_catalog.=) 'object' then {}"
            ).format(inner, _members(members, inner, depth))
        )
    if every_element is not None:
        cases.append(
            sql.SQL(
                "when pg_catalog.jsonb_typeof({}) operator(pg_catalog.=) 'array' then {}"
            ).format(inner, _elements(every_element, inner, depth))
        )
    cases.append(
        sql.SQL("when pg_catalog.jsonb_typeof({v}) operator(pg_catalog.=) 'null' then {v}").format(
            v=inner
        )
    )
    return sql.SQL(
        "(select case when {v} is null then null {cases} else {hidden} end"
        " from (select {value} as v) as {alias})"
    ).format(v=inner, cases=sql.SQL(" ").join(cases), hidden=_HIDDEN, value=value, alias=alias)


def _members(members: dict[str, _Branch], value: sql.Composable, depth: int) -> sql.Composable:
    every_member = members.get(_EVERY_MEMBER)
    if every_member is not None:
        # Members named beside `*` get what `*` says as well: hidden rather than forgotten.
        entry = sql.Identifier(f"m{depth}")
        masked = _masked(
            every_member if len(members) == 1 else _Branch(FullMask()),
            sql.SQL("{}.value").format(entry),
            depth + 1,
        )
        return sql.SQL(
            "coalesce((select pg_catalog.jsonb_object_agg({e}.key, {masked})"
            " from pg_catalog.jsonb_each({v}) as {e}), '{{}}'::pg_catalog.jsonb)"
        ).format(e=entry, masked=masked, v=value)
    result = value
    for name, branch in members.items():
        member = sql.SQL("({} operator(pg_catalog.->) {})").format(value, typed_text(name))
        result = sql.SQL(
            "pg_catalog.jsonb_set({}, array[{}]::pg_catalog.text[],"
            " coalesce({}, 'null'::pg_catalog.jsonb), false)"
        ).format(result, text_literal(name), _masked(branch, member, depth + 1))
    return result


def _elements(branch: _Branch, value: sql.Composable, depth: int) -> sql.Composable:
    element = sql.Identifier(f"e{depth}")
    masked = _masked(branch, sql.SQL("{}.value").format(element), depth + 1)
    return sql.SQL(
        "coalesce((select pg_catalog.jsonb_agg({masked} order by {e}.place)"
        " from pg_catalog.jsonb_array_elements({v}) with ordinality as {e}(value, place)),"
        " '[]'::pg_catalog.jsonb)"
    ).format(masked=masked, e=element, v=value)


def _leaf(mask: Mask, value: sql.Composable) -> sql.Composable:
    text = sql.SQL(
        "(({} operator(pg_catalog.#>>) '{{}}'::pg_catalog.text[]) collate pg_catalog.\"C\")"
    ).format(value)
    kind = sql.SQL("pg_catalog.jsonb_typeof({})").format(value)
    match mask:
        case NullMask():
            return sql.SQL("'null'::pg_catalog.jsonb")
        case ConstantMask(constant):
            shown = sql.SQL("pg_catalog.to_jsonb({})").format(typed_text(constant))
        case RangeMask(step) if step > 0:
            shown = sql.SQL(
                "case when {kind} operator(pg_catalog.=) 'number'"
                " then pg_catalog.to_jsonb({floor}) else {hidden} end"
            ).format(
                kind=kind,
                floor=numeric_floor(sql.SQL("{}::pg_catalog.numeric").format(value), step),
                hidden=_HIDDEN,
            )
        case FullMask() | JsonMask() | RangeMask():
            shown = _HIDDEN
        case _:
            shown = sql.SQL(
                "case when {kind} operator(pg_catalog.=) 'string'"
                " then pg_catalog.to_jsonb({masked}) else {hidden} end"
            ).format(kind=kind, masked=text_mask(mask, text), hidden=_HIDDEN)
    return sql.SQL(
        "(case when {v} is null then null"
        " when {kind} operator(pg_catalog.=) 'null' then {v} else {shown} end)"
    ).format(v=value, kind=kind, shown=shown)


def _surely_jsonb(value: sql.Composable) -> sql.Composable:
    """Return a test that a `json` value becomes `jsonb` without an error, which would quote it.

    Refused are escapes that `jsonb` or the database's encoding cannot hold, and enormous numbers.
    """
    text = sql.SQL('({}::pg_catalog.text collate pg_catalog."C")').format(value)
    return sql.SQL(
        "({t} operator(pg_catalog.!~) {numbers} and ({t} operator(pg_catalog.!~) {any}"
        " or (pg_catalog.getdatabaseencoding() operator(pg_catalog.=) 'UTF8'"
        " and {t} operator(pg_catalog.!~) {bad})))"
    ).format(
        t=text,
        numbers=typed_text("[0-9][eE][+-]?[0-9]{3}|[0-9]{250}"),
        any=typed_text(r"\\u"),
        bad=typed_text(r"\\u(0000|[dD][89abcdefABCDEF])"),
    )

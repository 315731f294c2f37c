"""Suggest tags for columns from names, types and sampled values: pure.

A suggestion is for people to confirm. What it says why never holds a sampled value: counts, kinds
and names of columns only, and of a JSON document only keys that most documents share.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from daypass.domain.catalog import Column, ColumnName, Relation
from daypass.policy.name_hints import Hint, comment_hint, key_hint, name_hint
from daypass.policy.value_kinds import (
    ValueKind,
    birth_years,
    is_prose,
    kind_of_values,
    personal_inside,
)

_LEAST_CONFIDENCE: Final = 0.3
_WITHOUT_PROOF: Final = 10
_NAMED_PATHS: Final = 5
_DEEPEST: Final = 6
_MOST_LEAVES: Final = 200
_WITH_TEXT: Final = ("text", "other", "integer", "decimal")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A tag for a column; `confidence` is between 0 and 1."""

    column: ColumnName
    tag: str
    confidence: float
    why: str


def suggest_tags(
    relation: Relation,
    sample: Sequence[Sequence[str | None]] = (),
    columns: Sequence[str] | None = None,
) -> tuple[Suggestion, ...]:
    """Suggest at most one tag for each column, in order of position.

    `sample` are rows as text with the values of `columns`, or of all the relation's columns in
    order. Columns derived from others get none: they take their tags from those.
    """
    order = [c.name for c in relation.columns] if columns is None else list(columns)
    found = []
    for column in relation.columns:
        if column.derived_from:
            continue
        at = order.index(column.name) if column.name in order else None
        values = [row[at] for row in sample if at is not None and at < len(row)]
        known = [value for value in values if value is not None]
        suggestion = _for_column(relation, column, known)
        if suggestion is not None and suggestion.confidence >= _LEAST_CONFIDENCE:
            found.append(suggestion)
    return tuple(found)


def _for_column(relation: Relation, column: Column, values: list[str]) -> Suggestion | None:
    family = column.type_family
    hint = name_hint(column.name, family, relation.name.name)
    said = "its name"
    if hint is None and column.comment:
        hint, said = comment_hint(column.comment, family), "its comment"
    name = ColumnName(relation.name, column.name)
    if family == "json":
        return _for_json(name, hint, said, values)
    kind = kind_of_values(values) if family in _WITH_TEXT else None
    if kind is not None:
        return _for_kind(name, hint, said, kind)
    inside = _inside(name, values) if family == "text" else None
    if inside is not None and (
        hint is None or hint.tag == inside.tag or hint.confidence < inside.confidence
    ):
        return inside
    if family in ("date", "timestamp", "text") and birth_years(values):
        if hint is None:
            why = f"{len(values)} sampled dates are spread over decades, as dates of birth are"
            return Suggestion(name, "pii.birth_date", 0.35, why)
        if hint.tag == "pii.birth_date":
            why = f"{said} says {hint.says}, and the sampled dates are spread over decades"
            return Suggestion(name, hint.tag, 0.95, why)
    if hint is None:
        return None
    return _for_hint(name, hint, said, values)


def _for_hint(name: ColumnName, hint: Hint, said: str, values: list[str]) -> Suggestion:
    """Suggest what a name says; values that could prove it and do not speak against it."""
    why = f"{said} says {hint.says}"
    confidence = hint.confidence
    provable = hint.tag in ("pii.email", "pii.iban", "pii.ip", "pii.card")
    distinct = len({value for value in values if value.strip()})
    if provable and distinct >= _WITHOUT_PROOF:
        confidence = round(confidence / 2, 2)
        why += f", but {distinct} sampled values are something else"
    return Suggestion(name, hint.tag, confidence, why)


def _for_kind(name: ColumnName, hint: Hint | None, said: str, kind: ValueKind) -> Suggestion:
    hits = round(kind.share * kind.count)
    seen = f"{hits} of {kind.count} different sampled values are {kind.says}"
    # Few values, and checks that chance passes at times, prove less.
    proof = kind.share if kind.share < 0.6 else 0.5 + 0.45 * kind.share
    proof *= 1 - kind.chance
    if kind.count < _WITHOUT_PROOF:
        proof *= 0.85
    if hint is None:
        return Suggestion(name, kind.tag, round(min(proof, 0.97), 2), seen)
    if hint.tag == kind.tag:
        both = 1 - (1 - proof) * (1 - hint.confidence)
        return Suggestion(
            name, kind.tag, round(min(both, 0.99), 2), f"{said} says {hint.says}; {seen}"
        )
    # A column called notes that holds nothing but addresses, or a secret that looks like a number.
    if hint.confidence > proof:
        return Suggestion(name, hint.tag, hint.confidence, f"{said} says {hint.says}; {seen}")
    return Suggestion(
        name, kind.tag, round(proof * 0.95, 2), f"{seen}, though {said} says {hint.says}"
    )


def _inside(name: ColumnName, values: list[str]) -> Suggestion | None:
    """Suggest free text where sampled texts hold something of people's."""
    found = [what for value in values if (what := personal_inside(value)) is not None]
    if not found or not is_prose(values):
        return None
    kinds = ", ".join(sorted(set(found)))
    why = f"{len(found)} of {len(values)} sampled texts contain {kinds}"
    confidence = 0.7 + 0.25 * min(1.0, 4 * len(found) / len(values))
    return Suggestion(name, "pii.free_text", round(confidence, 2), why)


def _for_json(
    name: ColumnName, hint: Hint | None, said: str, values: list[str]
) -> Suggestion | None:
    documents = [document for value in values if (document := _document(value)) is not None]
    paths: dict[str, list[str]] = defaultdict(list)
    holders: dict[str, int] = defaultdict(int)
    for document in documents:
        leaves = list(_leaves(document, "", 0))[:_MOST_LEAVES]
        for path, leaf in leaves:
            paths[path].append(leaf)
        for path in {path for path, _ in leaves}:
            holders[path] += 1
    personal: dict[str, float] = {}
    for path, leaves_at in paths.items():
        told = key_hint(path.rpartition(".")[2])
        kind = kind_of_values(leaves_at)
        # A key that few documents share may itself be somebody's.
        shown = path if holders[path] * 2 >= len(documents) and len(documents) > 1 else "*"
        if kind is not None:
            personal[f"{shown} ({kind.says})"] = 0.9
        elif told is not None and told.tag != "pii.free_text":
            personal[f"{shown} ({told.says})"] = told.confidence
    if not personal:
        return _for_hint(name, hint, said, values) if hint else None
    listed = sorted(personal, key=lambda path: (-personal[path], path))
    more = f" and {len(listed) - _NAMED_PATHS} more" if len(listed) > _NAMED_PATHS else ""
    why = f"{len(documents)} sampled documents hold {', '.join(listed[:_NAMED_PATHS])}{more}"
    tag = hint.tag if hint is not None and hint.tag in ("pii.copy", "secret") else "pii.profile"
    confidence = min(0.97, max(personal.values()) + (0.05 if hint else 0.0))
    return Suggestion(name, tag, round(confidence, 2), why)


def _document(value: str) -> object | None:
    try:
        parsed: object = json.loads(value)
    except (ValueError, RecursionError):
        # Cut short, or no JSON after all.
        return None
    return parsed if isinstance(parsed, dict | list) else None


def _leaves(node: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, text) of every leaf; items of a list share its path."""
    match node:
        case dict() if depth < _DEEPEST:
            for key, value in node.items():
                yield from _leaves(value, f"{path}.{key}" if path else str(key), depth + 1)
        case list() if depth < _DEEPEST:
            for value in node:
                yield from _leaves(value, path, depth + 1)
        case str() | int() | float() if not isinstance(node, bool):
            yield path, str(node)

"""Globs over dotted names: `sales.*`, `*.orders`, `"weird.schema".t?`; `*` never crosses a dot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_WILD = re.compile(r"[*?]")
_PLAIN = re.compile(r"[^\".*?\s]+")

_Part = tuple[str, bool]
"""A part of a glob: its text, and whether it was quoted and hence means itself."""

RELATION_PARTS: Final = 2
COLUMN_PARTS: Final = 3


@lru_cache(maxsize=4096)
def split_glob(glob: str) -> tuple[_Part, ...] | None:
    """Split at dots outside quotes, or return None when it is not well formed."""
    parts: list[_Part] = []
    position = 0
    while True:
        match = _PART.match(glob, position)
        if match is None:
            return None
        quoted = match[1] is not None
        parts.append((match[1].replace('""', '"') if quoted else match[2], quoted))
        position = match.end()
        if position == len(glob):
            return tuple(parts)
        if glob[position] != ".":
            return None
        position += 1


def _fits(part: _Part, name: str) -> bool:
    text, quoted = part
    if quoted or not _WILD.search(text):
        return text == name
    return text == "*" or _wild(text, name, frozenset())


def _wild(pattern: str, name: str, only_star: frozenset[str]) -> bool:
    """Match `*` and `?`, in time of at most the product of the lengths: globs come from anybody.

    Characters of `only_star` are matched by a star alone, or by themselves.
    """
    at = here = 0
    star = mark = -1
    while here < len(name):
        character = pattern[at] if at < len(pattern) else ""
        if character == "*":
            star, mark = at, here
            at += 1
        elif character and (
            character == name[here] or (character == "?" and name[here] not in only_star)
        ):
            at += 1
            here += 1
        elif star >= 0:
            mark += 1
            at, here = star + 1, mark
        else:
            return False
    return pattern[at:].strip("*") == ""


def matches(glob: str, names: Sequence[str]) -> bool:
    """Say whether each part of the glob matches the name at its place."""
    parts = split_glob(glob)
    return (
        parts is not None
        and len(parts) == len(names)
        and all(_fits(p, n) for p, n in zip(parts, names, strict=True))
    )


def exact_glob(names: Sequence[str]) -> str:
    """Write names as a glob that matches nothing else."""
    return ".".join(
        name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"' for name in names
    )


def contains(outer: str, inner: str) -> bool:
    """Say whether whatever `inner` matches, `outer` surely does too."""
    outside, inside = split_glob(outer), split_glob(inner)
    if outside is None or inside is None or len(outside) != len(inside):
        return False
    return all(_covers(o, i) for o, i in zip(outside, inside, strict=True))


def _covers(outer: _Part, inner: _Part) -> bool:
    if outer == inner:
        return True
    text, quoted = inner
    if quoted or not _WILD.search(text):
        return _fits(outer, text)
    return not outer[1] and _wild(outer[0], text, frozenset("*?"))

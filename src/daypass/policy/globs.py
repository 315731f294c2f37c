"""Globs over dotted names: `sales.*`, `*.orders`, `"weird.schema".t?`; `*` never crosses a dot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
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


@lru_cache(maxsize=4096)
def _pattern(part: _Part) -> re.Pattern[str]:
    text, quoted = part
    if quoted:
        return re.compile(re.escape(text))
    # Runs of stars are one star: several would make a long name slow to compare.
    collapsed = re.sub(r"\*+", "*", text)
    body = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in collapsed)
    return re.compile(body, re.DOTALL)


def matches(glob: str, names: Sequence[str]) -> bool:
    """Say whether each part of the glob matches the name at its place."""
    parts = split_glob(glob)
    return (
        parts is not None
        and len(parts) == len(names)
        and all(_pattern(p).fullmatch(n) for p, n in zip(parts, names, strict=True))
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
    if quoted or not set(text) & {"*", "?"}:
        return _pattern(outer).fullmatch(text) is not None
    if outer[1]:
        return False
    # A wildcard of the inner one may only be met by a star of the outer one.
    body = "".join(
        ".*" if c == "*" else "[^*?]" if c == "?" else re.escape(c)
        for c in re.sub(r"\*+", "*", outer[0])
    )
    return re.fullmatch(body, text, re.DOTALL) is not None

"""What can be read off the text of a condition without evaluating it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*)|(?P<text>r?"(?:[^"\\]|\\.)*"|r?'(?:[^'\\]|\\.)*')"""
    r"""|(?P<word>\w+)|(?P<mark>&&|\|\||==|!=|<=|>=|.)""",
    re.DOTALL,
)
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
_NO_UNMASK: Final = frozenset(
    {
        "request.unmask==[]",
        "[]==request.unmask",
        "size(request.unmask)==0",
        "0==size(request.unmask)",
        "request.unmask.size()==0",
        "0==request.unmask.size()",
    }
)
_NO_VALUES: Final = frozenset({'request.classes==["explain"]', '["explain"]==request.classes'})


def tokens(text: str) -> list[str]:
    """Split a condition into tokens, texts in double quotes where they can be."""
    found = []
    for match in _TOKEN.finditer(text):
        if match["skip"] is not None:
            continue
        token = match[0]
        if token[0] == "'" and '"' not in token and "\\" not in token:
            token = f'"{token[1:-1]}"'
        found.append(token)
    return found


def conjuncts(text: str) -> list[str]:
    """Return conditions that must all hold for this one to, each as its tokens without spaces."""
    return _split(tokens(text))


def _split(parts: list[str]) -> list[str]:
    while len(parts) > 1 and parts[0] == "(" and _closes_at(parts) == len(parts) - 1:
        parts = parts[1:-1]
    depth = 0
    ends: list[int] = []
    for index, part in enumerate(parts):
        depth += (part in _OPENING) - (part in _CLOSING)
        if depth == 0 and part in ("||", "?"):
            return ["".join(parts)]
        if depth == 0 and part == "&&":
            ends.append(index)
    if not ends:
        return ["".join(parts)]
    found: list[str] = []
    begin = 0
    for end in (*ends, len(parts)):
        found += _split(parts[begin:end])
        begin = end + 1
    return found


def _closes_at(parts: list[str]) -> int:
    depth = 0
    for index, part in enumerate(parts):
        depth += (part in _OPENING) - (part in _CLOSING)
        if depth == 0:
            return index
    return -1


def excludes_unmasking(text: str) -> bool:
    """Say whether a condition surely fails for any request that would show an unmasked value.

    Sound, not complete: only what stands as a condition of its own between `&&` is seen.
    """
    return not (_NO_UNMASK | _NO_VALUES).isdisjoint(conjuncts(text))


_LITERAL: Final = r"""(?:"([^"\\]*)"|'([^'\\]*)')"""
_LIST: Final = r"\[([^\[\]]*)\]"
_NAME: Final = r"((?:requester|database|instance|request|relation|column)\.\w+)"
_MAP: Final = (
    r"(database\.labels|instance\.labels|requester\.attributes)"
    r"""(?:\.(\w+)|\[(?:"([^"]*)"|'([^']*)')\])"""
)
_LITERALS = re.compile(_LITERAL)
_IN_NAME = re.compile(rf"{_LITERAL}\s+in\s+{_NAME}")
_NAME_IS = re.compile(rf"{_NAME}\s*(?:==\s*{_LITERAL}|\.(?:startsWith|contains)\({_LITERAL}\))")
_NAME_ONE_OF = re.compile(rf"{_NAME}\s*(?:==|in)\s*{_LIST}")
_EXISTS = re.compile(
    rf"{_NAME}\.(?:exists|all|exists_one)\(\s*(\w+)\s*,([^()]*(?:\([^()]*\))?[^()]*)\)"
)
_ALL_IN = re.compile(rf"{_NAME}\.all\(\s*\w+\s*,\s*\w+\s+in\s+{_LIST}")
_MAP_IS = re.compile(rf"{_MAP}\s*==\s*{_LITERAL}")
_MAP_ONE_OF = re.compile(rf"{_MAP}\s+in\s+{_LIST}")
_MAP_HAS = re.compile(rf"has\(\s*{_MAP}\s*\)")


@dataclass(slots=True)
class Mentioned:
    """Values a condition compares names with: candidates for a request it may hold for."""

    values: dict[str, list[str]] = field(default_factory=dict)
    entries: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, name: str, value: str) -> None:
        """Note a value of a plain name or an element of a list."""
        known = self.values.setdefault(name, [])
        if value not in known:
            known.append(value)

    def add_entry(self, name: str, key: str, value: str) -> None:
        """Note a value under a key of labels or attributes."""
        known = self.entries.setdefault(name, {}).setdefault(key, [])
        if value not in known:
            known.append(value)


def mentioned(text: str) -> Mentioned:
    """Gather what a condition compares names with; guesses, good for making samples only."""
    found = Mentioned()
    for m in _IN_NAME.finditer(text):
        value, name = m[1] or m[2] or "", m[3]
        if name in ("database.labels", "instance.labels", "requester.attributes"):
            found.add_entry(name, value, "x")
        else:
            found.add(name, value)
    for m in _NAME_IS.finditer(text):
        found.add(m[1], next((g for g in m.groups()[1:] if g is not None), ""))
    for pattern in (_NAME_ONE_OF, _ALL_IN):
        for m in pattern.finditer(text):
            for value in _texts(m[2]):
                found.add(m[1], value)
    for m in _EXISTS.finditer(text):
        for value in _texts(m[3]):
            found.add(m[1], value)
    for m in _MAP_IS.finditer(text):
        found.add_entry(m[1], m[2] or m[3] or m[4] or "", m[5] or m[6] or "")
    for m in _MAP_ONE_OF.finditer(text):
        for value in _texts(m[5]):
            found.add_entry(m[1], m[2] or m[3] or m[4] or "", value)
    for m in _MAP_HAS.finditer(text):
        found.add_entry(m[1], m[2] or m[3] or m[4] or "", "x")
    return found


def _texts(inside: str) -> list[str]:
    return [m[1] if m[1] is not None else m[2] for m in _LITERALS.finditer(inside)]

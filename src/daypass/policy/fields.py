"""Reading a mapping key by key: types, unknown keys and what is missing, all reported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from difflib import get_close_matches
from typing import Final, TypeVar

from daypass.domain.duration import parse_duration
from daypass.domain.errors import Invalid
from daypass.policy.document import Entries, Items, Node, Place, Problems, Scalar

_BOOLEANS: Final = {"true": True, "True": True, "false": False, "False": False}
_NULLS: Final = {"", "~", "null", "Null", "NULL"}
_INTEGER = re.compile(r"\d{1,15}")
_NAME = re.compile(r"\S(.{0,118}\S)?")

T = TypeVar("T")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean x?` for the nearest known word, or nothing."""
    near = get_close_matches(word, sorted(set(known)), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def kind_of(node: Node) -> str:
    """Say what a node is, for messages."""
    match node:
        case Entries():
            return "a mapping"
        case Items():
            return "a list"
        case Scalar(value=value) if node.plain and value in _NULLS:
            return "nothing"
        case Scalar(value=value):
            return repr(value if len(value) <= 40 else value[:37] + "…")


class Fields:
    """One mapping's values by key; whatever is wrong goes to `problems` and reads as absent."""

    def __init__(
        self, node: Entries, known: tuple[str, ...], what: str, problems: Problems
    ) -> None:
        self.place: Place = node.place
        self._what = what
        self._problems = problems
        self._nodes: dict[str, Node] = {}
        for key, value in node.entries:
            if key.value not in known:
                problems.add(
                    key.place,
                    f"{what} has no key {key.value!r}{did_you_mean(key.value, known)}",
                )
            else:
                self._nodes[key.value] = value

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def node(self, key: str) -> Node | None:
        """Return the value as it is."""
        return self._nodes.get(key)

    def place_of(self, key: str) -> Place:
        """Return where the value stands, or where the mapping begins."""
        node = self._nodes.get(key)
        return node.place if node is not None else self.place

    def require(self, *keys: str) -> None:
        """Note each key that is absent."""
        for key in keys:
            if key not in self._nodes:
                self._problems.add(self.place, f"{self._what} needs {key!r}")

    def _wrong(self, key: str, expected: str) -> None:
        node = self._nodes[key]
        self._problems.add(node.place, f"{key!r} must be {expected}, not {kind_of(node)}")

    def scalar(self, key: str, expected: str = "a text") -> Scalar | None:
        """Return a text with its place."""
        node = self._nodes.get(key)
        if node is None:
            return None
        if isinstance(node, Scalar) and not (node.plain and node.value in _NULLS):
            return node
        self._wrong(key, expected)
        return None

    def text(self, key: str, default: str = "") -> str:
        """Return a text."""
        scalar = self.scalar(key)
        return scalar.value if scalar is not None else default

    def name(self, key: str = "name") -> str:
        """Return a name: one line of 1 to 120 characters, without spaces around it."""
        scalar = self.scalar(key)
        if scalar is None:
            return ""
        if not _NAME.fullmatch(scalar.value):
            self._wrong(key, "one line of 1 to 120 characters")
            return ""
        return scalar.value

    def boolean(self, key: str) -> bool | None:
        """Return true or false."""
        node = self._nodes.get(key)
        if node is None:
            return None
        if isinstance(node, Scalar) and node.plain and node.value in _BOOLEANS:
            return _BOOLEANS[node.value]
        self._wrong(key, "true or false")
        return None

    def integer(self, key: str, least: int, most: int) -> int | None:
        """Return a whole number within bounds."""
        node = self._nodes.get(key)
        if node is None:
            return None
        if isinstance(node, Scalar) and node.plain and _INTEGER.fullmatch(node.value):
            number = int(node.value)
            if least <= number <= most:
                return number
        self._wrong(key, f"a whole number from {least} to {most}")
        return None

    def duration(self, key: str) -> timedelta | None:
        """Return a duration such as `2h`."""
        scalar = self.scalar(key, "a duration such as 2h")
        if scalar is None:
            return None
        try:
            return parse_duration(scalar.value)
        except Invalid as error:
            self._problems.add(scalar.place, f"{error.message}; {error.next_step}")
            return None

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Return one of the choices."""
        scalar = self.scalar(key, " or ".join(choices))
        if scalar is None:
            return ""
        if scalar.value not in choices:
            self._wrong(key, " or ".join(choices))
            return ""
        return scalar.value

    def texts(self, key: str) -> tuple[Scalar, ...]:
        """Return a list of texts with their places."""
        node = self._nodes.get(key)
        if node is None:
            return ()
        if not isinstance(node, Items):
            self._wrong(key, "a list")
            return ()
        found = []
        for item in node.items:
            if isinstance(item, Scalar) and item.value:
                found.append(item)
            else:
                self._problems.add(item.place, f"{key!r} lists texts, not {kind_of(item)}")
        return tuple(found)

    def pairs(self, key: str) -> tuple[tuple[Scalar, Scalar], ...]:
        """Return a mapping of texts to texts."""
        node = self._nodes.get(key)
        if node is None:
            return ()
        if not isinstance(node, Entries):
            self._wrong(key, "a mapping")
            return ()
        found = []
        for name, value in node.entries:
            if isinstance(value, Scalar) and not (value.plain and value.value in _NULLS):
                found.append((name, value))
            else:
                self._problems.add(value.place, f"{name.value!r} must be a text")
        return tuple(found)

    def mappings(self, key: str) -> Iterator[Entries]:
        """Yield the mappings of a list."""
        node = self._nodes.get(key)
        if node is None or (isinstance(node, Scalar) and node.plain and node.value in _NULLS):
            return
        if not isinstance(node, Items):
            self._wrong(key, "a list")
            return
        for item in node.items:
            if isinstance(item, Entries):
                yield item
            else:
                self._problems.add(item.place, f"{key!r} lists mappings, not {kind_of(item)}")

    def nested(self, key: str, read: Callable[[Entries], T]) -> T | None:
        """Read a mapping inside this one."""
        node = self._nodes.get(key)
        if node is None:
            return None
        if isinstance(node, Entries):
            return read(node)
        self._wrong(key, "a mapping")
        return None

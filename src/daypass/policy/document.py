"""Policy files as trees that know where each character came from.

YAML is read as a strict subset: no anchors, aliases, tags or second documents, no line break but
the newline, bounded size and depth. `yes` and `2026-01-01` are texts: what a value means is for
its reader to say, so a scalar keeps its text and whether it was written plain.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import yaml

from daypass.domain.errors import Invalid

MAX_FILE_CHARACTERS: Final = 256 * 1024
MAX_DEPTH: Final = 16
MAX_NODES: Final = 50_000

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Control characters, other line breaks, and marks that make a text read otherwise than it is.
_STRAY: Final = re.compile(
    "[^\\t\\n\\x20-\\x7e\\xa0-\\u2027\\u202f-\\u2065\\u206a-\\ud7ff\\ue000-\\ufefe"
    "\\uff00-\\ufffd\\U00010000-\\U0010ffff]"
)
_ESCAPES: Final = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f",
    "r": "\r", "e": "\x1b", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_HEX_ESCAPES: Final = {"x": 2, "u": 4, "U": 8}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file; line and column count from one."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problems:
    """Everything found wrong so far, in the order it was found."""

    def __init__(self) -> None:
        self._found: list[tuple[Place, str]] = []

    def add(self, place: Place, text: str) -> None:
        """Note one problem; the same one twice counts once."""
        if (place, text) not in self._found:
            self._found.append((place, text))

    def __len__(self) -> int:
        return len(self._found)

    def raise_if_any(self, what: str) -> None:
        """Raise `Invalid` with every problem, in order of file, line and column."""
        if not self._found:
            return
        ordered = sorted(self._found, key=lambda p: (p[0].file, p[0].line, p[0].column))
        first, text = ordered[0]
        more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
        raise Invalid(
            f"{what}: {first}: {text}{more}",
            problems=tuple((str(place), text) for place, text in ordered),
            next_step="correct the places named; nothing was applied",
            code="invalid_policy",
        )


class Source:
    """One file's text, to turn offsets into places."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._line_starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a line and column counted from zero."""
        if line >= len(self._line_starts):
            return len(self.text)
        return min(self._line_starts[line] + column, len(self.text))

    def place(self, offset: int) -> Place:
        """Return the place of an offset."""
        line = bisect_right(self._line_starts, offset) - 1
        return Place(self.name, line + 1, offset - self._line_starts[line] + 1)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text of the file; `plain` says that it was written without quotes or block indicator."""

    value: str
    source: Source
    start: int
    end: int
    style: str

    @property
    def plain(self) -> bool:
        """Say whether it was written bare, so that `true` or `null` are not texts."""
        return self.style == ""

    @property
    def place(self) -> Place:
        """Return where it begins."""
        return self.source.place(self.start)

    def place_at(self, offset: int) -> Place:
        """Return where in the file the character at `offset` of the value was written.

        Folding, indentation and escapes change white space only or are undone here, so the n-th
        visible character of the value is the n-th visible one of what was written.
        """
        written = list(self._visible_offsets())
        index = sum(1 for c in self.value[:offset] if not c.isspace())
        if offset < len(self.value) and not self.value[offset].isspace() and index < len(written):
            return self.source.place(written[index])
        if index and written:
            return self.source.place(written[min(index, len(written)) - 1] + 1)
        return self.source.place(written[0] if written else self.start)

    def _visible_offsets(self) -> Iterator[int]:
        raw = self.source.text[self.start : self.end]
        if self.style in "|>" and self.style:
            header = raw.find("\n") + 1 or len(raw)
            yield from (self.start + i for i in range(header, len(raw)) if not raw[i].isspace())
        elif self.style == "":
            yield from (self.start + i for i, c in enumerate(raw) if not c.isspace())
        else:
            yield from (self.start + i for i, c in _unquoted(raw, self.style) if not c.isspace())


def _unquoted(raw: str, quote: str) -> Iterator[tuple[int, str]]:
    i = 1
    while i < len(raw) - 1:
        if quote == "'" and raw[i] == "'":
            yield i, "'"
            i += 2
        elif quote == '"' and raw[i] == "\\":
            code = raw[i + 1]
            digits = _HEX_ESCAPES.get(code, 0)
            if digits:
                yield i, chr(int(raw[i + 2 : i + 2 + digits], 16))
            elif code != "\n":
                yield i, _ESCAPES.get(code, code)
            i += 2 + digits
        else:
            yield i, raw[i]
            i += 1


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    items: tuple[Node, ...]
    source: Source
    start: int

    @property
    def place(self) -> Place:
        """Return where it begins."""
        return self.source.place(self.start)


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping; no key comes twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    source: Source
    start: int

    @property
    def place(self) -> Place:
        """Return where it begins."""
        return self.source.place(self.start)


Node: TypeAlias = Scalar | Items | Entries


def read_document(name: str, text: str, problems: Problems) -> Entries | None:
    """Read one file whose top level is a mapping; what is wrong goes to `problems`."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    source = Source(name, text)
    if len(text) > MAX_FILE_CHARACTERS:
        problems.add(
            source.place(0), f"the file is longer than {MAX_FILE_CHARACTERS // 1024} Ki characters"
        )
        return None
    if stray := _STRAY.search(text):
        problems.add(
            source.place(stray.start()), f"the character U+{ord(stray[0]):04X} may not be used here"
        )
        return None
    reader = _Reader(source, problems)
    try:
        node = reader.read()
    except _Stopped:
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        offset = source.offset(mark.line, mark.column) if mark else 0
        said = " ".join(part for part in (error.context, error.problem) if part)
        if "mapping values are not allowed" in said:
            said += "; quote a value that has a colon in it"
        problems.add(source.place(offset), f"not YAML: {said}")
        return None
    except yaml.YAMLError as error:
        problems.add(source.place(0), f"not YAML: {error}")
        return None
    if node is None:
        return Entries((), source, 0)
    if not isinstance(node, Entries):
        problems.add(node.place, "the top level must be a mapping of sections")
        return None
    return node


class _Stopped(Exception):
    """Reading cannot go on; the problem is noted."""


class _Reader:
    """Builds nodes from the parser's events, without recursion into what it has not bounded."""

    def __init__(self, source: Source, problems: Problems) -> None:
        self._source = source
        self._problems = problems
        self._events = yaml.parse(source.text, Loader=_LOADER)
        self._nodes = 0

    def read(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "only one YAML document may stand in a file")
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, 0)
        if isinstance(root, Scalar) and root.plain and root.value == "":
            return None
        return root

    def _stop(self, event: yaml.Event, text: str) -> None:
        self._problems.add(self._source.place(self._start(event)), text)
        raise _Stopped

    def _offset(self, mark: object) -> int:
        line, column = getattr(mark, "line", 0), getattr(mark, "column", 0)
        return self._source.offset(line, column)

    def _start(self, event: yaml.Event) -> int:
        return self._offset(event.start_mark)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._stop(
                event, "anchors and aliases (& and *) are not allowed; write it out or quote"
            )
        if getattr(event, "tag", None) is not None:
            self._stop(event, "YAML tags (!) are not allowed; quote a text that begins with !")
        if depth > MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep")
        if self._nodes > MAX_NODES:
            self._stop(event, f"more than {MAX_NODES} values in one file")
        start = self._start(event)
        if isinstance(event, yaml.ScalarEvent):
            end = self._offset(event.end_mark)
            if stray := _STRAY.search(event.value):
                self._stop(event, f"the character U+{ord(stray[0]):04X} may not be used here")
            style = event.style or ""
            return Scalar(event.value, self._source, start, end, "" if style == ":" else style)
        if isinstance(event, yaml.SequenceStartEvent):
            return Items(tuple(self._items(depth)), self._source, start)
        return Entries(tuple(self._entries(depth)), self._source, start)

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[tuple[Scalar, Node]]:
        seen: dict[str, Place] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, Scalar):
                self._problems.add(key.place, "a key must be a text")
            elif key.value in seen:
                self._problems.add(
                    key.place, f"{key.value!r} stands here twice (first at {seen[key.value]})"
                )
            else:
                seen[key.value] = key.place
                yield key, value

"""Reading masks as policy writes them: `email`, `partial(1, 2)`, `json({"a.b": hash})`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Final

from daypass.domain.masks import (
    ConstantMask,
    DateMask,
    EmailMask,
    FullMask,
    HashMask,
    JsonMask,
    Mask,
    NullMask,
    PartialMask,
    RangeMask,
    RegexMask,
)
from daypass.policy.document import Entries, Node, Place, Problems, Scalar
from daypass.policy.fields import did_you_mean, kind_of

MASK_FORMS: Final = (
    "full",
    "null",
    "partial(first, last)",
    "email",
    "hash",
    "date(month)",
    "date(year)",
    "range(step)",
    'constant("text")',
    'regex("pattern", "replacement")',
    'json({"path": mask})',
)
_NAMES: Final = tuple(form.partition("(")[0] for form in MASK_FORMS)
_TOKEN = re.compile(
    r"""\s*(?:(?P<word>[A-Za-z_]+)|(?P<number>-?\d{1,15})"""
    r"""|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<mark>[(){},:]))"""
)
_CUT_IN_FLOW = re.compile(r"\w+\([^)]*")
_MAX_TEXT: Final = 1000


class _Wrong(Exception):
    def __init__(self, offset: int, text: str) -> None:
        super().__init__(text)
        self.offset = offset
        self.text = text


def read_mask(node: Node, problems: Problems) -> Mask | None:
    """Read a mask from its text, or from a mapping `json: {path: mask}`."""
    if isinstance(node, Entries):
        return _read_json_mapping(node, problems)
    if not isinstance(node, Scalar):
        problems.add(node.place, f"a mask is a text, not {kind_of(node)}")
        return None
    return _parse_at(node.value, node.place_at, problems, flow_hint=node.plain)


def parse_mask(text: str) -> Mask | str:
    """Read a mask from its text, or return what is wrong with it."""
    try:
        return _Parser(text).whole()
    except _Wrong as wrong:
        return wrong.text


def _parse_at(
    text: str, place_at: Callable[[int], Place], problems: Problems, *, flow_hint: bool
) -> Mask | None:
    try:
        return _Parser(text).whole()
    except _Wrong as wrong:
        hint = ""
        if flow_hint and _CUT_IN_FLOW.fullmatch(text):
            hint = "; quote it: inside {…} a comma ends the value"
        problems.add(place_at(wrong.offset), wrong.text + hint)
        return None


def _read_json_mapping(node: Entries, problems: Problems) -> Mask | None:
    if [key.value for key, _ in node.entries] != ["json"]:
        problems.add(node.place, "a mask written as a mapping is {json: {path: mask, …}}")
        return None
    inner = node.entries[0][1]
    if not isinstance(inner, Entries) or not inner.entries:
        problems.add(inner.place, "json needs a mapping of paths to masks")
        return None
    paths = []
    for key, value in inner.entries:
        mask = read_mask(value, problems)
        if why := _bad_path(key.value):
            problems.add(key.place, why)
        elif isinstance(mask, JsonMask):
            problems.add(value.place, "a path of json cannot have a json mask")
        elif mask is not None:
            paths.append((key.value, mask))
    return JsonMask(tuple(paths)) if len(paths) == len(inner.entries) else None


def _bad_path(path: str) -> str:
    if not path or len(path) > 200 or any(not part for part in path.split(".")):
        return f"{path!r} is not a path; write keys with dots between them, such as contact.email"
    return ""


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        self._next = 0
        position = 0
        end = len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                raise _Wrong(position, f"{text[position:].strip()[:1]!r} does not belong in a mask")
            kind = match.lastgroup or ""
            self._tokens.append((kind, match[kind], match.start(kind)))
            position = match.end()

    def whole(self) -> Mask:
        mask = self._mask()
        kind, value, offset = self._peek()
        if kind:
            raise _Wrong(offset, f"{value!r} after the end of the mask")
        return mask

    def _peek(self) -> tuple[str, str, int]:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return "", "the end", len(self._text.rstrip())

    def _take(self, kind: str, expected: str, value: str | None = None) -> tuple[str, int]:
        found, text, offset = self._peek()
        if found != kind or (value is not None and text != value):
            raise _Wrong(offset, f"expected {expected}, found {text}")
        self._next += 1
        return text, offset

    def _mark(self, mark: str) -> None:
        self._take("mark", repr(mark), mark)

    def _mask(self) -> Mask:
        name, offset = self._take("word", "a mask")
        match name:
            case "full":
                return FullMask()
            case "null":
                return NullMask()
            case "email":
                return EmailMask()
            case "hash":
                return HashMask()
            case "partial":
                return self._arguments(self._partial)
            case "date":
                return self._arguments(self._date)
            case "range":
                return self._arguments(lambda: RangeMask(self._number("a step", 1)))
            case "constant":
                return self._arguments(lambda: ConstantMask(self._string()))
            case "regex":
                return self._arguments(self._regex)
            case "json":
                return self._arguments(self._json)
            case _:
                hint = did_you_mean(name, _NAMES)
                raise _Wrong(
                    offset, f"no mask is called {name!r}{hint or '; masks: '}"
                    + ("" if hint else ", ".join(MASK_FORMS))
                )  # fmt: skip

    def _arguments(self, read: Callable[[], Mask]) -> Mask:
        self._mark("(")
        mask = read()
        self._mark(")")
        return mask

    def _number(self, what: str, least: int) -> int:
        text, offset = self._take("number", what)
        number = int(text)
        if number < least:
            raise _Wrong(offset, f"{what} must be at least {least}")
        return number

    def _string(self, *, empty: bool = True) -> str:
        token, offset = self._take("text", "a quoted text")
        try:
            value = ast.literal_eval(token)
        except (ValueError, SyntaxError):
            raise _Wrong(offset, "not a quoted text; write a backslash twice") from None
        if not isinstance(value, str) or "\0" in value or len(value) > _MAX_TEXT:
            raise _Wrong(offset, f"a text of up to {_MAX_TEXT} characters is needed")
        if not value and not empty:
            raise _Wrong(offset, "the text is empty")
        return value

    def _partial(self) -> Mask:
        first = self._number("how many first characters stay", 0)
        self._mark(",")
        last = self._number("how many last characters stay", 0)
        return PartialMask(first, last)

    def _date(self) -> Mask:
        unit, offset = self._take("word", "month or year")
        if unit not in ("month", "year"):
            raise _Wrong(offset, f"a date keeps its month or year, not {unit!r}")
        return DateMask(unit)

    def _regex(self) -> Mask:
        pattern = self._string(empty=False)
        self._mark(",")
        return RegexMask(pattern, self._string())

    def _json(self) -> Mask:
        self._mark("{")
        paths: list[tuple[str, Mask]] = []
        while True:
            _, _, offset = self._peek()
            path = self._string(empty=False)
            if why := _bad_path(path):
                raise _Wrong(offset, why)
            if path in (p for p, _ in paths):
                raise _Wrong(offset, f"the path {path!r} stands here twice")
            self._mark(":")
            _, word, offset = self._peek()
            if word == "json":
                raise _Wrong(offset, "a path of json cannot have a json mask")
            paths.append((path, self._mask()))
            kind, value, _ = self._peek()
            if (kind, value) != ("mark", ","):
                break
            self._mark(",")
        self._mark("}")
        return JsonMask(tuple(paths))

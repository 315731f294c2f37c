"""Find hidden values in whatever reached a session, however it is wrapped: pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

KEY_LENGTH: Final = 6
"""Shorter values tell too little to be told apart from chance."""

_HEX: Final = re.compile(r"(?:\\x|\b)((?:[0-9a-f]{2}){6,})\b", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{12,}={0,2}")
_DIGEST: Final = re.compile(r"\b(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})\b")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_NUMBER: Final = re.compile(r"[-+]?[0-9][0-9.,:/ +-]*")
# What a planner thinks a step costs looks like a price, and is as likely as not to equal one.
_ESTIMATES: Final = re.compile(
    r":(?:\w+\.)?(?:startup_cost|total_cost|plan_rows|plan_width|startup|per_tuple) [0-9.e+]+"
    r"|\bcost=[0-9.]+\.\.[0-9.]+ rows=[0-9]+ width=[0-9]+"
    r"|\bactual time=[0-9.]+\.\.[0-9.]+"
    r"|\b(?:Startup|Total|Planning|Execution)[ -](?:Cost|Time)\"?[:>] ?[0-9.]+"
)
_ISO: Final = re.compile(r"(?<=[0-9])t(?=[0-9])")


def fold(text: str) -> str:
    """Return a text as it is compared: without case, and times written one way."""
    return _ISO.sub(" ", text.casefold()).replace("+00:00", "+00")


class Secrets:
    """Hidden values, indexed by their first characters; each with the place it comes from."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._by_key: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._digests: dict[str, str] = {}
        self._values: dict[str, str] = {}
        for value, place in values.items():
            folded = fold(value)
            if len(folded) < KEY_LENGTH or folded in self._values:
                continue
            self._values[folded] = place
            self._by_key[folded[:KEY_LENGTH]].append((folded, place))
            for name in ("md5", "sha1", "sha256"):
                digest = hashlib.new(name, value.encode(), usedforsecurity=False).hexdigest()
                self._digests[digest] = place

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, value: str) -> bool:
        return fold(value) in self._values

    def places(self) -> frozenset[str]:
        """Return the columns values come from."""
        return frozenset(self._values.values())

    def found_in(self, text: str, said: str = "") -> dict[str, str]:
        """Return the hidden values a text shows, with their places.

        What is in `said`, the session's own words, it knew already.
        """
        known = fold(said)
        text = _ESTIMATES.sub("", text)
        hits: dict[str, str] = {}
        for form in set(_forms(text)):
            hits |= {v: place for v, place in self._hits(fold(form)) if v not in known}
        for digest in _DIGEST.findall(text.lower()):
            if digest in self._digests and digest not in known:
                hits[digest] = f"a digest of {self._digests[digest]}"
        return hits

    def _hits(self, text: str) -> Iterator[tuple[str, str]]:
        for start in range(len(text) - KEY_LENGTH + 1):
            for value, place in self._by_key.get(text[start : start + KEY_LENGTH], ()):
                if text.startswith(value, start) and _stands_alone(text, start, value):
                    yield value, place


def _stands_alone(text: str, start: int, value: str) -> bool:
    """Say whether a number is not merely a part of a longer one."""
    if not _NUMBER.fullmatch(value):
        return True
    before = text[start - 1] if start else " "
    after = text[start + len(value)] if start + len(value) < len(text) else " "
    more = text[start + len(value) + 1 : start + len(value) + 2]
    return not (before.isdigit() or after.isdigit() or (after == "." and more.isdigit()))


def _forms(text: str) -> Iterable[str]:
    """Yield a text and what it is when unwrapped: reversed, escaped, in hex or base64."""
    yield text
    yield text[::-1]
    yield html.unescape(text)
    yield text.replace("''", "'").replace('""', '"').replace('\\"', '"')
    yield _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    # One character to a line, cell or array element, as when a value is taken apart.
    yield re.sub(r"[\s,;|{}()\"']", "", text)
    for match in _HEX.finditer(text):
        yield bytes.fromhex(match[1]).decode("utf-8", "replace")
    for match in _BASE64.finditer(text):
        try:
            yield base64.b64decode(match[0], validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            continue

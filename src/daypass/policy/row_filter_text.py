"""Row filters as policy writes them: a predicate with `{requester.attributes.region}` in it."""

from __future__ import annotations

import re
from typing import Final

from daypass.policy.document import Problems, Scalar
from daypass.policy.fields import did_you_mean

PLACEHOLDERS: Final = ("requester.id", "requester.name", "requester.email", "requester.groups")
_ATTRIBUTE = re.compile(r"requester\.attributes\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")
_PIECE = re.compile(r"""(?P<text>'(?:[^']|'')*'?)|(?P<quoted>"[^"]*"?)|(?P<slot>\{[^{}]*\})|[{}]""")
_MAX_CHARACTERS: Final = 4096


def read_row_filter(scalar: Scalar, problems: Problems) -> tuple[str, tuple[str, ...]] | None:
    """Return the predicate with numbered slots, and the name each slot is filled from."""
    text = scalar.value
    before = len(problems)
    if not text.strip():
        problems.add(scalar.place, "an empty filter; a rule that filters nothing is left away")
    if len(text) > _MAX_CHARACTERS:
        problems.add(scalar.place, f"longer than {_MAX_CHARACTERS} characters")
    values: list[str] = []
    pieces: list[str] = []
    position = 0
    for match in _PIECE.finditer(text):
        pieces.append(text[position : match.start()])
        position = match.end()
        place = scalar.place_at(match.start())
        if match["text"] is not None or match["quoted"] is not None:
            if "{" in match[0] or "}" in match[0]:
                problems.add(
                    place, "braces inside quotes; a value is put in without quotes: x = {…}"
                )
            pieces.append(match[0])
        elif match["slot"] is None:
            problems.add(place, f"a single {match[0]!r}; values are written {{requester.email}}")
        else:
            name = match["slot"][1:-1].strip()
            if name not in PLACEHOLDERS and not _ATTRIBUTE.fullmatch(name):
                known = (*PLACEHOLDERS, "requester.attributes.…")
                hint = did_you_mean(name, PLACEHOLDERS) or f"; known are {', '.join(known)}"
                problems.add(place, f"{{{name}}} is not a value a filter can use{hint}")
            values.append(name)
            pieces.append(f"{{{len(values)}}}")
    pieces.append(text[position:])
    return ("".join(pieces), tuple(values)) if len(problems) == before else None

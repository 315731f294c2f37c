"""Statements that others wrote: PostgreSQL's own regression scripts, cut into statements.

They come with libpg_query in the source distribution of postgast (BSD-3-Clause, as libpg_query; the
scripts are PostgreSQL's, under the PostgreSQL License). It is fetched by scripts/corpora.sh, pinned
by its hash, into a folder that is not kept in the repository.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from postgast import PgQueryError, scan
from postgast.pg_query_pb2 import Token

from daypass.domain.errors import Invalid
from daypass.engines.postgres.parsing import RawStatement, parse_text

FOLDER: Final = Path(__file__).parents[2] / ".corpora"
_SCRIPTS: Final = re.compile(r".*/libpg_query/test/sql/postgres_regress/(\w[\w.]*)\.sql")
_COPIED: Final = re.compile(r"copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_END_OF_ROWS: Final = "\\."
_MOST_LINES: Final = 300


@dataclass(frozen=True)
class Piece:
    """One statement of a script, with the rows that follow it when it copies some in."""

    script: str
    text: str
    parsed: RawStatement
    rows: str = ""


@cache
def scripts() -> dict[str, str]:
    """Return the regression scripts by name, empty when they were not fetched."""
    found: dict[str, str] = {}
    for archive in FOLDER.glob("postgast-*.tar.gz"):
        with tarfile.open(archive) as tar:
            for member in tar:
                name = _SCRIPTS.fullmatch(member.name)
                content = tar.extractfile(member) if name else None
                if name and content is not None:
                    found[name[1]] = content.read().decode("utf-8", "replace")
    return found


def pieces(script: str) -> Iterator[Piece]:
    """Cut a script into statements; what psql alone understands is left out."""
    for text, rows in _cut(scripts()[script]):
        try:
            parsed = parse_text(text)[1]
        except Invalid:
            continue
        if len(parsed) == 1:
            yield Piece(script, text, parsed[0], rows)


def _cut(script: str) -> Iterator[tuple[str, str]]:
    lines = script.splitlines()
    waiting: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith("\\"):
            # Commands of psql's; what stands before one is a statement of its own (\gset).
            waiting.clear()
            continue
        waiting.append(re.sub(r"\\g(set|exec|desc|x)?\b.*$", ";", line))
        if len(waiting) > _MOST_LINES:
            waiting.clear()
            continue
        text = "\n".join(waiting)
        if not waiting[-1].rstrip().endswith(";") and ";" not in line:
            continue
        for statement, whole in _statements(text):
            if not whole:
                break
            rows: list[str] = []
            if _COPIED.match(statement.lstrip()):
                while at < len(lines) and lines[at] != _END_OF_ROWS:
                    rows.append(lines[at])
                    at += 1
                at += 1
            yield statement, "".join(f"{row}\n" for row in rows)
            waiting = []


_PLAIN: Final = re.compile(r"[^;'\"$/\\-]*(?:'[^';\"$/\\-]*'[^;'\"$/\\-]*)*;\s*")
_OPENS, _CLOSES, _ENDS = int(Token.ASCII_40), int(Token.ASCII_41), int(Token.ASCII_59)
_ATOMIC, _CASE, _END = int(Token.ATOMIC), int(Token.CASE), int(Token.END_P)


def _statements(text: str) -> list[tuple[str, bool]]:
    """Cut at semicolons outside parentheses; nothing where the text is not whole yet."""
    if _PLAIN.fullmatch(text) and text.count("(") == text.count(")"):
        return [(text.rstrip()[:-1], True)]
    source = text.encode()
    try:
        tokens = scan(text).tokens
    except PgQueryError:
        return []
    found: list[tuple[str, bool]] = []
    depth = bodies = start = 0
    for token in tokens:
        each = token.token
        if each == _OPENS:
            depth += 1
        elif each == _CLOSES:
            depth -= 1
        elif each == _ATOMIC or (bodies and each == _CASE):
            bodies += 1
        elif bodies and each == _END:
            bodies -= 1
        elif each == _ENDS and depth <= 0 and not bodies:
            found.append((source[start : token.start].decode("utf-8", "replace"), True))
            start = token.end
    rest = source[start:].strip()
    return [] if rest and not rest.startswith(b"--") else found

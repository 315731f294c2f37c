"""pgAdmin's own questions to the catalog, rendered from the templates in its package.

The package (PyPI `pgadmin4`, PostgreSQL licence) is fetched for tests alone and read as it came.
Templates stand in folders named for the server's version, as `tables/sql/15_plus/nodes.sql`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2
from psycopg import sql

from daypass.domain.errors import Invalid
from daypass.domain.statement_class import READS
from daypass.engines.postgres.statements import statement_facts

_HERE: Final = Path(__file__).parents[2]
_LOCK: Final = _HERE / "requirements" / "pgadmin.txt"
_KEPT: Final = _HERE / ".venv" / "pgadmin"
_VERSION: Final = re.compile(r"/(default|(\d+)_plus)/")
_OF_OTHERS: Final = re.compile(
    r"ppas|pgd_|edb|pga_|pgagent|packages|synonyms|dbms|replica|debugger"
)
"""Templates for servers of EnterpriseDB and extensions that are not here."""
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Question:
    """A text pgAdmin sends, and the template it comes from."""

    template: str
    text: str


def package() -> Path | None:
    """Return the package's file, fetched if it is not there; None if it cannot be had."""
    found = next(_KEPT.glob("pgadmin4-*.whl"), None)
    if found is not None:
        return found
    fetching = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    done = subprocess.run(
        [*fetching, "--requirement", str(_LOCK), "--dest", str(_KEPT)],
        capture_output=True,
        check=False,
        timeout=300,
    )
    return next(_KEPT.glob("pgadmin4-*.whl"), None) if done.returncode == 0 else None


def questions(file: Path, server: int, facts: Mapping[str, object]) -> Iterator[Question]:
    """Render what only reads, for a server's version, with facts of one database."""
    with zipfile.ZipFile(file) as archive:
        texts = {
            name.partition("/templates/")[2]: archive.read(name).decode()
            for name in archive.namelist()
            if "/templates/" in name
            and name.endswith((".sql", ".macros"))
            and not _OF_OTHERS.search(name)
        }
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(texts.get),
        extensions=["jinja2.ext.do"],
        autoescape=False,  # noqa: S701  # it renders SQL
    )
    environment.filters.update(
        qtLiteral=_literal, qtIdent=_identifier, qtTypeIdent=_identifier, hasAny=_has_any
    )
    environment.globals["conn"] = True
    for name in sorted(_chosen(texts, server)):
        try:
            text = environment.get_template(name).render(facts).strip()
            statements = statement_facts(text)
        except (jinja2.TemplateError, Invalid, TypeError, ValueError, AttributeError, KeyError):
            # It needs what only its dialogue knows.
            continue
        if statements and all(each.classes <= READS for each in statements):
            yield Question(name, text)


def _chosen(texts: Mapping[str, str], server: int) -> set[str]:
    """Return each template's newest form that a server's version has."""
    best: dict[str, tuple[int, str]] = {}
    for name in texts:
        found = _VERSION.search(name)
        if not name.endswith(".sql") or "macros/" in name:
            continue
        since = int((found and found[2]) or 0)
        key = _VERSION.sub("/*/", name)
        if since <= server and since >= best.get(key, (0, ""))[0]:
            best[key] = since, name
    return {name for _, name in best.values()}


def _literal(value: object, connection: object = None, force_quote: bool = False) -> str:
    if isinstance(value, jinja2.Undefined):
        raise TypeError("nothing to quote")
    return sql.Literal(value).as_string().strip()


def _identifier(connection: object, *parts: Any) -> str:
    names = [str(each) for each in parts if str(each)]
    return ".".join(
        each if _PLAIN.fullmatch(each) else '"' + each.replace('"', '""') + '"' for each in names
    )


def _has_any(data: Mapping[str, object], keys: list[str]) -> bool:
    return any(key in data for key in keys)

"""The suites, and how each is run in its own interpreter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.suites.place import Way

HERE = Path(__file__).parent
_PYTEST = (
    *("-m", "pytest", "-q", "-p", "recorder", "-p", "no:cacheprovider", "--tb=short"),
    *("-W", "ignore", "--rootdir=.", "-o", "addopts="),
)


@dataclass(frozen=True)
class Installed:
    """Where suites are: the interpreter that has what they need, and their sources."""

    python: Path
    sources: Path


@dataclass(frozen=True)
class Suite:
    """A suite in parts, which are run one after the other, each with a command of its own.

    `arguments` of a part are its interpreter's, which begins in `folder` of the suite's sources;
    `smoke` is what `make test` runs.
    """

    name: str
    folder: str
    parts: tuple[tuple[str, ...], ...]
    arguments: Callable[[tuple[str, ...]], tuple[str, ...]]
    smoke: tuple[str, ...] = ()
    environment: Callable[[Way], Mapping[str, str]] = lambda _: {}


_VERSION = re.compile(r"_postgresql\+psycopg_\d+_\d+")
"""SQLAlchemy's suite puts it behind a class's name."""


def _pytest(part: tuple[str, ...]) -> tuple[str, ...]:
    return (*_PYTEST, *part)


def _sqlalchemy(part: tuple[str, ...]) -> tuple[str, ...]:
    # libpq's environment says the rest.
    return (*_PYTEST, "-p", "no:xdist", "--dburi=postgresql+psycopg://", *part)


def _django(part: tuple[str, ...]) -> tuple[str, ...]:
    return ("runtests.py", "--settings=django_settings", "--parallel=1", "--noinput", *part)


def _psycopg2(way: Way) -> Mapping[str, str]:
    return {"PSYCOPG2_TESTDB": way.database}


@dataclass(frozen=True)
class Outcome:
    """How the tests of a part ended by their names, and what the run printed."""

    ended: Mapping[str, str]
    code: int | None
    printed: str


async def run_part(
    suite: Suite,
    part: tuple[str, ...],
    way: Way,
    installed: Installed,
    scratch: Path,
    timeout_s: float,
) -> Outcome:
    """Run a part of a suite one way; what did not end in time is not in the outcome."""
    record = scratch / f"{way.name}.record"
    record.unlink(missing_ok=True)
    log = scratch / f"{way.name}.log"
    source = installed.sources / suite.name
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": f"{HERE}:{source}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SUITE_RECORD": str(record),
        **way.environment,
        **suite.environment(way),
    }
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            installed.python,
            *suite.arguments(part),
            cwd=source / suite.folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                await process.wait()
        except TimeoutError:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Outcome(_read(record), process.returncode, log.read_text("utf-8", "replace"))


def _read(record: Path) -> dict[str, str]:
    if not record.exists():
        return {}
    lines = record.read_text("utf-8").splitlines()
    found: dict[str, str] = {}
    for line in lines:
        name, _, how = line.rpartition("\t")
        name = _VERSION.sub("", name)
        if found.get(name) not in {"failed", "error"}:
            found[name] = how
    return found


def _words(text: str) -> tuple[tuple[str, ...], ...]:
    """Return parts, one a line, of names that stand apart."""
    return tuple(tuple(line.split()) for line in text.strip().splitlines())


ASYNCPG = Suite(
    name="asyncpg",
    folder=".",
    parts=_words("""
        tests/test_execute.py tests/test_copy.py tests/test_cursor.py tests/test_transaction.py
        tests/test_prepare.py tests/test_types.py
        tests/test_codecs.py tests/test_exceptions.py tests/test_introspection.py
    """),
    smoke=("tests/test_cursor.py", "tests/test_copy.py"),
    arguments=_pytest,
)
PSYCOPG2 = Suite(
    name="psycopg2",
    folder=".",
    parts=_words("""
        tests/test_cursor.py tests/test_copy.py
        tests/test_types_basic.py tests/test_types_extras.py
        tests/test_async.py tests/test_cancel.py
        tests/test_lobject.py tests/test_transaction.py tests/test_with.py
        tests/test_psycopg2_dbapi20.py tests/test_extras_dictcursor.py
        tests/test_connection.py
    """),
    arguments=_pytest,
    environment=_psycopg2,
)
DJANGO = Suite(
    name="django",
    folder="tests",
    parts=_words("""
        basic transactions
        schema
    """),
    arguments=_django,
)
_DIALECT = (
    "InsertBehavior or CTETest or FetchLimitOffset or ReturningTest or RowCount or Sequence"
    " or Unicode or DateTime or Integer or Numeric"
)
SQLALCHEMY = Suite(
    name="sqlalchemy",
    folder=".",
    parts=(
        ("test/dialect/test_suite.py", "-k", _DIALECT),
        *_words("""
            test/dialect/postgresql/test_on_conflict.py test/dialect/postgresql/test_query.py
            test/dialect/postgresql/test_dialect.py
            test/dialect/postgresql/test_reflection.py
        """),
    ),
    arguments=_sqlalchemy,
)
SUITES = {each.name: each for each in (SQLALCHEMY, DJANGO, ASYNCPG, PSYCOPG2)}

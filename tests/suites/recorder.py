"""Write down how each test of a suite ended; runs in the suite's own interpreter, as a plugin.

It imports nothing of Daypass. A line is a test's name, a tab, how it ended: `passed`, `failed`,
`skipped`, `error` (before or after the test itself).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

_ended: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what became of a test in each of its phases; the worst counts."""
    found: str = report.outcome
    if hasattr(report, "wasxfail"):
        found = "passed" if report.outcome == "passed" else "skipped"
    elif found == "failed" and report.when != "call":
        found = "error"
    before = _ended.get(report.nodeid, "passed")
    if before == "passed" or found in {"failed", "error"}:
        _ended[report.nodeid] = found


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Write a test down once it is over."""
    with Path(os.environ["SUITE_RECORD"]).open("a", encoding="utf-8") as file:
        file.write(f"{nodeid}\t{_ended.pop(nodeid, 'passed')}\n")


def pytest_collection_finish() -> None:
    """Have asyncpg's tests use the database of the environment where they name `postgres`."""
    base = sys.modules.get("asyncpg._testbase")
    if base is None:
        return
    plain = base.ClusterTestCase.get_connection_spec.__func__

    def spec(cls: Any, kwargs: dict[str, Any] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = plain(cls, kwargs or {})
        if found.get("database") == "postgres":
            found["database"] = os.environ["PGDATABASE"]
        return found

    base.ClusterTestCase.get_connection_spec = classmethod(spec)

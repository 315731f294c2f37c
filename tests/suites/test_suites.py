"""Suites nobody here wrote end through a gateway as they end directly, but for what is listed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daypass.embedded import Cluster
from tests import servers as pg
from tests.conftest import lacking
from tests.suites.compare import Listed, expected, surprises
from tests.suites.place import Databases, Way, suite_gate
from tests.suites.suites import ASYNCPG, SUITES, Installed, Outcome, Suite, run_part
from tests.world import CompanyServer, company_server

_MAJOR = 17
"""The newest that has contrib everywhere."""
_PART_S = 240.0
_CLOSED_S = 30.0
_INSTALLED = Path(__file__).parents[2] / ".suites"


@dataclass(frozen=True)
class Ways:
    """Both ways to databases of a server, and what is run there."""

    company: CompanyServer
    installed: Installed
    direct: Way
    gateway: Way
    scratch: Path

    async def differ(self, suite: Suite, part: tuple[str, ...]) -> list[str]:
        """Run a part both ways; say what differs unexpectedly, and what does no longer."""
        direct = await run_part(suite, part, self.direct, self.installed, self.scratch, _PART_S)
        gateway = await run_part(suite, part, self.gateway, self.installed, self.scratch, _PART_S)
        assert direct.code is not None
        assert "passed" in direct.ended.values(), direct.printed[-4000:]
        await self.closed()
        return surprises(suite, direct, gateway, expected(suite))

    async def closed(self) -> None:
        """Wait until no session has anything left: the next part finds what is the role's."""
        until = time.monotonic() + _CLOSED_S
        while left := self.company.sql("select rolname from pg_roles where rolname ~ '^dp_g_'"):
            assert time.monotonic() < until, f"never closed: {left}"
            await asyncio.sleep(0.2)


@pytest.fixture(scope="session")
def company() -> Iterator[CompanyServer]:
    """Start the server both ways lead to."""
    binaries = pg.binaries_of(_MAJOR)
    if binaries is None:
        lacking(f"PostgreSQL {_MAJOR} is not installed")
    with company_server(binaries) as found:
        yield found


@pytest.fixture(scope="session")
def installed() -> Installed:
    """Return where the suites are."""
    if not (_INSTALLED / "made").exists():
        lacking("the test suites of others are not there (scripts/suites.sh)")
    return Installed(_INSTALLED / "venv/bin/python", _INSTALLED / "sources")


@pytest.fixture
async def ways(
    store_cluster: Cluster, company: CompanyServer, installed: Installed, tmp_path: Path
) -> AsyncIterator[Ways]:
    """Return both ways, to databases of their own."""
    databases = Databases(company)
    databases.make("suite_direct")
    state = tmp_path / "state"
    state.mkdir()
    try:
        async with suite_gate(store_cluster, company, databases, "suite_gateway", state) as way:
            direct = databases.direct("suite_direct")
            yield Ways(company, installed, direct, way, tmp_path)
    finally:
        databases.drop("suite_direct")


@pytest.mark.timeout(600)
async def test_a_little_of_a_suite(ways: Ways) -> None:
    assert await ways.differ(ASYNCPG, ASYNCPG.smoke) == []


@pytest.mark.long
@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
async def test_a_suite_part_by_part(ways: Ways, suite: Suite, long_seconds: float) -> None:
    until = time.monotonic() + long_seconds
    found: list[str] = []
    for part in suite.parts:
        found += await ways.differ(suite, part)
        if time.monotonic() > until:
            break
    assert found == []


def test_a_difference_that_is_not_listed_is_told() -> None:
    direct = Outcome({"a": "passed", "b": "passed", "c": "failed"}, 0, "")
    gateway = Outcome({"a": "failed", "b": "passed"}, 0, "")
    listed = {"b": Listed("no longer"), "d": Listed("of another part")}
    told = surprises(ASYNCPG, direct, gateway, listed)
    assert told == [
        "a: passed directly, failed through the gateway",
        "c: failed directly, missing through the gateway",
        "b: listed in asyncpg/expected.yaml, and passed both ways",
    ]

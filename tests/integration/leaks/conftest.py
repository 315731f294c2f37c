"""The sample company with recognisable rows in it, and sessions to attack."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from daypass.embedded import Cluster
from tests import servers as pg
from tests.conftest import lacking
from tests.leaks.sample import Probe, Sample, plant, sample
from tests.leaks.truth import Values
from tests.world import CompanyServer, company_server, world


@dataclass(frozen=True)
class Planted:
    """A company's server, and every value of its shop."""

    company: CompanyServer
    values: Values


@dataclass
class Probes:
    """Sessions of the sample's scopes, opened when first asked for."""

    sample: Sample
    company: CompanyServer
    _open: dict[str, Probe] = field(default_factory=dict)

    async def under(self, scope: str) -> Probe:
        """Return the session of a scope; somebody of another team has one beside it."""
        if scope not in self._open:
            other = "unmask" if scope == "fraud" else "fraud"
            self._open[scope] = await self.sample.probe(scope, other)
        return self._open[scope]


@pytest.fixture(scope="module")
def planted(pg_major: int) -> Iterator[Planted]:
    """Start a company's server of this module's own: attacks change what they can."""
    binaries = pg.binaries_of(pg_major)
    if binaries is None:
        lacking(f"PostgreSQL {pg_major} is not installed")
    with company_server(binaries) as company:
        yield Planted(company, plant(company))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def probes(store_cluster: Cluster, planted: Planted) -> AsyncIterator[Probes]:
    """Return sessions under every scope of the sample."""
    async with world(store_cluster, planted.company) as found:
        async with sample(found, planted.values) as opened:
            yield Probes(opened, planted.company)

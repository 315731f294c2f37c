"""The sample company and a Daypass around it, for what its own people try."""

from collections.abc import AsyncIterator, Iterator

import pytest

from daypass.embedded import Cluster
from tests import servers as pg
from tests.conftest import lacking
from tests.world import CompanyServer, World, company_server, world


@pytest.fixture(scope="session")
def company(pg_major: int) -> Iterator[CompanyServer]:
    """Start the sample company's server: names of its roles are fixed, so it has one of its own."""
    binaries = pg.binaries_of(pg_major)
    if binaries is None:
        lacking(f"PostgreSQL {pg_major} is not installed")
    with company_server(binaries) as found:
        yield found


@pytest.fixture
async def here(store_cluster: Cluster, company: CompanyServer) -> AsyncIterator[World]:
    """Return a Daypass that knows the company, with nothing granted yet."""
    async with world(store_cluster, company) as found:
        yield found

"""The sample company behind a gateway."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from daypass.embedded import Cluster
from tests import servers as pg
from tests.conftest import lacking
from tests.gateways import Gate, gateway_on
from tests.world import CompanyServer, World, company_server, world

_MAJOR = 15
"""The newest that has TLS beside contrib everywhere; the relay's own tests run on all."""


@pytest.fixture(scope="session")
def company() -> Iterator[CompanyServer]:
    """Start the sample company's server."""
    binaries = pg.binaries_of(_MAJOR)
    if binaries is None:
        lacking(f"PostgreSQL {_MAJOR} is not installed")
    with company_server(binaries) as found:
        yield found


@pytest.fixture
async def here(store_cluster: Cluster, company: CompanyServer) -> AsyncIterator[World]:
    """Return a Daypass that knows the company, with nothing granted yet."""
    async with world(store_cluster, company, connections=16) as found:
        yield found


@pytest.fixture
async def gate(here: World, tmp_path: Path) -> AsyncIterator[Gate]:
    """Return a gateway with that Daypass behind it."""
    async with gateway_on(here, tmp_path) as found:
        yield found

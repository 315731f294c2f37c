"""The sample company behind a gateway."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from daypass.embedded import Cluster
from tests import servers as pg
from tests.client_desk import Desk, desk_on
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(
    store_cluster: Cluster, company: CompanyServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Desk]:
    """Return a gateway with grants that a whole file of tests shares, for files of its loop."""
    async with (
        world(store_cluster, company, connections=16) as found,
        desk_on(found, tmp_path_factory.mktemp("desk")) as opened,
    ):
        yield opened

"""The sample company and a Daypass around it, for tests of whole stories."""

from collections.abc import AsyncIterator, Iterator

import pytest

from daypass.embedded import Cluster
from tests import servers as pg
from tests.conftest import lacking
from tests.world import CompanyServer, World, company_server, world


def pytest_configure(config: pytest.Config) -> None:
    """Say what the folder's own marker means."""
    config.addinivalue_line(
        "markers", "one_major: does not depend on the target's version, and runs on one of them"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what would only be the same again on another major version."""
    chosen = int(config.getoption("--pg-majors").split(",")[-1])
    again = [
        item
        for item in items
        if item.get_closest_marker("one_major") is not None
        and getattr(getattr(item, "callspec", None), "params", {}).get("pg_major") != chosen
    ]
    if again:
        left_out = set(map(id, again))
        items[:] = [item for item in items if id(item) not in left_out]
        config.hook.pytest_deselected(items=again)


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

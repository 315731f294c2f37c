"""A store of its own for each test of people, passwords and access tokens."""

from collections.abc import AsyncIterator

import pytest

from daypass.embedded import Cluster
from daypass.operations.context import Context
from tests.stores import context_of, running_store


@pytest.fixture
async def ctx(store_cluster: Cluster) -> AsyncIterator[Context]:
    """Return a running Daypass around an empty store."""
    async with running_store(store_cluster) as store:
        yield context_of(store)

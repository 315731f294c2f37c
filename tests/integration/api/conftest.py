"""The real API around a store of its own, called in process."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from daypass.api.app import Api, create_app
from daypass.domain.principal import Actor, Capability
from daypass.embedded import Cluster
from daypass.operations.context import Context
from tests.people import first_admin, person, token_of
from tests.stores import context_of, running_store

Connect = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def ctx(store_cluster: Cluster) -> AsyncIterator[Context]:
    """Return a running Daypass around an empty store."""
    async with running_store(store_cluster) as store:
        yield context_of(store)


@pytest.fixture
def api(ctx: Context) -> Api:
    """Return the API."""
    return create_app(ctx)


@pytest.fixture
async def connect(api: Api) -> AsyncIterator[Connect]:
    """Return a function that makes clients of the API, from `192.0.2.1` by default."""
    clients: list[httpx.AsyncClient] = []

    def client(token: str | None = None, address: str = "192.0.2.1") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=api, client=(address, 50000))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        made = httpx.AsyncClient(
            transport=transport, base_url="http://daypass.test", headers=headers
        )
        clients.append(made)
        return made

    yield client
    for each in clients:
        await each.aclose()


@pytest.fixture
async def admin(ctx: Context) -> Actor:
    """Return the first admin."""
    return await first_admin(ctx)


@pytest.fixture
async def bob(ctx: Context, admin: Actor) -> Actor:
    """Return a member."""
    return await person(ctx, admin, "bob@example.com")


@pytest.fixture
def client_of(ctx: Context, connect: Connect) -> Callable[..., object]:
    """Return a function that makes a client with an access token of somebody's."""

    async def make(actor: Actor, *capabilities: Capability) -> httpx.AsyncClient:
        issued = await token_of(ctx, actor, *capabilities)
        return connect(issued.secret.reveal())

    return make

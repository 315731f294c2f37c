"""What the store's absence leaves behind, and what it must not."""

from __future__ import annotations

import asyncio

import pytest

from daypass.domain.secret import Secret
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.close_strays import close_strays
from daypass.store.database import Store
from tests import servers as pg
from tests.conftest import lacking
from tests.faults.stage import running_servers
from tests.world import world

_AT_ONCE = 6


@pytest.mark.kill
async def test_no_connection_that_ended_with_the_store_is_given_out() -> None:
    binaries = pg.binaries_of(pg.STORE_MAJOR)
    if binaries is None:
        lacking(f"PostgreSQL {pg.STORE_MAJOR} is not installed")
    with pg.running_server(binaries) as cluster:
        store = Store(Secret(cluster.conninfo("postgres")), min_size=_AT_ONCE, max_size=8)
        await store.open()

        async def used() -> None:
            async with store.connection() as connection:
                await connection.execute("select pg_sleep(0.05)")

        await asyncio.gather(*(used() for _ in range(_AT_ONCE)))
        await asyncio.to_thread(cluster.kill)
        await asyncio.to_thread(cluster.start)
        for _ in range(2 * _AT_ONCE):
            await used()
        await store.aclose()


async def test_a_session_nobody_knows_of_is_closed() -> None:
    """As where the store goes away while it commits: whoever asked for it never hears of it."""
    with running_servers() as both:
        async with world(both.store, both.company) as here:
            await here.grant("ada", "sales.*")
            ada = await here.actor("ada")
            (candidate, *_) = await find_candidates(here.ctx, ada, "prod/shop")
            await authorize_session(here.ctx, ada, candidate, kind="gateway")
            assert await close_strays(here.ctx, 60.0) == 0
            assert await close_strays(here.ctx, 0.0) == 1
            assert await close_strays(here.ctx, 0.0) == 0
            assert await here.rows("select state, close_reason from session") == [
                ("closing", "not opened")
            ]
            assert await here.rows(
                "select count(*) from procrastinate_jobs where task_name = 'daypass.close_sessions'"
            ) == [(1,)]

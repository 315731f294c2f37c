"""What would leave nothing for others."""

import asyncio
import time

from daypass.domain.errors import Conflict
from daypass.operations.run_query import QueryOutcome, run_query
from tests.world import World


async def test_nobody_takes_all_connections_of_a_server(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    ada = await here.actor("ada")

    async def sleep() -> QueryOutcome:
        return await run_query(here.ctx, ada, "prod/shop", "select pg_sleep(2)", grant_id=grant_id)

    done = await asyncio.gather(*(sleep() for _ in range(14)), return_exceptions=True)
    refused = [each for each in done if isinstance(each, Conflict)]
    assert {each.detail_code for each in refused} == {"too_many_sessions"}
    assert len([each for each in done if isinstance(each, QueryOutcome)]) == 10
    again = await run_query(here.ctx, ada, "prod/shop", "select 1", grant_id=grant_id)
    assert again.result.rows == (("1",),)


async def test_a_long_text_holds_nobody_up(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    ada = await here.actor("ada")
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)

    watching = asyncio.create_task(watch())
    text = "select 1;" * 20_000
    started = time.monotonic()
    await run_query(here.ctx, ada, "prod/shop", text, grant_id=grant_id)
    took = time.monotonic() - started
    watching.cancel()
    assert longest < took / 2

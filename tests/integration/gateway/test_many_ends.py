"""Many sessions that end together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import psycopg
import pytest

from tests.gateways import Gate, gateway_on
from tests.world import World

MANY = 200


@pytest.fixture
async def wide(here: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    """Return a gateway where one person may have very many sessions."""
    async with gateway_on(here, tmp_path_factory.mktemp("state"), per_person=MANY * 2) as found:
        yield found


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_sessions_that_end_together_are_cut_within_a_second(wide: Gate) -> None:
    here = wide.world
    grant_id = await here.grant("ada", "sales.*")
    token = await wide.token("ada")
    async with AsyncExitStack() as stack:
        turns = asyncio.Semaphore(10)

        async def opened() -> psycopg.AsyncConnection[tuple[object, ...]]:
            async with turns:
                return await stack.enter_async_context(await wide.connect("ada", token))

        connections = await asyncio.gather(*(opened() for _ in range(MANY)))
        async with here.ctx.store.transaction() as tx:
            cursor = await tx.execute(
                "update access_grant set deadline = clock_timestamp() + interval '4 s'"
                " where id = %s returning extract(epoch from deadline)::float8,"
                " extract(epoch from clock_timestamp())::float8",
                (grant_id,),
            )
            row = await cursor.fetchone()
            assert row is not None
            await tx.execute("select pg_notify('daypass', %s)", (f"grant_moved {grant_id}",))
        said: list[str] = []
        due = time.monotonic() + float(row[0]) - float(row[1])

        async def cut(connection: psycopg.AsyncConnection[tuple[object, ...]], busy: bool) -> float:
            statement = "select pg_sleep(60)" if busy else "select pg_sleep(0.05)"
            while True:
                try:
                    await connection.execute(statement.encode())
                    await asyncio.sleep(0.2)
                except psycopg.OperationalError as error:
                    said.append(str(error))
                    return time.monotonic() - due

        lags = sorted(
            await asyncio.gather(*(cut(each, n % 2 == 0) for n, each in enumerate(connections)))
        )
    assert all("deadline came" in each for each in said)
    assert lags[0] > -0.1
    assert lags[int(MANY * 0.99) - 1] < 1.0, lags[-10:]
    [(left,)] = here.company.sql(
        "select count(*) from pg_stat_activity where usename like 'dp_g_%'"
    )
    until = time.monotonic() + 3
    while left and time.monotonic() < until:
        await asyncio.sleep(0.05)
        [(left,)] = here.company.sql(
            "select count(*) from pg_stat_activity where usename like 'dp_g_%'"
        )
    assert left == 0

"""What somebody with an access token and a grant tries against the others of the gateway."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import replace
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest

from daypass.domain.ids import RequestId
from daypass.domain.statement_class import StatementClass
from daypass.gateway.limits import ConnectionLimits
from daypass.operations.decide_request import decide_request
from daypass.operations.revoke_token import revoke_token
from daypass.store import tokens
from tests.gateways import Gate, gateway_on
from tests.world import World


async def test_the_longest_text_of_one_does_not_freeze_the_others(gate: Gate) -> None:
    await gate.world.grant("ada", "sales.*")
    long = "select count(*) from sales.orders where id in (" + "1," * 60_000 + "1)"
    async with await gate.connect("ada") as one, await gate.connect("ada") as other:
        reading = asyncio.create_task(one.execute(long.encode(), prepare=False))
        slowest = 0.0
        while not reading.done():
            began = time.monotonic()
            await asyncio.sleep(0.01)
            await other.execute("select 1")
            slowest = max(slowest, time.monotonic() - began)
        assert await (await reading).fetchone() is not None
    assert slowest < 0.5


async def test_a_token_revoked_while_its_client_waits_opens_nothing(gate: Gate) -> None:
    here = gate.world
    token = await gate.token("ben")
    connecting = asyncio.create_task(
        gate.psql(
            "ben",
            "-c",
            "select 1",
            token=token,
            options="-c daypass.reason=checking -c daypass.wait=30s",
        )
    )
    rows: list[tuple[object, ...]] = []
    for _ in range(200):
        rows = await here.rows("select id from request where state = 'pending'")
        if rows:
            break
        await asyncio.sleep(0.05)
    ben = await here.actor("ben")
    async with here.ctx.store.connection() as connection:
        for each in await tokens.list_tokens(connection, principal_id=ben.id, live=True):
            await revoke_token(here.ctx, replace(ben, token_id=each.id), each.id)
    number = RequestId(int(str(rows[0][0])))
    await decide_request(here.ctx, await here.actor("dana"), number, yes=True)
    said = await asyncio.wait_for(connecting, 15)
    assert said.code == 2
    assert "revoked" in said.err, said.err
    assert await here.rows("select count(*) from session") == [(0,)]


async def test_what_was_bound_long_ago_is_stopped_in_time_too(gate: Gate) -> None:
    here = gate.world
    number = await here.grant("ada", "sales.*")
    async with here.ctx.store.transaction() as tx:
        await tx.execute(
            """update access_grant set limits = '{"statement_timeout_s": 0.5}' where id = %s""",
            (number,),
        )
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=gate.running.port,
        user="ada@example.com",
        password=await gate.token("ada"),
        database="prod/shop",
        ssl=ssl.create_default_context(cafile=str(gate.certificate)),
    )
    try:
        async with connection.transaction():
            # Bound now, run when the time is over that it would have had.
            cursor = await connection.cursor("select pg_sleep(20)")
            await asyncio.sleep(1.2)
            began = time.monotonic()
            with pytest.raises(asyncpg.PostgresError, match="stops statements after"):
                await cursor.fetchrow()
            assert time.monotonic() - began < 3
    finally:
        await connection.close()


async def test_connections_that_say_nothing_keep_nobody_out(here: World, tmp_path: Path) -> None:
    limits = ConnectionLimits(handshakes=8, handshakes_per_place=6)
    async with gateway_on(here, tmp_path, limits=limits) as gate:
        await here.grant("ada", "sales.*")
        silent = [await asyncio.open_connection("127.0.0.1", gate.running.port) for _ in range(6)]
        await asyncio.sleep(1.2)
        async with await gate.connect("ada") as connection:
            await connection.execute("select 1")
        for _, writer in silent:
            writer.close()


async def test_who_sends_more_than_one_may_waits_and_others_do_not(
    here: World, tmp_path: Path
) -> None:
    async with gateway_on(here, tmp_path, statements_per_s=40) as gate:
        for name in ("ada", "ben"):
            await here.grant(name, "sales.*", classes=frozenset({StatementClass.EXPLAIN}))
        async with await gate.connect("ada") as one, await gate.connect("ben") as other:
            began = time.monotonic()
            async with one.pipeline():
                cursors = [await one.execute("select %s::int", (n,)) for n in range(100)]
            # 40 at once, and 60 at the pace.
            took = time.monotonic() - began
            assert [await each.fetchone() for each in cursors] == [(n,) for n in range(100)]
            denied = asyncio.create_task(_denials(one, 40))
            began = time.monotonic()
            for _ in range(5):
                await other.execute("select 1")
            assert time.monotonic() - began < 1
            began = time.monotonic()
            await denied
        assert took + time.monotonic() - began > 2


async def _denials(connection: psycopg.AsyncConnection[tuple[object, ...]], many: int) -> None:
    for _ in range(many):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("delete from sales.orders")


async def test_nobody_connects_too_often(here: World, tmp_path: Path) -> None:
    async with gateway_on(here, tmp_path, connects_per_minute=3) as gate:
        for name in ("ada", "ben"):
            await here.grant(name, "sales.*", classes=frozenset({StatementClass.EXPLAIN}))
        token = await gate.token("ada")
        for _ in range(3):
            async with await gate.connect("ada", token):
                pass
        with pytest.raises(psycopg.OperationalError, match="more often than 3 times a minute"):
            await gate.connect("ada", token)
        async with await gate.connect("ben") as other:
            await other.execute("select 1")

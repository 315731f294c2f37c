"""Ways in: IPv6, and what stays open while the store is away."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from daypass.domain.errors import Unavailable
from daypass.embedded import Cluster
from daypass.gateway.gateway import GatewayOptions
from daypass.gateway.listeners import listening_socket
from daypass.gateway.running import GatewayPlace, running_gateway
from tests.gateways import Gate
from tests.world import World

COUNT = b"select count(*) > 0 from sales.orders"


async def test_over_ipv6(here: World, tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    await here.grant("ada", "sales.*")
    await asyncio.to_thread(tmp_path.chmod, 0o700)
    with listening_socket("::", 0) as bound:
        async with running_gateway(
            here.ctx,
            here.ctx.engines["postgres"],
            [bound],
            GatewayPlace(tmp_path, public_host="localhost"),
            GatewayOptions(drain_s=0.2),
            beats=True,
        ) as found:
            gate = Gate(here, found, found.certificate)
            token = await gate.token("ada")
            for address in ("::1", "127.0.0.1"):
                async with await gate.connect("ada", token, hostaddr=address) as connection:
                    await connection.execute(COUNT)
    seen = await here.rows("select distinct address from session order by 1")
    assert seen == [("127.0.0.1",), ("::1",)]


@pytest.fixture
def durable(store_cluster: Cluster) -> Iterator[Cluster]:
    """Return the store's server; what it has committed is there again after a crash."""
    settings = ("synchronous_commit", "full_page_writes")
    with psycopg.connect(store_cluster.conninfo("postgres"), autocommit=True) as connection:
        for each in settings:
            connection.execute(sql.SQL("alter system set {} = on").format(sql.Identifier(each)))
        connection.execute("select pg_reload_conf()")
    yield store_cluster
    with psycopg.connect(store_cluster.conninfo("postgres"), autocommit=True) as connection:
        for each in settings:
            connection.execute(sql.SQL("alter system reset {}").format(sql.Identifier(each)))
        connection.execute("select pg_reload_conf()")


async def test_while_the_store_is_away_sessions_go_on_and_end_by_their_deadline(
    here: World, gate: Gate, durable: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daypass.gateway.watch._SILENT_S", 2.0)
    async with here.ctx.store.connection() as store_connection:
        # A database copied from a template logs no step of a sequence before: after a crash the
        # store's would begin where the template's stood.
        await store_connection.execute("checkpoint")
    grant_id = await here.grant("ada", "sales.*")
    connection = await gate.connect("ada")
    async with here.ctx.store.transaction() as tx:
        await tx.execute(
            "update access_grant set deadline = clock_timestamp() + interval '4 s' where id = %s",
            (grant_id,),
        )
        await tx.execute("select pg_notify('daypass', %s)", (f"grant_moved {grant_id}",))
    started = time.monotonic()
    await asyncio.sleep(0.5)
    await asyncio.to_thread(durable.kill)
    try:
        cursor = await connection.execute(COUNT)
        assert await cursor.fetchone() == (True,)
        with pytest.raises(psycopg.OperationalError, match="deadline came"):
            await connection.execute("select pg_sleep(20)")
        assert time.monotonic() - started < 5
        with pytest.raises(psycopg.OperationalError, match="lost contact"):
            await gate.connect("ada", "dpt_1_" + "x" * 43)
    finally:
        await asyncio.to_thread(durable.start)
    await connection.close()
    outcomes: list[object] = []
    for _ in range(150):
        outcomes = await _outcomes(here)
        if len(outcomes) == 2:
            break
        await asyncio.sleep(0.1)
    assert outcomes[0] == "done"
    assert len(outcomes) == 2


async def _outcomes(here: World) -> list[object]:
    try:
        rows = await here.rows(
            "select content ->> 'outcome' from entry where kind = 'statement.ended' order by id"
        )
    except Unavailable:
        return []
    return [row[0] for row in rows]

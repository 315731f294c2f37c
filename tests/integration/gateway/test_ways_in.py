"""Ways in: TLS of every kind, IPv6, drivers of another make, and targets behind TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest

from daypass.domain.errors import Unavailable
from daypass.gateway.gateway import GatewayOptions
from daypass.gateway.listeners import listening_socket
from daypass.gateway.running import GatewayPlace, running_gateway
from tests import servers as pg
from tests.gateways import Gate, gateway_on
from tests.world import CompanyServer, World, world

COUNT = b"select count(*) > 0 from sales.orders"


async def test_tls_asked_for_begun_at_once_and_bound_to_the_proof(gate: Gate) -> None:
    await gate.world.grant("ada", "sales.*")
    token = await gate.token("ada")
    for more in (
        {"sslnegotiation": "postgres"},
        {"sslnegotiation": "direct"},
        {"channel_binding": "require"},
        {"channel_binding": "disable"},
        {"max_protocol_version": "latest"},
    ):
        if psycopg.pq.version() < 180_000 and "max_protocol_version" in more:
            continue
        async with await gate.connect("ada", token, **more) as connection:
            cursor = await connection.execute(COUNT)
            assert await cursor.fetchone() == (True,), more
            sleeping = asyncio.create_task(connection.execute("select pg_sleep(20)"))
            await asyncio.sleep(0.3)
            await connection.cancel_safe(timeout=5)
            with pytest.raises(psycopg.errors.QueryCanceled):
                await sleeping


async def test_without_tls_nobody_gets_to_say_who_they_are(gate: Gate) -> None:
    token = await gate.token("ada")
    with pytest.raises(psycopg.OperationalError, match="protected by TLS"):
        await gate.connect("ada", token, sslmode="disable")
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        await gate.connect("ada", token, sslrootcert="system")


async def test_tls_for_another_protocol_is_turned_away(gate: Gate) -> None:
    def try_(alpn: list[str]) -> bytes:
        context = ssl.create_default_context(cafile=str(gate.certificate))
        context.set_alpn_protocols(alpn)
        with (
            socket.create_connection(("127.0.0.1", gate.running.port), timeout=3) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            secured.settimeout(1)
            try:
                secured.sendall(b"GET / HTTP/1.1\r\n\r\n")
                return secured.recv(100)
            except TimeoutError:
                return b"waits"
            except OSError:
                return b""

    assert await asyncio.to_thread(try_, ["http/1.1"]) == b""
    assert (await asyncio.to_thread(try_, ["postgresql"]))[:1] == b"E"


async def test_asyncpg_prepares_streams_and_copies_out(gate: Gate) -> None:
    await gate.world.grant("ada", "sales.*")
    context = ssl.create_default_context(cafile=str(gate.certificate))
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=gate.running.port,
        user="ada@example.com",
        password=await gate.token("ada"),
        database="prod/shop",
        ssl=context,
        server_settings={"application_name": "asyncpg"},
    )
    try:
        rows = await connection.fetch("select id, email from sales.customers where id < $1", 5)
        assert [row["id"] for row in rows] == [1, 2, 3, 4]
        assert all("***" in row["email"] for row in rows)
        async with connection.transaction():
            cursor = connection.cursor("select id from sales.orders", prefetch=50)
            seen = [row["id"] async for row in cursor]
        assert len(seen) > 100
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("update sales.orders set id = id")
        with pytest.raises((asyncpg.QueryCanceledError, TimeoutError)):
            await connection.fetch("select pg_sleep(20)", timeout=0.3)
        assert await connection.fetchval("select 1") == 1
    finally:
        await connection.close()


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


async def test_while_the_store_is_away_sessions_go_on_and_end_by_their_deadline(
    company: CompanyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daypass.gateway.watch._SILENT_S", 2.0)
    binaries = pg.binaries_of(pg.STORE_MAJOR)
    assert binaries is not None
    # What it has committed is there again after a crash, as with a store of anybody's.
    kept = {"synchronous_commit": "on", "full_page_writes": "on"}
    company.bare()
    with pg.running_server(binaries, settings=kept) as store:
        async with world(store, company) as here, gateway_on(here, tmp_path) as gate:
            async with here.ctx.store.connection() as store_connection:
                # A database copied from a template logs no step of a sequence before: after a crash
                # the store's would begin where the template's stood.
                await store_connection.execute("checkpoint")
            grant_id = await here.grant("ada", "sales.*")
            connection = await gate.connect("ada")
            async with here.ctx.store.transaction() as tx:
                await tx.execute(
                    "update access_grant set deadline = clock_timestamp() + interval '4 s'"
                    " where id = %s",
                    (grant_id,),
                )
                await tx.execute("select pg_notify('daypass', %s)", (f"grant_moved {grant_id}",))
            started = time.monotonic()
            await asyncio.sleep(0.5)
            await asyncio.to_thread(store.kill)
            try:
                cursor = await connection.execute(COUNT)
                assert await cursor.fetchone() == (True,)
                with pytest.raises(psycopg.OperationalError, match="deadline came"):
                    await connection.execute("select pg_sleep(20)")
                assert time.monotonic() - started < 5
                with pytest.raises(psycopg.OperationalError, match="lost contact"):
                    await gate.connect("ada", "dpt_1_" + "x" * 43)
            finally:
                await asyncio.to_thread(store.start)
            await connection.close()
            for _ in range(150):
                outcomes = await _outcomes(here)
                if len(outcomes) == 2:
                    break
                await asyncio.sleep(0.1)
            assert outcomes[0] == "done"
            assert len(outcomes) == 2
    # For the next store's Daypass.
    company.bare()


async def _outcomes(here: World) -> list[object]:
    try:
        rows = await here.rows(
            "select content ->> 'outcome' from entry where kind = 'statement.ended' order by id"
        )
    except Unavailable:
        return []
    return [row[0] for row in rows]

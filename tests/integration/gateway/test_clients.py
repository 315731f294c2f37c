"""psycopg and TLS of every kind through the gateway: what works as without it, what is denied."""

from __future__ import annotations

import asyncio
import socket
import ssl

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from tests.client_desk import Desk, end_soon

pytestmark = pytest.mark.asyncio(loop_scope="module")

Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def _open(desk: Desk, kind: str, **more: str) -> Connection:
    return await psycopg.AsyncConnection.connect(desk.conninfo(kind, **more), autocommit=True)


async def _one(connection: Connection, text: str) -> object:
    row = await (await connection.execute(text.encode())).fetchone()
    assert row is not None
    return row[0]


async def test_psql_sees_what_the_grant_gives_and_masks_stay(desk: Desk) -> None:
    said = await desk.gate.psql(
        "ada",
        token=desk.token,
        options=desk.options("read"),
        stdin="select email from sales.customers order by id limit 1;\n"
        "select count(*) from sales.orders;\n\\d sales.customers\n\\dt sales.*\n",
    )
    assert said.code == 0, said.err
    assert "***" in said.out
    assert "@example.com" not in said.out
    assert "NOTICE:  grant" in said.err
    assert "masked: " in said.err
    assert "sales.customers.email" in said.err


async def test_a_client_prepares_streams_copies_and_pipelines(desk: Desk) -> None:
    async with await _open(desk, "read") as connection:
        for number in (1, 2, 3, 4, 5, 6, 7):
            cursor = await connection.execute(
                "select id, email from sales.customers where id = %s", (number,), prepare=True
            )
            row = await cursor.fetchone()
            assert row is not None
            assert row[0] == number
            assert "***" in str(row[1])
        async with connection.transaction():
            async with connection.cursor("named") as cursor:
                await cursor.execute("select id from sales.customers order by id")
                assert len(await cursor.fetchmany(10)) == 10
        async with connection.pipeline():
            first = await connection.execute("select 1")
            second = await connection.execute("select count(*) from sales.orders")
        assert await first.fetchone() == (1,)
        assert (await second.fetchone()) is not None
        assert connection.info.parameter_status("server_version") is not None
        assert connection.info.encoding == "utf-8"


async def test_copies_by_class(desk: Desk) -> None:
    out = b"copy sales.customers (id, email) to stdout (format binary)"
    into = b"copy sales.products (sku, name, category, price, cost) from stdin"
    async with await _open(desk, "export") as connection, connection.cursor() as cursor:
        async with cursor.copy(out) as copying:
            copying.set_types(["int8", "text"])
            rows = [row async for row in copying.rows()]
        assert sorted(int(str(row[0])) for row in rows) == list(range(1, 401))
        assert all("***@***" in str(row[1]) for row in rows)
    async with await _open(desk, "load") as connection, connection.cursor() as cursor:
        async with connection.transaction(force_rollback=True):
            async with cursor.copy(into) as copying:
                for number in range(3):
                    await copying.write_row((f"p-{number}", "Lamp", "lamps", 3, 1))
            assert cursor.rowcount == 3
    for kind, text in (("read", out), ("write", into)):
        async with await _open(desk, kind) as connection, connection.cursor() as cursor:
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
                async with cursor.copy(text):
                    pass
            assert "daypass.grant=" in (refused.value.diag.message_hint or "")
            assert await _one(connection, "select 1") == 1


async def test_a_denied_statement_in_a_pipeline_stops_what_is_behind_it(desk: Desk) -> None:
    async with await _open(desk, "read") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as denied:
            await _pipelined(connection, "select 1", "delete from sales.orders", "select 2")
        assert "daypass connect prod/shop --grant" in (denied.value.diag.message_hint or "")
        assert await _one(connection, "select 3") == 3
        # Many of one statement are a pipeline too: none of them was done.
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    "delete from sales.orders where id = %s", [(1,), (2,), (3,)]
                )
        assert await _one(connection, "select 4") == 4
    [(count,)] = desk.world.company.sql("select count(*) from sales.orders where id <= 3")
    assert count == 3


async def test_a_denied_statement_in_a_transaction_aborts_it(desk: Desk) -> None:
    async with await _open(desk, "write") as connection:
        async with connection.transaction(force_rollback=True):
            await connection.execute("update sales.products set price = price + 1 where id = 1")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with connection.transaction():
                    await connection.execute("truncate sales.products")
            await connection.execute("select 1")
        await connection.execute("begin")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("truncate sales.products")
        assert connection.info.transaction_status == TransactionStatus.INERROR
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await connection.execute("select 1")
        await connection.execute("commit")
        assert await _one(connection, "select 1") == 1


async def test_notices_and_the_end_of_a_grant(desk: Desk) -> None:
    number = await desk.world.grant("ada", "sales.orders")
    heard: list[str] = []
    connection = await _open(desk, "read", options=f"-c daypass.grant={number}")
    connection.add_notice_handler(lambda each: heard.append(each.message_primary or ""))
    await connection.execute("create temp table noted (a int)")
    await connection.execute("create temp table if not exists noted (a int)")
    assert heard == ['relation "noted" already exists, skipping']
    running = asyncio.create_task(connection.execute("select pg_sleep(20)"))
    await end_soon(desk, number, left_s=0.5)
    with pytest.raises(psycopg.OperationalError) as ended:
        await asyncio.wait_for(running, 10)
    assert ended.value.sqlstate == "57P05"
    assert f"grant {number}" in str(ended.value)
    assert connection.closed


async def test_a_client_cancels_what_it_runs(desk: Desk) -> None:
    async with await _open(desk, "read") as connection:
        running = asyncio.create_task(connection.execute("select pg_sleep(30)"))
        await _until_running(desk, "pg_sleep(30)")
        started = asyncio.get_running_loop().time()
        await connection.cancel_safe(timeout=5)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await running
        assert asyncio.get_running_loop().time() - started < 2
        assert await _one(connection, "select 1") == 1


async def test_what_a_client_sets_stays_and_what_it_may_not_is_left_out(desk: Desk) -> None:
    async with await _open(
        desk,
        "read",
        options=desk.options(
            "read",
            "-c TimeZone=Asia/Tokyo -c search_path=public -c role=postgres"
            " -c session_replication_role=replica",
        ),
        application_name="night shift",
    ) as connection:
        assert await _one(connection, "show timezone") == "Asia/Tokyo"
        assert await _one(connection, "select current_user = session_user") is True
        assert str(await _one(connection, "select current_user")).startswith("dp_g_")
        assert await _one(connection, "show search_path") != "public"
    found = desk.world.company.sql(
        "select usename from pg_stat_activity where application_name = 'night shift'"
    )
    assert len(found) <= 1


# TLS


async def test_tls_asked_for_begun_at_once_and_bound_to_the_proof(desk: Desk) -> None:
    for more in (
        {"sslnegotiation": "postgres", "sslmode": "require"},
        {"sslnegotiation": "direct"},
        {"channel_binding": "require"},
        {"channel_binding": "disable"},
        {"max_protocol_version": "latest"},
    ):
        if psycopg.pq.version() < 180_000 and "max_protocol_version" in more:
            continue
        async with await _open(desk, "read", **more) as connection:
            assert await _one(connection, "select count(*) > 0 from sales.orders") is True, more
            sleeping = asyncio.create_task(connection.execute("select pg_sleep(20)"))
            await _until_running(desk, "pg_sleep(20)")
            await connection.cancel_safe(timeout=5)
            with pytest.raises(psycopg.errors.QueryCanceled):
                await sleeping


async def test_without_tls_nobody_gets_to_say_who_they_are(desk: Desk) -> None:
    with pytest.raises(psycopg.OperationalError, match="protected by TLS"):
        await _open(desk, "read", sslmode="disable")
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        await _open(desk, "read", sslrootcert="system")


async def test_tls_for_another_protocol_is_turned_away(desk: Desk) -> None:
    def try_(alpn: list[str]) -> bytes:
        context = ssl.create_default_context(cafile=str(desk.gate.certificate))
        context.set_alpn_protocols(alpn)
        with (
            socket.create_connection(("127.0.0.1", desk.gate.running.port), timeout=3) as plain,
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


async def _pipelined(connection: Connection, *statements: str) -> None:
    async with connection.pipeline():
        for each in statements:
            await connection.execute(each.encode())


async def _until_running(desk: Desk, text: str) -> None:
    for _ in range(200):
        found = desk.world.company.sql(
            "select 1 from pg_stat_activity where state = 'active' and usename like 'dp_g_%' and"
            f" query like '%{text}%'"
        )
        if found:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"nothing like {text} runs")

"""Whose a local connection is: as the kernel tells it, or by a name made for one run."""

import asyncio
import os
import socket
from pathlib import Path

import psycopg
import pytest

from daypass.domain.secret import Secret
from daypass.engines.postgres import local_proxy
from daypass.engines.postgres.local_proxy import GatewayWay, LocalProxy, _is_ours, one_time_user
from tests.gateways import PSQL, Gate


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel tells it on Linux alone")
@pytest.mark.parametrize(
    ("family", "host"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")],
)
def test_our_own_connection_is_ours_until_it_is_closed(
    family: socket.AddressFamily, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.socket(family, socket.SOCK_STREAM)
        client.connect((host, listening.getsockname()[1]))
        taken, peer = listening.accept()
        with taken:
            own = taken.getsockname()
            assert _is_ours(peer, own)
            assert not _is_ours((peer[0], peer[1] ^ 1), own)
            monkeypatch.setattr(os, "getuid", lambda: 12_345)
            assert not _is_ours(peer, own)
            monkeypatch.setattr(os, "getuid", lambda: 0)
            client.close()
            # The kernel shows it as root's now, whoever's it was.
            assert not _is_ours(peer, own)


def test_a_name_is_asked_for_where_the_kernel_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local_proxy, "_TCP_TABLE", tmp_path)
    assert one_time_user() == ""
    monkeypatch.setattr(local_proxy, "_TCP_TABLE", tmp_path / "nothing")
    names = {one_time_user() for _ in range(50)}
    assert len(names) == 50
    assert all(each.startswith("local_") and len(each) > 24 for each in names)


async def test_only_whoever_gives_that_name_is_led_to_the_database(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await gate.world.grant("ada", "sales.*")
    assert gate.certificate is not None
    way = GatewayWay(
        "127.0.0.1",
        gate.running.port,
        "ada@example.com",
        "prod/shop",
        gate.certificate.read_text(),
        encrypted=True,
    )
    token = Secret(await gate.token("ada"))
    monkeypatch.setattr(local_proxy, "_TCP_TABLE", tmp_path / "nothing")
    monkeypatch.setattr(local_proxy, "_TCP6_TABLE", tmp_path / "nothing")
    user = one_time_user()
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        LocalProxy(way, lambda: token, user).serve(0, bound.set_result), name="proxy"
    )
    where = f"host=127.0.0.1 port={await bound} dbname=shop sslmode=disable"
    try:
        async with await psycopg.AsyncConnection.connect(f"{where} user={user}") as connection:
            cursor = await connection.execute("select count(*) > 0 from sales.orders")
            assert await cursor.fetchone() == (True,)
        for name in ("ada@example.com", user[:-1], user + "x", "root", user.upper()):
            with pytest.raises(psycopg.OperationalError, match="the user name that daypass proxy"):
                await psycopg.AsyncConnection.connect(f"{where} user={name}")
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_it_leads_to_one_database_under_the_grant_that_is_named(gate: Gate) -> None:
    wide = await gate.world.grant("ada", "sales.*")
    narrow = await gate.world.grant("ada", "sales.orders")
    assert gate.certificate is not None
    way = GatewayWay(
        "127.0.0.1",
        gate.running.port,
        "ada@example.com",
        "prod/shop",
        gate.certificate.read_text(),
        encrypted=True,
        asked=(("grant", str(narrow)),),
    )
    token = Secret(await gate.token("ada"))
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        LocalProxy(way, lambda: token, "").serve(0, bound.set_result), name="proxy"
    )
    where = f"host=127.0.0.1 port={await bound} user=ada sslmode=disable"
    try:
        for more, grant in (
            ("dbname=shop", narrow),
            (f"dbname=prod/shop options='-c daypass.grant={wide}'", wide),
        ):
            process = await asyncio.create_subprocess_exec(
                PSQL,
                "-XAtc",
                "select 1",
                f"{where} {more}",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await asyncio.wait_for(process.communicate(), 20)
            assert out == b"1\n", err
            assert f"NOTICE:  grant {grant} on prod/shop until".encode() in err
            assert b"it opens " in err
        for name in ("ada", "prod/other", "other/shop", "postgres", "SHOP"):
            with pytest.raises(psycopg.OperationalError, match="leads to prod/shop and no other"):
                await psycopg.AsyncConnection.connect(f"{where} dbname={name}")
        [(sessions,)] = await gate.world.rows("select count(*) from session")
        assert sessions == 2
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

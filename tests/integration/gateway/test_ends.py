"""How sessions through the gateway end: deadlines, revocation, kills, and whoever goes away."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

import psycopg
import pytest

from daypass.domain.errors import NotFound
from daypass.domain.ids import GrantId, SessionId
from daypass.gateway.keys import cancel_key
from daypass.operations.kill_session import kill_session
from daypass.operations.live_sessions import list_live_sessions
from daypass.operations.revoke_grant import revoke_grant
from tests.gateways import Gate, gateway_on
from tests.world import World

Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def _deadline_in(here: World, grant_id: GrantId, seconds: float) -> None:
    """Bring a grant's deadline close, past what rules allow, and tell as an operation does."""
    async with here.ctx.store.transaction() as tx:
        await tx.execute(
            "update access_grant set deadline = clock_timestamp() + make_interval(secs => %s)"
            " where id = %s",
            (seconds, grant_id),
        )
        await tx.execute("select pg_notify('daypass', %s)", (f"grant_moved {grant_id}",))


async def _running(here: World, text: str) -> None:
    for _ in range(300):
        if here.company.sql(
            "select 1 from pg_stat_activity where state = 'active' and usename like 'dp_g_%' and"
            f" query like '%{text}%'"
        ):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"nothing like {text} runs")


async def _backends(here: World) -> int:
    [(count,)] = here.company.sql(
        "select count(*) from pg_stat_activity where usename like 'dp_g_%'"
    )
    assert isinstance(count, int)
    return count


async def _gone(here: World, within_s: float) -> float:
    """Return how long it took until no backend of a session was left."""
    started = time.monotonic()
    while await _backends(here):
        assert time.monotonic() - started < within_s, "a backend is still there"
        await asyncio.sleep(0.02)
    return time.monotonic() - started


async def _session(here: World) -> SessionId:
    rows = await here.rows("select id from session where state = 'open' order by id desc limit 1")
    return SessionId(int(str(rows[0][0])))


async def test_the_deadline_cuts_what_runs_and_says_why(gate: Gate) -> None:
    here = gate.world
    grant_id = await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as connection:
        notices: list[str] = []
        connection.add_notice_handler(lambda diag: notices.append(diag.message_primary or ""))
        sleeping = asyncio.create_task(connection.execute("select pg_sleep(30)"))
        await _running(here, "pg_sleep")
        await _deadline_in(here, grant_id, 1.0)
        started = time.monotonic()
        with pytest.raises(psycopg.OperationalError) as cut:
            await sleeping
        assert 0.5 < time.monotonic() - started < 2.5
        assert f"grant {grant_id} on prod/shop ended: its deadline came" in str(cut.value)
    assert await _gone(here, 3) < 2
    for _ in range(100):
        if not await here.rows("select 1 from session where state in ('opening', 'open')"):
            break
        await asyncio.sleep(0.05)
    [(reason,)] = await here.rows("select close_reason from session")
    assert "deadline" in str(reason)


async def test_a_session_is_told_before_it_ends_and_of_more_time(gate: Gate) -> None:
    here = gate.world
    grant_id = await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as connection:
        notices: list[str] = []
        connection.add_notice_handler(lambda diag: notices.append(diag.message_primary or ""))
        for left_s in (300.7, 60.7):
            await _deadline_in(here, grant_id, left_s)
            await asyncio.sleep(1.2)
            await connection.execute("select 1")
        assert any("ends in 5m" in each for each in notices), notices
        assert any("now ends at" in each for each in notices), notices
        assert any("ends in 1m" in each for each in notices), notices


async def test_revocation_ends_a_session_at_once(gate: Gate) -> None:
    here = gate.world
    grant_id = await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as connection:
        sleeping = asyncio.create_task(connection.execute("select pg_sleep(30)"))
        await _running(here, "pg_sleep")
        started = time.monotonic()
        await revoke_grant(here.ctx, await here.actor("dana"), grant_id, "not any more")
        with pytest.raises(psycopg.OperationalError) as cut:
            await sleeping
        assert time.monotonic() - started < 1.5
        assert "revoked" in str(cut.value)
        assert "not any more" in str(cut.value)


async def test_kill_reaches_a_session_of_another_gateway(gate: Gate, tmp_path: Path) -> None:
    here = gate.world
    await here.grant("ada", "sales.*")
    async with gateway_on(here, tmp_path, beats=False) as other:
        async with await other.connect("ada") as connection:
            running = asyncio.create_task(connection.execute("select pg_sleep(30)"))
            await _running(here, "pg_sleep")
            number = await _session(here)
            found, _ = await list_live_sessions(here.ctx, await here.actor("ada"))
            for _ in range(100):
                if found[0].running is not None:
                    break
                await asyncio.sleep(0.05)
                found, _ = await list_live_sessions(here.ctx, await here.actor("ada"))
            assert found[0].running is not None
            assert found[0].running.statement == "select pg_sleep(30)"
            # Not theirs to see, not theirs to end.
            assert (await list_live_sessions(here.ctx, await here.actor("ben")))[0] == ()
            with pytest.raises(NotFound):
                await kill_session(here.ctx, await here.actor("ben"), number, "because")
            await kill_session(here.ctx, await here.actor("dana"), number, "it blocks a migration")
            with pytest.raises(psycopg.OperationalError) as cut:
                await running
            said = "the session was ended by dana@example.com: it blocks a migration"
            assert said in str(cut.value)
    [(actor,)] = await here.rows("select actor_id from entry where kind = 'session.killed'")
    assert actor == (await here.actor("dana")).id


async def test_a_cancel_that_reaches_another_gateway_works(gate: Gate, tmp_path: Path) -> None:
    here = gate.world
    await here.grant("ada", "sales.*")
    async with gateway_on(here, tmp_path, beats=False) as other:
        async with await gate.connect("ada") as connection:
            running = asyncio.create_task(connection.execute("select pg_sleep(30)"))
            await _running(here, "pg_sleep")
            key = connection.pgconn.backend_pid.to_bytes(4, "big")
            wrong = _cancel_by(other.running.port, key + b"\0\0\0\0")
            assert wrong == b""
            await asyncio.sleep(0.3)
            assert not running.done()
            number = await _session(here)
            secret = gate.running.gateway.cancel_secret
            # Nor does it matter that the client does not wait for the end.
            assert _cancel_by(other.running.port, cancel_key(secret, number)[:8]) == b""
            with pytest.raises(psycopg.errors.QueryCanceled):
                await asyncio.wait_for(running, 3)


def _cancel_by(port: int, key: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall((8 + len(key)).to_bytes(4, "big") + (80877102).to_bytes(4, "big") + key)
        sock.settimeout(0.2)
        try:
            return sock.recv(10)
        except TimeoutError:
            return b""


async def test_a_killed_client_leaves_no_backend(gate: Gate) -> None:
    here = gate.world
    await here.grant("ada", "sales.*")
    token = await gate.token("ada")
    process = await asyncio.create_subprocess_exec(
        "/usr/lib/postgresql/15/bin/psql",
        "-X",
        "-c",
        "select pg_sleep(30)",
        gate.conninfo("ada", token),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"]},
    )
    await _running(here, "pg_sleep")
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert await _gone(here, 5) < 3
    for _ in range(100):
        ends = await here.rows(
            "select content ->> 'outcome' from entry where kind = 'statement.ended'"
        )
        if ends:
            break
        await asyncio.sleep(0.05)
    assert len(ends) == 1


async def test_a_dying_backend_is_told_to_its_client(gate: Gate) -> None:
    here = gate.world
    await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as connection:
        sleeping = asyncio.create_task(connection.execute("select pg_sleep(30)"))
        await _running(here, "pg_sleep")
        here.company.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename like 'dp_g_%'"
        )
        with pytest.raises(psycopg.OperationalError):
            await asyncio.wait_for(sleeping, 3)


async def test_a_drain_ends_idle_sessions_and_gives_others_a_bounded_time(
    here: World, tmp_path: Path
) -> None:
    await here.grant("ada", "sales.*")
    async with gateway_on(here, tmp_path, drain_s=1.5) as gate:
        idle = await gate.connect("ada")
        busy = await gate.connect("ada")
        quick = asyncio.create_task(busy.execute("select pg_sleep(0.8)"))
        await _running(here, "pg_sleep")
        started = time.monotonic()
    assert time.monotonic() - started < 4
    assert (await quick).rowcount == 1
    for each in (idle, busy):
        with pytest.raises(psycopg.OperationalError):
            await each.execute("select 1")
        await each.close()
    assert await _backends(here) == 0


async def test_slow_handshakes_are_bounded_and_do_not_keep_others_out(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = gate.world
    await here.grant("ada", "sales.*")
    monkeypatch.setattr("daypass.gateway.reception.HANDSHAKE_S", 0.6)
    slow = [socket.create_connection(("127.0.0.1", gate.running.port)) for _ in range(150)]
    try:
        for each in slow:
            each.sendall(b"\0\0")
        await asyncio.sleep(0.2)
        assert gate.running.gateway.places.greeting_count >= 150
        async with await gate.connect("ada") as connection:
            await connection.execute("select 1")
        await asyncio.sleep(0.6)
        assert gate.running.gateway.places.greeting_count == 0
        flood = socket.create_connection(("127.0.0.1", gate.running.port))
        slow.append(flood)
        flood.sendall((9_999).to_bytes(4, "big") + (196_608).to_bytes(4, "big"))
        assert await _cut_off(flood)
    finally:
        for each in slow:
            each.close()
    for _ in range(50):
        if not gate.running.gateway.places.open_count:
            break
        await asyncio.sleep(0.02)
    assert gate.running.gateway.places.open_count == 0


async def _cut_off(sock: socket.socket) -> bool:
    for _ in range(200):
        try:
            sock.sendall(b"x" * 1000)
        except OSError:
            return True
        await asyncio.sleep(0.001)
    return False


async def test_one_person_cannot_take_every_connection(here: World, tmp_path: Path) -> None:
    await here.grant("ada", "sales.*")
    async with gateway_on(here, tmp_path, per_person=2) as gate:
        token = await gate.token("ada")
        first = await gate.connect("ada", token)
        second = await gate.connect("ada", token)
        with pytest.raises(psycopg.OperationalError, match="sessions open there"):
            await gate.connect("ada", token)
        await first.close()
        for _ in range(100):
            try:
                await (await gate.connect("ada", token)).close()
                break
            except psycopg.OperationalError:
                await asyncio.sleep(0.05)
        else:
            raise AssertionError("a place that was given back is not to be had")
        await second.close()


async def test_a_token_that_expires_ends_no_session_and_opens_none(gate: Gate) -> None:
    here = gate.world
    grant_id = await here.grant("ada", "sales.*")
    token = await gate.token("ada")
    async with await gate.connect("ada", token) as connection:
        running = asyncio.create_task(connection.execute("select pg_sleep(0.5)"))
        await _running(here, "pg_sleep")
        async with here.ctx.store.transaction() as tx:
            # Nobody may change when one expires, and none is valid for less than a minute.
            await tx.execute("set local session_replication_role = replica")
            await tx.execute("update access_token set expires_at = clock_timestamp()")
        # What runs ends as it would, and the session goes on until its grant's deadline.
        await running
        await asyncio.sleep(1.2)
        await connection.execute("select 1")
        with pytest.raises(psycopg.OperationalError, match="expired"):
            await gate.connect("ada", token)
        await _deadline_in(here, grant_id, 0.3)
        with pytest.raises(psycopg.OperationalError, match="deadline came"):
            await connection.execute("select pg_sleep(20)")
    assert await _gone(here, 5) < 5

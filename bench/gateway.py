"""The gateway beside a direct connection and pgbouncer: small queries, a big result, idle sessions.

The gateway is a process of its own, as `daypass gateway` runs it, with TLS off for the queries
(pgbouncer's and the direct ones have none) and on for the idle sessions.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from bench.bouncer import running_bouncer
from bench.figures import Figure, median
from bench.place import Place, ask_for
from bench.queries import Way, direct_to, program, run, small_queries
from daypass.operations.request_access import request_access
from tests.people import token_of

_BIG = "select repeat('x', 100) from generate_series(1, 1000000)"


async def measure(place: Place) -> list[Figure]:
    """Measure the gateway; what pgbouncer would do is left out where it is not installed."""
    ada = await place.actor("ada")
    filed = await request_access(place.ctx, ada, ask_for("sales.*", hours=2))
    token = (await token_of(place.ctx, ada)).secret.reveal()
    with tempfile.TemporaryDirectory(prefix="daypass-bench-") as name:
        folder = Path(name)
        figures = await _queries(place, folder, token, f"-c daypass.grant={filed.grant_id}")
        figures += await _idle(place, folder, token)
    return figures


async def _queries(place: Place, folder: Path, token: str, options: str) -> list[Figure]:
    direct = direct_to(place)
    async with (
        _gateway(place, folder, tls="none") as (pid, port),
        running_bouncer(place) as bouncer,
    ):
        through = {
            **direct,
            "PGPORT": str(port),
            "PGUSER": "ada@example.com",
            "PGPASSWORD": token,
            "PGDATABASE": "prod/shop",
            "PGOPTIONS": options,
        }
        ways = [Way("direct", direct), Way("gateway", through)]
        if bouncer is not None:
            ways.append(Way("pgbouncer", {**direct, "PGPORT": str(bouncer)}))
        figures = await small_queries(place, folder, ways, pid)
        times = {way.name: await _big(way, 1 if place.quick else 3) for way in ways}
    times["gateway/direct"] = times["gateway"] / times["direct"]
    aims = {"gateway/direct": 1 / 0.95}
    figures.append(Figure("gateway", "a result of 100 MB", "s", times, 1, aims))
    return figures


async def _idle(place: Place, folder: Path, token: str) -> list[Figure]:
    count = 100 if place.quick else 500
    async with _gateway(place, folder, tls="required") as (pid, port):
        context = ssl.create_default_context(cafile=str(folder / "gateway" / "gateway.crt"))

        async def connect() -> asyncpg.Connection:
            connection = await asyncpg.connect(
                host="127.0.0.1",
                port=port,
                user="ada@example.com",
                password=token,
                database="prod/shop",
                ssl=context,
            )
            await connection.fetch("select count(*) from sales.orders where id = $1", 1)
            return connection

        # What one session brings along that is shared by all is no session's.
        first = [await connect() for _ in range(10)]
        await asyncio.sleep(2)
        before = _resident(pid)
        started = time.monotonic()
        turns = asyncio.Semaphore(8)

        async def in_turn() -> asyncpg.Connection:
            async with turns:
                return await connect()

        opened = await asyncio.gather(*(in_turn() for _ in range(count)))
        opening_s = time.monotonic() - started
        await asyncio.sleep(2)
        each = (_resident(pid) - before) / count / 1000
        for connection in [*opened, *first]:
            connection.terminate()
    return [
        Figure("gateway", "memory of an idle session", "kB", {"each": each}, count, {"each": 60.0}),
        Figure("gateway", "opened in a second, 8 at once", "", {"each": count / opening_s}, count),
    ]


async def _big(way: Way, rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        started = time.monotonic()
        await run(way, program("psql"), "-X", "-q", "-o", "/dev/null", "-A", "-t", "-c", _BIG)
        taken.append(time.monotonic() - started)
    return median(taken)


@contextlib.asynccontextmanager
async def _gateway(place: Place, folder: Path, *, tls: str) -> AsyncIterator[tuple[int, int]]:
    """Run a gateway of its own; yield its process and its port."""
    settings = {
        "STATE_DIR": str(folder),
        "SECRET_KEY": "env:BENCH_KEY",
        "STORE__URL": "env:BENCH_STORE",
        "GATEWAY__PORT": "0",
        "GATEWAY__TLS": tls,
        "GATEWAY__PER_PERSON": "10000",
        # One person measures here: what bounds a person would be what is measured.
        "GATEWAY__STATEMENTS_PER_S": "0",
        "GATEWAY__CONNECTS_PER_MINUTE": "0",
        "GATEWAY__DRAIN_S": "1",
        "LOG_LEVEL": "error",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "daypass.cli", "gateway"),
        env={
            "PATH": os.environ["PATH"],
            "BENCH_KEY": base64.b64encode(place.world.key).decode(),
            "BENCH_STORE": place.world.store_conninfo,
            **{f"DAYPASS_{name}": value for name, value in settings.items()},
        },
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("no output of the gateway")
        line = (await process.stdout.readline()).decode()
        if "takes clients in" not in line:
            raise RuntimeError(f"the gateway does not start: {line}")
        yield process.pid, int(line.rsplit(":", 1)[1])
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


def _resident(pid: int) -> int:
    """Return the memory a process has in use, in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say how much memory a process uses")

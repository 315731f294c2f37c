"""The gateway beside a direct connection and pgbouncer: small queries, a big result, idle sessions.

The gateway is a process of its own, as `daypass gateway` runs it, with TLS off for the queries
(pgbouncer's and the direct ones have none) and on for the idle sessions.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import shutil
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from bench.figures import Figure, median
from bench.place import Place, ask_for
from daypass.embedded import free_port
from daypass.operations.request_access import request_access
from tests.people import token_of

_TPS = re.compile(r"tps = ([0-9.]+)")
_SCRIPT = "\\set id random(1, {customers})\nselect region from sales.customers where id = :id;\n"
_BIG = "select repeat('x', 100) from generate_series(1, 1000000)"
_LEAST = 0.65
_QUERIES = {1: 20_000, 8: 8_000, 32: 2_500}
"""How many each client sends."""


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to the database for pgbench: its environment."""

    name: str
    environment: dict[str, str]


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
    script = folder / "query.sql"
    script.write_text(_SCRIPT.format(customers=place.customers))
    share, rounds = (0.2, 1) if place.quick else (1.0, 5)
    found: dict[tuple[str, int, str], list[float]] = {}
    figures = []
    async with _gateway(place, folder, tls="none") as (_, port), _bouncer(place) as bouncer:
        ways = [
            _Way("direct", _direct(place)),
            _Way(
                "gateway",
                {
                    "PGHOST": "127.0.0.1",
                    "PGPORT": str(port),
                    "PGUSER": "ada@example.com",
                    "PGPASSWORD": token,
                    "PGDATABASE": "prod/shop",
                    "PGOPTIONS": options,
                    "PGSSLMODE": "disable",
                },
            ),
        ]
        if bouncer is not None:
            ways.append(_Way("pgbouncer", {**_direct(place), "PGPORT": str(bouncer)}))
        # Interleaved: what else the machine does meanwhile hits all of them.
        for _ in range(rounds):
            for protocol in ("simple", "prepared"):
                for clients in _QUERIES:
                    for way in ways:
                        tps = await _pgbench(way, script, protocol, clients, share)
                        found.setdefault((protocol, clients, way.name), []).append(tps)
        big = [(way, await _big(way, 1 if place.quick else 3)) for way in ways]
    for protocol in ("simple", "prepared"):
        for clients in _QUERIES:
            tps_of = {way.name: median(found[protocol, clients, way.name]) for way in ways}
            values = dict(tps_of)
            aims = {}
            if "pgbouncer" in tps_of:
                # As an upper bound: how many times as long as pgbouncer.
                values["pgbouncer/gateway"] = tps_of["pgbouncer"] / tps_of["gateway"]
                aims["pgbouncer/gateway"] = 1 / _LEAST
            figures.append(
                Figure(
                    "gateway", f"{protocol} queries, {clients} clients", "tps", values, rounds, aims
                )
            )
    times = {way.name: seconds for way, seconds in big}
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


def _direct(place: Place) -> dict[str, str]:
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(place.company.port),
        "PGUSER": "daypass_admin",
        "PGPASSWORD": place.company.admin_password,
        "PGDATABASE": "shop",
        "PGSSLMODE": "disable",
    }


async def _pgbench(way: _Way, script: Path, protocol: str, clients: int, share: float) -> float:
    program = shutil.which("pgbench")
    if program is None:
        raise SystemExit("pgbench must be installed: apt install postgresql-contrib")
    out = await _run(
        way.environment,
        program,
        # So many queries, not so long a time: connecting alone could use that up.
        *("-n", "-M", protocol, "-c", str(clients), "-j", "1"),
        *("-t", str(int(_QUERIES[clients] * share))),
        *("-f", str(script)),
    )
    match = _TPS.search(out)
    if match is None:
        raise RuntimeError(f"pgbench says nothing of its speed: {out}")
    return float(match[1])


async def _big(way: _Way, rounds: int) -> float:
    program = shutil.which("psql") or "psql"
    taken = []
    for _ in range(rounds):
        started = time.monotonic()
        await _run(way.environment, program, "-X", "-q", "-o", "/dev/null", "-A", "-t", "-c", _BIG)
        taken.append(time.monotonic() - started)
    return median(taken)


async def _run(environment: dict[str, str], *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *words,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{words[0]} failed: {err.decode()[-500:]}")
    return out.decode()


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


@contextlib.asynccontextmanager
async def _bouncer(place: Place) -> AsyncIterator[int | None]:
    """Run pgbouncer with session pooling, where it is installed; yield its port."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        yield None
        return
    port = free_port()
    direct = _direct(place)
    home = Path(tempfile.mkdtemp(prefix="daypass-bench-bouncer-"))
    (home / "users").write_text(f'"{direct["PGUSER"]}" "{direct["PGPASSWORD"]}"\n')
    (home / "ini").write_text(
        f"[databases]\nshop = host=127.0.0.1 port={place.company.port} dbname=shop\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {home / 'users'}\npool_mode = session\n"
        "default_pool_size = 64\nmax_client_conn = 200\n"
    )
    command: Sequence[str] = (program, str(home / "ini"))
    if os.getuid() == 0:
        # It refuses to run as root.
        for each in (home, home / "users", home / "ini"):
            os.chown(each, 65534, 65534)
        command = (program, "-u", "nobody", str(home / "ini"))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await asyncio.sleep(1)
        if process.returncode is not None:
            raise RuntimeError("pgbouncer does not start")
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        shutil.rmtree(home)


def _resident(pid: int) -> int:
    """Return the memory a process has in use, in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say how much memory a process uses")

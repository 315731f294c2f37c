"""Small queries with pgbench, through several ways to one database, interleaved.

`simple` sends each text with another number in it; `prepared` prepares one and binds the numbers.
Nothing of it is encrypted, on any way.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, median
from bench.place import Place
from bench.processor import processor_s, server_s

_TPS = re.compile(r"tps = ([0-9.]+)")
_PROGRESS = re.compile(r"progress: ([0-9.]+) s, ([0-9.]+) tps")
_SCRIPT = "\\set id random(1, {customers})\nselect region from sales.customers where id = :id;\n"
_PROTOCOLS = ("simple", "prepared")
_CLIENTS = (1, 8, 32)
_ROUND_S = 1.0
"""About so long each way has in each round."""
_LEAST = 0.65


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the database for pgbench and psql: its environment."""

    name: str
    environment: dict[str, str]


def direct_to(place: Place) -> dict[str, str]:
    """Return the environment in which programs of PostgreSQL reach the customer's server."""
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(place.company.port),
        "PGUSER": "daypass_admin",
        "PGPASSWORD": place.company.admin_password,
        "PGDATABASE": "shop",
        "PGSSLMODE": "disable",
    }


async def small_queries(
    place: Place, folder: Path, ways: Sequence[Way], gateway_pid: int
) -> list[Figure]:
    """Measure what each way does in a second, and what a statement costs through the gateway."""
    script = folder / "query.sql"
    script.write_text(_SCRIPT.format(customers=place.customers))
    rounds = 1 if place.quick else 5
    figures = []
    for protocol in _PROTOCOLS:
        for clients in _CLIENTS:
            tps = await _rounds(ways, script, protocol, clients, rounds)
            values = {name: median(found) for name, found in tps.items()}
            aims = {}
            if "pgbouncer" in values:
                # As an upper bound: how many times as long as pgbouncer.
                values["pgbouncer/gateway"] = values["pgbouncer"] / values["gateway"]
                aims["pgbouncer/gateway"] = 1 / _LEAST
            what = f"{protocol} queries, {clients} clients"
            figures.append(Figure("gateway", what, "tps", values, rounds, aims))
    gateway = next(each for each in ways if each.name == "gateway")
    costs = [await _cost(place, gateway, script, each, gateway_pid) for each in _PROTOCOLS]
    return [*figures, *costs]


async def _rounds(
    ways: Sequence[Way], script: Path, protocol: str, clients: int, rounds: int
) -> dict[str, list[float]]:
    # So many queries, not so long a time: connecting alone could use that up.
    counts = {}
    for way in ways:
        tried = await _pgbench(way, script, protocol, clients, 50)
        counts[way.name] = max(50, int(tried * _ROUND_S / clients))
    found: dict[str, list[float]] = {way.name: [] for way in ways}
    # Interleaved: what else the machine does meanwhile hits all of them.
    for _ in range(rounds):
        for way in ways:
            found[way.name].append(await _pgbench(way, script, protocol, clients, counts[way.name]))
    return found


async def _pgbench(way: Way, script: Path, protocol: str, clients: int, count: int) -> float:
    words = ("-n", "-M", protocol, "-c", str(clients), "-j", "1", "-t", str(count))
    out = await run(way, program("pgbench"), *words, "-f", str(script))
    match = _TPS.search(out)
    if match is None:
        raise RuntimeError(f"pgbench says nothing of its speed: {out}")
    return float(match[1])


async def _cost(place: Place, way: Way, script: Path, protocol: str, gateway_pid: int) -> Figure:
    """Measure processor time between two moments of a run: connecting is no part of it."""
    words = ("-n", "-M", protocol, "-c", "8", "-j", "1", "-T", "3" if place.quick else "6")
    process = await asyncio.create_subprocess_exec(
        *(program("pgbench"), *words, "-P", "1", "-f", str(script)),
        env=_whole(way.environment),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    seen: list[dict[str, float]] = []
    count = 0.0
    if process.stderr is None:
        raise RuntimeError("no output of pgbench")
    before_s = 0.0
    async for line in process.stderr:
        match = _PROGRESS.search(line.decode())
        if match is None:
            continue
        at_s, tps = float(match[1]), float(match[2])
        count += tps * (at_s - before_s) if seen else 0
        before_s = at_s
        seen.append(
            {
                "gateway": processor_s(gateway_pid),
                "store": server_s(place.store),
                "target": server_s(place.company.cluster),
            }
        )
    if await process.wait() or len(seen) < 2 or not count:
        raise RuntimeError(f"pgbench failed: {way.name}, {protocol}")
    values = {name: (seen[-1][name] - first) / count * 1e6 for name, first in seen[0].items()}
    return Figure(
        "gateway", f"   processor time of a query, {protocol}, 8 clients", "µs", values, int(count)
    )


def program(name: str) -> str:
    """Return where a program of PostgreSQL is."""
    found = shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} must be installed: apt install postgresql-contrib")
    return found


async def run(way: Way, *words: str) -> str:
    """Run a program on one of the ways and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *words,
        env=_whole(way.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{words[0]} failed: {err.decode()[-500:]}")
    return out.decode()


def _whole(environment: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment}

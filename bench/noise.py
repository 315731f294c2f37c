"""How quiet the machine is: a fixed loop of the processor's, and the store's shortest answer."""

from __future__ import annotations

import asyncio
import time

from bench.figures import Figure, quantile
from bench.place import Place

_LOOP = 100_000
_REPEATS = 60


async def probe(place: Place, when: str) -> list[Figure]:
    """Repeat both probes; what they vary by, the other figures vary by as well."""
    loops: list[float] = []
    answers: list[float] = []
    commits: list[float] = []
    async with place.ctx.store.connection() as connection:
        for _ in range(_REPEATS):
            started = time.perf_counter()
            total = 0
            for number in range(_LOOP):
                total += number
            loops.append(time.perf_counter() - started)
            started = time.perf_counter()
            await connection.execute("select 1")
            answers.append(time.perf_counter() - started)
            started = time.perf_counter()
            # A message is written to the log and waited for, as every commit's is.
            await connection.execute("select pg_logical_emit_message(true, 'bench', 'x')")
            commits.append(time.perf_counter() - started)
            await asyncio.sleep(0)
    return [
        _figure(f"{_LOOP:,} additions in Python, {when}", loops),
        _figure(f"`select 1` of the store, {when}", answers),
        _figure(f"one commit of the store, {when}", commits),
    ]


def _figure(what: str, seconds: list[float]) -> Figure:
    ms = [each * 1e3 for each in seconds]
    values = {"p50": quantile(ms, 0.5), "p10": quantile(ms, 0.1), "p90": quantile(ms, 0.9)}
    return Figure("0", what, "ms", values, len(ms))

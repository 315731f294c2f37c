"""Every disaster at every phase of the protocol: what must hold afterwards, holds."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.faults.phases import Recorded, record
from tests.faults.stage import Servers, Stage, running_servers, staged
from tests.faults.units import ENDS_ALL, Disaster, Unit, run, units

_FAST: Final = (
    Disaster.CUT,
    Disaster.BLACKHOLE,
    Disaster.CLIENT_KILLED,
    Disaster.STORE_KILLED,
    Disaster.DEADLINE,
    Disaster.TARGET_KILLED,
)
_SLOW_S: Final = 10.0
_FAST_EACH: Final = 12
"""What `make test` tries, and at how many phases from all over the protocol."""


@pytest.fixture(scope="module")
def both() -> Iterator[Servers]:
    """Start the two servers."""
    with running_servers() as found:
        yield found


@asynccontextmanager
async def _singing(stage: Stage) -> AsyncIterator[None]:
    """Have somebody else ask something again and again, whatever happens to others."""
    grant_id = await stage.grant()
    where = (
        f"host=127.0.0.1 port={stage.port} user=ada@example.com dbname=prod/shop"
        f" password={stage.token} options='-c daypass.grant={grant_id}' sslmode=require"
    )
    connection = await psycopg.AsyncConnection.connect(where, autocommit=True)
    task = asyncio.create_task(_sing(connection), name="canary")
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        await connection.close()
        if not isinstance(ended, asyncio.CancelledError):
            raise AssertionError("somebody else's session broke") from ended


async def _sing(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    while True:
        async with asyncio.timeout(_SLOW_S):
            await connection.execute("select count(*) from faults.marks")
        await asyncio.sleep(0.1)


async def _try(
    stage: Stage, recorded: Recorded, chosen: list[Unit], until: float, counts: Counter[str]
) -> list[str]:
    problems: list[str] = []
    for ends_all, together in groupby(chosen, lambda each: each.disaster in ENDS_ALL):
        async with nullcontext() if ends_all else _singing(stage):
            for unit in together:
                if time.monotonic() > until:
                    return problems
                problems += await _tried(stage, recorded, unit, int(not ends_all), counts)
    return problems


async def _tried(
    stage: Stage, recorded: Recorded, unit: Unit, others: int, counts: Counter[str]
) -> list[str]:
    began = time.monotonic()
    found = await run(stage, recorded, unit, others)
    counts[unit.disaster.value] += len(unit.phases)
    print(  # noqa: T201 - for whoever reads the run
        f"{unit.disaster.value}: {len(unit.phases)} phases,"
        f" {time.monotonic() - began:.1f} s, {len(found)} problems"
    )
    return found


@pytest.mark.kill
@pytest.mark.timeout(400)
async def test_a_part_of_all(both: Servers, tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    async with staged(both, tmp_path) as stage:
        recorded = await record(stage)
        assert len(recorded.phases) > 200
        phases = [each for each in recorded.phases if not each.signing_in]
        step = len(phases) // _FAST_EACH
        chosen = [
            Unit(disaster, tuple(phases[number * step // len(_FAST) :: step]))
            for number, disaster in enumerate(_FAST)
        ]
        problems = await _try(stage, recorded, chosen, time.monotonic() + 60, counts)
    assert not problems, "\n".join(problems)


@pytest.mark.long
@pytest.mark.kill
@pytest.mark.timeout(3600)
async def test_all_of_it(both: Servers, tmp_path: Path, long_seconds: float) -> None:
    seed = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    counts: Counter[str] = Counter()
    async with staged(both, tmp_path) as stage:
        recorded = await record(stage)
        chosen = units(recorded, random.Random(seed))  # noqa: S311 - it only shuffles
        wanted = os.environ.get("FAULTS_ONLY", "").split(",")
        chosen = [each for each in chosen if wanted == [""] or each.disaster.value in wanted]
        whole = sum(len(each.phases) for each in chosen)
        problems = await _try(stage, recorded, chosen, time.monotonic() + long_seconds, counts)
    print(f"FAULTS_SEED={seed}: {counts.total()} of {whole}: {dict(counts)}")  # noqa: T201
    assert not problems, f"FAULTS_SEED={seed}\n" + "\n".join(problems)

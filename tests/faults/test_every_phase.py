"""Every disaster at every phase of the protocol: what must hold afterwards, holds."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.faults.phases import Recorded, record
from tests.faults.stage import Servers, Stage, running_servers, staged
from tests.faults.units import Disaster, Unit, run, units

_FAST: Final = (
    Disaster.CUT,
    Disaster.BLACKHOLE,
    Disaster.CLIENT_KILLED,
    Disaster.STORE_KILLED,
    Disaster.DEADLINE,
    Disaster.TARGET_KILLED,
)
_FAST_EACH: Final = 12
"""What `make test` tries, and at how many phases from all over the protocol."""


@pytest.fixture(scope="module")
def both() -> Iterator[Servers]:
    """Start the two servers."""
    with running_servers() as found:
        yield found


class _Canary:
    """Somebody else's session, which goes on whatever happens to others."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.slowest_s = 0.0
        self.done = 0

    @asynccontextmanager
    async def singing(self) -> AsyncIterator[None]:
        """Ask something again and again, and connect anew each time around."""
        grant_id = await self._stage.grant()
        where = (
            f"host=127.0.0.1 port={self._stage.port} user=ada@example.com dbname=prod/shop"
            f" password={self._stage.token} options='-c daypass.grant={grant_id}' sslmode=require"
        )
        connection = await psycopg.AsyncConnection.connect(where, autocommit=True)
        task = asyncio.create_task(self._sing(connection), name="canary")
        try:
            yield
        finally:
            task.cancel()
            with_error = (await asyncio.gather(task, return_exceptions=True))[0]
            await connection.close()
            if not isinstance(with_error, asyncio.CancelledError):
                raise AssertionError("somebody else's session broke") from with_error

    async def _sing(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        while True:
            began = time.monotonic()
            await connection.execute("select count(*) from faults.marks")
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.done += 1
            await asyncio.sleep(0.1)


async def _try(
    stage: Stage, recorded: Recorded, chosen: list[Unit], until: float, counts: Counter[str]
) -> list[str]:
    problems: list[str] = []
    for unit in chosen:
        if time.monotonic() > until:
            break
        began = time.monotonic()
        if unit.disaster in (Disaster.BACKEND_KILLED, Disaster.TARGET_KILLED):
            found = await run(stage, recorded, unit, 0)
        else:
            canary = _Canary(stage)
            async with canary.singing():
                found = await run(stage, recorded, unit, 1)
        counts[unit.disaster.value] += len(unit.phases)
        print(  # noqa: T201 - for whoever reads the run
            f"{unit.disaster.value}: {len(unit.phases)} phases,"
            f" {time.monotonic() - began:.1f} s, {len(found)} problems"
        )
        for each in found:
            print("   ", each)  # noqa: T201
        problems += found
    return problems


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

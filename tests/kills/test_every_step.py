"""SIGKILL at every step of a grant's life: the next process ends in the right state."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daypass.embedded import Cluster
from tests import servers as pg
from tests.conftest import lacking
from tests.kills.harness import Place, check_and_finish, daypass_process, restart, run_child
from tests.world import CompanyServer, company_server, world

# Of every so many steps, `make test` dies at one; `make test-long` at each.
STRIDE = 7


@pytest.fixture(scope="session")
def company(pg_major: int) -> Iterator[CompanyServer]:
    """Start the sample company's server."""
    binaries = pg.binaries_of(pg_major)
    if binaries is None:
        lacking(f"PostgreSQL {pg_major} is not installed")
    with company_server(binaries) as found:
        yield found


def _try(store_cluster: Cluster, company: CompanyServer, journal: Path, die_at: int | None) -> int:
    """Live and perhaps die, restart, check; return how many steps there were."""

    # What the first grant on a server makes is made anew each time, and died in as well.
    company.bare()

    async def prepared() -> Place:
        async with world(store_cluster, company, keep_store=True) as here:
            return Place(here.store_conninfo, here.key, here.instance_id, here.shop)

    async def recovered(place: Place) -> str:
        async with daypass_process(place) as ctx:
            await restart(ctx, place)
            return await check_and_finish(ctx, place)

    place = asyncio.run(prepared())
    journal.write_text("")
    status = run_child(place, journal, die_at)
    steps = journal.read_text().splitlines()
    if die_at is None:
        assert status == 0, steps[-3:]
    elif status == 0:
        # What waits for others takes a step more or less: this life was over before its death.
        assert len(steps) <= die_at, steps[-3:]
    else:
        assert os.WIFSIGNALED(status), (die_at, steps[-3:])
        assert os.WTERMSIG(status) == signal.SIGKILL
    try:
        ended = asyncio.run(recovered(place))
    except BaseException as error:
        error.add_note(f"killed at step {die_at}: {steps[-1:]}")
        raise
    left = company.ours()
    assert not left, f"killed at step {die_at} ({steps[-1]}), a grant was {ended}: left {left}"
    pg.drop_database(store_cluster, place.store_conninfo)
    return len(steps)


@pytest.mark.kill
@pytest.mark.timeout(600)
def test_killed_now_and_then(
    store_cluster: Cluster, company: CompanyServer, tmp_path: Path, pg_major: int
) -> None:
    steps = _try(store_cluster, company, tmp_path / "steps", None)
    assert steps > 40
    # Each major version begins elsewhere, so that together they cover more.
    for die_at in range(pg_major % STRIDE, steps, STRIDE):
        _try(store_cluster, company, tmp_path / "steps", die_at)


@pytest.mark.kill
@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_every_step(
    store_cluster: Cluster, company: CompanyServer, tmp_path: Path, long_seconds: float
) -> None:
    """Die at every step, in an order that spreads those a short run gets to over the whole life."""
    until = time.monotonic() + long_seconds
    steps = _try(store_cluster, company, tmp_path / "steps", None)
    for die_at in (at for first in range(STRIDE) for at in range(first, steps, STRIDE)):
        if time.monotonic() > until:
            break
        _try(store_cluster, company, tmp_path / "steps", die_at)

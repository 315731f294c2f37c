"""What runs beside the API ends when it is told to, whatever it is doing at that moment."""

import asyncio

import pytest

from daypass.jobs.worker import run_jobs
from tests.world import World

pytestmark = [pytest.mark.one_major, pytest.mark.timeout(120)]

_ENDS_IN_S = 30.0


async def test_jobs_end_whenever_they_are_cancelled(here: World) -> None:
    for number in range(25):
        jobs = asyncio.create_task(
            run_jobs(here.ctx, {}, concurrency=2, reconcile_every_s=5, sync_every_s=600)
        )
        # Most are still starting then, with statements under way on every connection.
        await asyncio.sleep(number * 0.012)
        jobs.cancel()
        done, _ = await asyncio.wait({jobs}, timeout=_ENDS_IN_S)
        assert done, f"it went on after the cancellation number {number}"
        assert jobs.cancelled()

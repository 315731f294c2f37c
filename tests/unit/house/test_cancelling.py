"""Cancellation reaches what loses it once."""

import asyncio

import pytest

from daypass.cancelling import cancellable, heed_cancellation


async def _deaf(heard: list[str], times: int) -> str:
    """Go on after so many cancellations, as a wait on Python 3.11 may."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            heard.append("told")
            if len(heard) > times:
                raise


async def test_what_is_deaf_is_told_again() -> None:
    heard: list[str] = []
    task = asyncio.create_task(cancellable(_deaf(heard, 3), again_s=0.01))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(heard) == 4


async def test_being_cancelled_twice_leaves_nothing_running() -> None:
    heard: list[str] = []
    task = asyncio.create_task(cancellable(_deaf(heard, 3), again_s=0.05))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_timeout_is_kept_however_deaf_it_is() -> None:
    heard: list[str] = []
    with pytest.raises(TimeoutError):
        await cancellable(_deaf(heard, 2), timeout_s=0.01, again_s=0.01)
    assert len(heard) == 3


async def test_results_and_errors_come_through() -> None:
    async def answer() -> int:
        return 42

    async def mistake() -> int:
        raise ValueError("wrong")

    assert await cancellable(answer()) == 42
    with pytest.raises(ValueError, match="wrong"):
        await cancellable(mistake())


async def test_a_cancellation_nobody_noticed_is_heeded() -> None:
    async def work() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            heed_cancellation()
        return "went on"

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

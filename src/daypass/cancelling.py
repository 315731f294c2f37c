"""Cancellation that arrives.

On Python 3.11 `asyncio.wait_for`, by which the database driver waits, returns its result and
forgets a cancellation that comes in the same turn of the loop (python/cpython#86296): a loop that
works on a database may go on after `Task.cancel`, and a timeout may do nothing. Here it is said
again until it is heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

AGAIN_S = 0.5


async def cancellable(
    work: Coroutine[Any, Any, _T], *, timeout_s: float | None = None, again_s: float = AGAIN_S
) -> _T:
    """Run `work` in a task of its own, which ends soon after this one is cancelled.

    Raises `TimeoutError` when it is not done in `timeout_s`; it has ended by then as well. Until it
    ends it is told again each `again_s`: give it the time it needs to wind up.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    except asyncio.CancelledError:
        await _end(task, again_s)
        raise
    if not done:
        await _end(task, again_s)
        raise TimeoutError
    return task.result()


def heed_cancellation() -> None:
    """End the current task if it was cancelled, though nobody noticed."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _end(task: asyncio.Task[Any], again_s: float) -> None:
    """Cancel until it has ended, whoever cancels us meanwhile; its own end is of no interest."""
    while not task.done():
        task.cancel()
        try:
            await asyncio.wait({task}, timeout=again_s)
        except asyncio.CancelledError:
            # Told twice: it is being ended already.
            continue
    if not task.cancelled():
        task.exception()

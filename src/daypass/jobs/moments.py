"""Watch the clock and the hints of other processes: what is due is done at once.

Deadlines do not depend on the job queue: this loop ends and closes grants by itself, and goes on
for ever. A hint that is lost costs a poll's wait at most.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from daypass.domain.errors import Error
from daypass.jobs.closing import Closer
from daypass.operations.advance_time import advance_time
from daypass.operations.context import Context
from daypass.store import grants

_log = structlog.get_logger(__name__)

_POLL_S = 1.0


class Waker:
    """Wake a loop from elsewhere in the process; waking it twice wakes it once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Have the loop run now."""
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        """Wait to be woken, or for the time to pass."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, timeout_s)):
                await self._event.wait()
        self._event.clear()


async def repeat(
    name: str, waker: Waker, every_s: float, work: Callable[[], Awaitable[float | None]]
) -> None:
    """Run `work` whenever woken, and at least so often; failures are logged and tried again.

    `work` may return the seconds until it wants to run next. A loop ends only by being cancelled:
    a mistake in one of them must not stop the others, which keep deadlines.
    """
    pause_s: float = 0
    while True:
        await waker.wait(pause_s)
        try:
            wanted_s = await work()
            pause_s = every_s if wanted_s is None else max(0.0, min(every_s, wanted_s))
        except (Error, psycopg.Error, OSError) as error:
            _log.warning("loop_failed", loop=name, error=str(error))
            pause_s = every_s
        except Exception:  # noqa: BLE001 - logged; the loop goes on
            _log.exception("loop_broken", loop=name)
            pause_s = every_s


async def watch_moments(ctx: Context, waker: Waker) -> None:
    """Start, end, expire and close what is due, for ever."""
    async with asyncio.TaskGroup() as group:
        closer = Closer(ctx, group)

        async def work() -> float | None:
            try:
                await advance_time(ctx)
            finally:
                # What cannot be ended must not hold up what has ended.
                async with ctx.store.connection() as connection:
                    waiting = await grants.list_to_close(connection)
                    next_s = await grants.next_moment(connection)
                closer.begin(waiting)
            return next_s

        await repeat("moments", waker, _POLL_S, work)

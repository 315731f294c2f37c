"""Watch the clock and the hints of other processes: what is due is done at once.

Deadlines do not depend on the job queue: this loop ends and closes grants by itself. A hint that is
lost costs a poll's wait at most.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import structlog

from daypass.domain.errors import Error
from daypass.domain.ids import GrantId
from daypass.operations.advance_time import advance_time
from daypass.operations.close_grant import close_grant
from daypass.operations.context import Context
from daypass.store import grants
from daypass.store.processes import CHANNEL, Hint

_log = structlog.get_logger(__name__)

_POLL_S = 1.0
_CLOSING_AT_ONCE = 16


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

    `work` may return the seconds until it wants to run next.
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


async def watch_moments(ctx: Context, waker: Waker) -> None:
    """Start, end, expire and close what is due, for ever."""
    gate = asyncio.Semaphore(_CLOSING_AT_ONCE)
    closing: set[GrantId] = set()

    async def close(grant_id: GrantId) -> None:
        try:
            async with gate:
                await close_grant(ctx, grant_id)
        except (Error, psycopg.Error, OSError) as error:
            # The queue's task for it is retried for ever, and shows in red until it succeeds.
            _log.warning("closing_failed", grant=grant_id, error=str(error))
        finally:
            closing.discard(grant_id)

    async with asyncio.TaskGroup() as group:

        async def work() -> float | None:
            await advance_time(ctx)
            async with ctx.store.connection() as connection:
                waiting = await grants.list_revoking(connection)
                next_s = await grants.next_moment(connection)
            for grant_id in waiting:
                if grant_id not in closing:
                    closing.add(grant_id)
                    group.create_task(close(grant_id), name=f"close-grant-{grant_id}")
            return next_s

        await repeat("moments", waker, _POLL_S, work)


async def listen(ctx: Context, heard: Callable[[Hint, int], None]) -> None:
    """Pass on the hints of every process, for ever; a lost connection is made again."""
    while True:
        try:
            async with _listening(ctx) as connection:
                async for notice in connection.notifies():
                    word, _, number = notice.payload.partition(" ")
                    with contextlib.suppress(ValueError):
                        heard(Hint(word), int(number or 0))
        except (psycopg.Error, OSError) as error:
            _log.warning("listening_failed", error=str(error))
        await asyncio.sleep(_POLL_S)


@contextlib.asynccontextmanager
async def _listening(ctx: Context) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = await psycopg.AsyncConnection.connect(
        ctx.store.conninfo.reveal(), autocommit=True, application_name="daypass listen"
    )
    async with connection:
        await connection.execute(f"listen {CHANNEL}")
        yield connection

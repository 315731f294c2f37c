"""Keep a gateway's journal shipped, and take up what other processes of its machine left behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import structlog

from daypass.cancelling import cancellable
from daypass.domain.errors import Error, Unavailable
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.journal import Journal
from daypass.operations.context import Context
from daypass.operations.ship_journal import close_journal, ship_journal
from daypass.store.database import now

_log = structlog.get_logger(__name__)
_EVERY_S = 0.2
_MOST_WAIT_S = 5.0
_LEFT_BEHIND_EVERY_S = 15.0
_CLOCK_EVERY_S = 10.0
_TROUBLE = (Error, psycopg.Error, OSError, TimeoutError)


async def set_clock(ctx: Context, clock: StoreClock) -> None:
    """Read the store's clock. Raises `Unavailable` when the store does not answer."""
    async with ctx.store.connection() as connection:
        asked = time.monotonic_ns()
        moment = await now(connection)
        clock.set(moment, asked, time.monotonic_ns())


async def keep_shipping(ctx: Context, journal: Journal, folders: JournalFolders) -> None:
    """Run until cancelled; while the store is away the journal grows up to its limit."""
    async with asyncio.TaskGroup() as group:
        group.create_task(cancellable(_ship(ctx, journal)), name="ship-journal")
        group.create_task(cancellable(_set_clock(ctx, journal.clock)), name="store-clock")
        group.create_task(cancellable(_take_up(ctx, folders)), name="journals-left-behind")


async def finish(ctx: Context, journal: Journal) -> bool:
    """Ship the rest of a journal nobody writes to any more, and remove it; say whether that worked.

    Else it stays for the next process of this machine.
    """
    try:
        if not journal.problem:
            journal.end_open("the gateway stopped")
        await journal.synced(journal.sequence)
        await ship_journal(ctx, journal)
        await close_journal(ctx, journal)
    except _TROUBLE as error:
        _log.warning("journal_left_behind", journal=str(journal.id), error=str(error))
        await asyncio.to_thread(journal.close)
        return False
    except BaseException:
        await asyncio.to_thread(journal.close)
        raise
    await asyncio.to_thread(journal.remove)
    return True


async def take_up(ctx: Context, folders: JournalFolders) -> int:
    """Ship every journal whose process is gone, and remove it; return how many there were."""
    count = 0
    found = folders.left_behind()
    while (journal := await asyncio.to_thread(_next, found)) is not None:
        if isinstance(journal, Unavailable):
            _log.error("journal_not_recovered", error=journal.message, code=journal.detail_code)
        elif await finish(ctx, journal):
            count += 1
            _log.info("journal_taken_up", journal=str(journal.id), last=journal.sequence)
    return count


def _next(found: Iterator[Journal | Unavailable]) -> Journal | Unavailable | None:
    return next(found, None)


async def _ship(ctx: Context, journal: Journal) -> None:
    wait_s = _EVERY_S
    while True:
        try:
            await ship_journal(ctx, journal)
            wait_s = _EVERY_S
        except _TROUBLE as error:
            wait_s = min(2 * wait_s, _MOST_WAIT_S)
            _log.warning("journal_not_shipped", journal=str(journal.id), error=str(error))
        if journal.is_full:
            # Shipping has made room, or somebody has on the disk.
            with suppress(OSError):
                journal.recover()
        await asyncio.sleep(wait_s)


async def _set_clock(ctx: Context, clock: StoreClock) -> None:
    while True:
        await asyncio.sleep(_CLOCK_EVERY_S)
        with suppress(*_TROUBLE):
            await set_clock(ctx, clock)


async def _take_up(ctx: Context, folders: JournalFolders) -> None:
    while True:
        try:
            await take_up(ctx, folders)
        except _TROUBLE as error:
            _log.warning("journals_not_taken_up", error=str(error))
        await asyncio.sleep(_LEFT_BEHIND_EVERY_S)

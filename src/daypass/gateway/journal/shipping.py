"""Keep a gateway's journal shipped, and take up what other processes of its machine left behind.

Both are done by a process of its own; the gateway's own ships what is left when it stops.
"""

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
from daypass.gateway.journal.folders import JournalFolders, end_open
from daypass.gateway.journal.journal import Journal
from daypass.operations.ship_journal import (
    ShippedJournal,
    ShippingContext,
    close_journal,
    ship_journal,
)
from daypass.store.database import now

_log = structlog.get_logger(__name__)
_EVERY_S = 0.2
_MOST_WAIT_S = 5.0
_LEFT_BEHIND_EVERY_S = 15.0
_CLOCK_EVERY_S = 10.0
_TROUBLE = (Error, psycopg.Error, OSError, TimeoutError)


async def set_clock(ctx: ShippingContext, clock: StoreClock) -> None:
    """Read the store's clock. Raises `Unavailable` when the store does not answer."""
    async with ctx.store.connection() as connection:
        asked = time.monotonic_ns()
        moment = await now(connection)
        clock.set(moment, asked, time.monotonic_ns())


async def ship_for_ever(
    ctx: ShippingContext, journal: ShippedJournal, folders: JournalFolders, clock: StoreClock
) -> None:
    """Ship a journal, and those that were left behind, until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(cancellable(_ship(ctx, journal)), name="ship-journal")
        group.create_task(cancellable(keep_clock(ctx, clock)), name="store-clock")
        group.create_task(cancellable(_take_up(ctx, folders)), name="journals-left-behind")


async def finish(ctx: ShippingContext, journal: Journal) -> bool:
    """Ship the rest of a journal nobody writes to any more, and remove it; say whether that worked.

    Else it stays for the next process of this machine.
    """
    try:
        if not journal.problem:
            end_open(journal, "the gateway stopped")
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


async def take_up(ctx: ShippingContext, folders: JournalFolders) -> int:
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


async def _ship(ctx: ShippingContext, journal: ShippedJournal) -> None:
    wait_s = _EVERY_S
    while True:
        try:
            await ship_journal(ctx, journal)
            wait_s = _EVERY_S
        except _TROUBLE as error:
            wait_s = min(2 * wait_s, _MOST_WAIT_S)
            _log.warning("journal_not_shipped", journal=str(journal.id), error=str(error))
        await asyncio.sleep(wait_s)


async def keep_clock(ctx: ShippingContext, clock: StoreClock) -> None:
    """Read the store's clock from time to time, until cancelled."""
    while True:
        await asyncio.sleep(_CLOCK_EVERY_S)
        with suppress(*_TROUBLE):
            await set_clock(ctx, clock)


async def _take_up(ctx: ShippingContext, folders: JournalFolders) -> None:
    while True:
        try:
            await take_up(ctx, folders)
        except _TROUBLE as error:
            _log.warning("journals_not_taken_up", error=str(error))
        await asyncio.sleep(_LEFT_BEHIND_EVERY_S)

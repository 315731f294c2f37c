"""Keep a gateway's journal going: its clock, its shipping, and its recovery when it stood still."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from daypass.cancelling import cancellable
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.shipping import keep_clock
from daypass.gateway.journal.shipping_process import ship_apart
from daypass.operations.ship_journal import ShippingContext

_log = structlog.get_logger(__name__)
_LOOK_EVERY_S: Final = 0.5


async def keep_shipping(ctx: ShippingContext, journal: Journal, folders: JournalFolders) -> None:
    """Run until cancelled; while the store is away the journal grows up to its limit."""
    async with asyncio.TaskGroup() as group:
        group.create_task(ship_apart(ctx, journal, folders), name="ship-apart")
        group.create_task(cancellable(keep_clock(ctx, journal.clock)), name="store-clock")
        group.create_task(_keep_ready(journal), name="keep-journal-ready")


async def _keep_ready(journal: Journal) -> None:
    """Have a journal that takes nothing more go on, once shipping or somebody has made room."""
    said = ""
    while True:
        journal.look_at_age()
        problem = journal.problem
        if problem:
            with suppress(OSError):
                journal.recover()
        state = ("broken" if not journal.is_full else "full") if journal.problem else ""
        if state != said:
            said = state
            if state:
                _log.error(f"journal_{state}", journal=str(journal.id), why=journal.problem)
            else:
                _log.info("journal_goes_on", journal=str(journal.id))
        await asyncio.sleep(_LOOK_EVERY_S)

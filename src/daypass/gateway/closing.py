"""Have the accounts of sessions that are over closed, however long the store is away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import psycopg
import structlog

from daypass.cancelling import cancellable, heed_cancellation
from daypass.domain.errors import Error
from daypass.domain.permit import SessionPermit
from daypass.operations.close_strays import close_strays
from daypass.operations.context import Context
from daypass.operations.open_line import close_line

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 8
_LAST_TRIES: Final = 5
"""So often it is tried while the process ends; then others find that it is silent."""
_TRY_S: Final = 15.0
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_STRAYS_EVERY_S: Final = 15.0
STRAY_S: Final = 90.0
"""Longer than it takes to open a session, whatever is slow."""
_TROUBLE: Final = (Error, psycopg.Error, OSError, TimeoutError)


class Closing:
    """What one process owes: every session it was permitted is closed, let in or not."""

    def __init__(self, ctx: Context, spawn: Callable[[Awaitable[None], str], None]) -> None:
        self._ctx = ctx
        self._spawn = spawn
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._stopping = False

    def close(self, permit: SessionPermit, reason: str) -> None:
        """Have a session's account closed, soon; again does no harm."""
        self._spawn(self._close(permit, reason), f"close-{permit.session_id}")

    def stop(self) -> None:
        """Try only so often from now on."""
        self._stopping = True

    async def run(self) -> None:
        """Close, until cancelled, what was written down as being opened and never came about.

        Where the store goes away while it commits, nobody knows the session it has written down.
        """
        while True:
            await asyncio.sleep(_STRAYS_EVERY_S)
            try:
                count = await cancellable(close_strays(self._ctx, STRAY_S), timeout_s=_TRY_S)
                if count:
                    _log.warning("strays_closed", count=count)
            except _TROUBLE as error:
                _log.warning("strays_not_closed", error=str(error))
            heed_cancellation()

    async def _close(self, permit: SessionPermit, reason: str) -> None:
        pause_s, tries = _FIRST_PAUSE_S, 0
        while True:
            try:
                async with self._turns:
                    # A store that is silent rather than away must not keep a turn for ever.
                    await cancellable(close_line(self._ctx, permit, reason), timeout_s=_TRY_S)
                return
            except _TROUBLE as error:
                _log.warning("session_not_closed", session=permit.session_id, error=str(error))
            tries += 1
            if self._stopping and tries >= _LAST_TRIES:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(3 * pause_s, _LONGEST_PAUSE_S)

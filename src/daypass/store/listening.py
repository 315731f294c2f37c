"""Hear the hints of every process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from daypass.store.database import Store, network_limits
from daypass.store.processes import CHANNEL, Hint

_log = structlog.get_logger(__name__)

_AGAIN_S = 1.0


async def listen(store: Store, heard: Callable[[Hint, int], None]) -> None:
    """Pass on the hints of every process, for ever; a lost connection is made again.

    What is said meanwhile is lost: whoever listens also looks by itself.
    """
    while True:
        try:
            async with _listening(store) as connection:
                async for notice in connection.notifies():
                    word, _, number = notice.payload.partition(" ")
                    with contextlib.suppress(ValueError):
                        heard(Hint(word), int(number or 0))
        except (psycopg.Error, OSError) as error:
            _log.warning("listening_failed", error=str(error))
        await asyncio.sleep(_AGAIN_S)


@contextlib.asynccontextmanager
async def _listening(store: Store) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = await psycopg.AsyncConnection.connect(
        make_conninfo(store.conninfo.reveal(), **network_limits(store.conninfo)),
        autocommit=True,
        application_name="daypass listen",
    )
    async with connection:
        await connection.execute(f"listen {CHANNEL}")
        yield connection

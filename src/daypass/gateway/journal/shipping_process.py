"""Keep a process that ships a gateway's journal: started anew when it ends, ended with the gateway.

What it does would else take turns with the relay of every session.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.shipper import Given, Said
from daypass.operations.ship_journal import ShippingContext

_log = structlog.get_logger(__name__)

_TELL_EVERY_S: Final = 0.1
_STOP_S: Final = 5.0
_AGAIN_S: Final = 0.2
_MOST_AGAIN_S: Final = 5.0
_LASTING_S: Final = 30.0
_ENVIRONMENT: Final = frozenset(
    {"PATH", "LANG", "LC_ALL", "HOME", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
)


async def ship_apart(ctx: ShippingContext, journal: Journal, folders: JournalFolders) -> None:
    """Have a journal shipped, and those that were left behind, until cancelled."""
    wait_s = _AGAIN_S
    while True:
        began = time.monotonic()
        try:
            await _one(ctx, journal, folders)
        except OSError as error:
            _log.error("shipper_not_started", journal=str(journal.id), error=str(error))
        wait_s = _AGAIN_S if time.monotonic() - began > _LASTING_S else wait_s
        _log.error("shipper_ended", journal=str(journal.id), again_s=wait_s)
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _MOST_AGAIN_S)


async def _one(ctx: ShippingContext, journal: Journal, folders: JournalFolders) -> None:
    """Run one process until it ends; cancelled, end it."""
    # No secret of this process's is in its environment, and nothing of the working directory's is
    # imported; what libpq reads of the environment is part of how the store is reached.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "daypass.gateway.journal.shipper"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={
            name: value
            for name, value in os.environ.items()
            if name in _ENVIRONMENT or name.startswith("PG")
        },
        start_new_session=True,
    )
    asked, answers = process.stdin, process.stdout
    if asked is None or answers is None:
        raise RuntimeError("a process without pipes")
    asked.write(msgspec.json.encode(_given(ctx, journal, folders)) + b"\n")
    telling = asyncio.create_task(_tell(asked, journal), name="tell-shipper")
    try:
        while line := await answers.readline():
            _hear(msgspec.json.decode(line, type=Said), journal)
    finally:
        telling.cancel()
        await _end(process)


def _given(ctx: ShippingContext, journal: Journal, folders: JournalFolders) -> Given:
    return Given(
        ctx.store.conninfo.reveal(),
        ctx.process_id,
        folders.key,
        str(folders.root.absolute()),
        str(journal.folder.absolute()),
        folders.limits.segment_bytes,
        folders.limits.limit_bytes,
    )


async def _tell(asked: asyncio.StreamWriter, journal: Journal) -> None:
    """Say how much of the journal is on disk, as soon as that has changed."""
    told = -1
    while not asked.is_closing():
        synced = journal.synced_sequence
        if synced != told:
            told = synced
            asked.write(b"%d\n" % synced)
        await asyncio.sleep(_TELL_EVERY_S)


def _hear(said: Said, journal: Journal) -> None:
    if said.stored >= 0:
        journal.acknowledge(said.stored)
    match said.level:
        case "info":
            _log.info(said.event, **said.fields)
        case "warning":
            _log.warning(said.event, **said.fields)
        case "error" | "critical":
            _log.error(said.event, **said.fields)
        case _:
            pass


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process: at the end of its input it stops by itself; none is left."""

    def kill() -> None:
        with suppress(ProcessLookupError):
            process.kill()

    if process.stdin is not None:
        process.stdin.close()
    patience = asyncio.get_running_loop().call_later(_STOP_S, kill)
    cancelled = False
    try:
        while process.returncode is None:
            try:
                await process.wait()
            except asyncio.CancelledError:
                cancelled = True
                kill()
    finally:
        patience.cancel()
    if cancelled:
        raise asyncio.CancelledError

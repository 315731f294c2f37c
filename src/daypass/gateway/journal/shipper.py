"""The process that ships a gateway's journal, so that its sessions do not wait for it meanwhile.

It is started by `shipping_process`, and given on standard input: one line of JSON, `Given`; then,
each as a line, the last record of the journal that is on disk. On standard output it says in lines
of JSON, `Said`, how far the store has the journal, and what the gateway is to log. It ends when its
input does: with the gateway, however that ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import traceback
import uuid
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import psycopg
import structlog

from daypass.domain.errors import Unavailable
from daypass.domain.secret import Secret
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.following import FollowedJournal
from daypass.gateway.journal.limits import JournalLimits
from daypass.gateway.journal.shipping import ship_for_ever
from daypass.store.database import Store

_log = structlog.get_logger(__name__)

_CONNECTIONS: Final = 2
_AGAIN_S: Final = 1.0
_MOST: Final = 2000
"""So many characters of whatever is to be logged are passed on."""


class Given(msgspec.Struct, frozen=True):
    """What the process is given; `key` is the journals' alone."""

    store: str
    process: uuid.UUID
    key: bytes
    root: str
    folder: str
    segment_bytes: int
    limit_bytes: int


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the process says: how far the store has the journal, or something to log."""

    stored: int = -1
    level: str = ""
    event: str = ""
    fields: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class _Ships:
    """What shipping needs of a context."""

    store: Store
    process_id: uuid.UUID


def say(said: Said) -> None:
    """Say something to the gateway; whoever is not heard ends."""
    data = memoryview(msgspec.json.encode(said) + b"\n")
    try:
        while data:
            data = data[os.write(1, data) :]
    except BrokenPipeError:
        os._exit(0)


def _tell(_: object, level: str, event: MutableMapping[str, object]) -> str:
    name, fields = str(event.pop("event")), {key: str(each)[:_MOST] for key, each in event.items()}
    say(Said(level=level, event=name, fields=fields))
    raise structlog.DropEvent


async def _run(given: Given) -> None:
    journal = FollowedJournal(
        Path(given.folder), given.key, lambda stored: say(Said(stored=stored))
    )
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(told), sys.stdin.buffer
    )
    tasks = {
        asyncio.create_task(_ship(given, journal), name="ship"),
        asyncio.create_task(_listen(told, journal), name="listen"),
    }
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    code = 0
    for task in done:
        error = task.exception()
        if error is not None:
            traceback.print_exception(error)
            code = 1
    # At once: what is half done is taken back by the store, and done again by whoever is next.
    os._exit(code)


async def _ship(given: Given, journal: FollowedJournal) -> None:
    clock = StoreClock()
    limits = JournalLimits(given.segment_bytes, given.limit_bytes)
    folders = JournalFolders(Path(given.root), given.key, clock, limits)
    store = Store(Secret(given.store), min_size=1, max_size=_CONNECTIONS)
    while True:
        try:
            await store.open()
            break
        except (Unavailable, psycopg.Error, OSError) as error:
            _log.warning("journal_not_shipped", journal=str(journal.id), error=str(error))
            await asyncio.sleep(_AGAIN_S)
    await ship_for_ever(_Ships(store, given.process), journal, folders, clock)


async def _listen(told: asyncio.StreamReader, journal: FollowedJournal) -> None:
    while line := await told.readline():
        with suppress(ValueError):
            journal.sequence = max(journal.sequence, int(line))


def main() -> None:
    """Ship a journal for the process that started this one."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(handlers=[logging.NullHandler()])
    structlog.configure(processors=[_tell])
    # By the byte: nothing that follows may be taken up with it.
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return
        line += byte
    given = msgspec.json.decode(bytes(line), type=Given)
    asyncio.run(_run(given))


if __name__ == "__main__":
    main()

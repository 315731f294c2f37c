"""A process that writes a journal and ships it, made to be killed: started anew for each line.

Given the folder of journals and the store, it reads lines; for each it forks a writer, which says
`p <pid> <journal>` and then `a <record>` for every record it was told is written.
"""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Unavailable
from daypass.domain.secret import Secret
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.keeping import keep_shipping
from daypass.gateway.journal.limits import JournalLimits
from daypass.gateway.journal.shipping import set_clock
from daypass.store.database import Store
from tests.stores import context_of

KEY = b"j" * 32
LIMITS = JournalLimits(segment_bytes=64 * 1024, limit_bytes=256 * 2**20)


def folders_of(root: Path) -> JournalFolders:
    """Return the journals the process writes."""
    return JournalFolders(root, KEY, StoreClock(), LIMITS)


def statement(number: int, kind: EntryKind) -> Entry:
    """Return the start or the end of a statement that no grant in the store allowed."""
    content = {"statement": f"1.{number}", "text": "x" * (number % 700)}
    return Entry(kind, application="a test", content=content)


def write(journal: Journal, number: int) -> None:
    """Write a start, and the end of the statement before."""
    for each, kind in (
        (number, EntryKind.STATEMENT_STARTED),
        (number - 1, EntryKind.STATEMENT_ENDED),
    ):
        if each:
            os.write(1, b"a %d\n" % journal.append(statement(each, kind)))


async def _run(root: Path, conninfo: str) -> None:
    folders = folders_of(root)
    journal = folders.begin()
    os.write(1, f"p {os.getpid()} {journal.id}\n".encode())
    store = Store(Secret(conninfo), min_size=1, max_size=2)
    await store.open()
    ctx = context_of(store)
    await set_clock(ctx, journal.clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_shipping(ctx, journal, folders_of(root / "nobody")))
        number = 0
        while True:
            for _ in range(20):
                number += 1
                write(journal, number)
            await asyncio.sleep(0.001)


def main() -> None:
    """Fork a writer for each line."""
    root, conninfo = Path(sys.argv[1]), sys.argv[2]
    while sys.stdin.readline():
        child = os.fork()
        if not child:
            with suppress(KeyboardInterrupt, Unavailable):
                asyncio.run(_run(root, conninfo))
            os._exit(1)
        os.waitpid(child, 0)
        os.write(1, b"d\n")


if __name__ == "__main__":
    main()

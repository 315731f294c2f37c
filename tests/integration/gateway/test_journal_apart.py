"""The process that ships a journal: killed, started anew, gone with its gateway."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from daypass.domain.errors import Unavailable
from daypass.embedded import Cluster
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.keeping import keep_shipping
from daypass.gateway.journal.shipping import finish
from daypass.operations.context import Context
from tests.integration.gateway.journal_process import folders_of
from tests.integration.gateway.test_journal_shipping import check, rows, write
from tests.stores import context_of, running_store

_NAME = b"daypass.gateway.journal.shipper"


@pytest.fixture
async def ctx(store_cluster: Cluster) -> AsyncIterator[Context]:
    """Return a Daypass with nothing but a store."""
    async with running_store(store_cluster) as store:
        yield context_of(store)


@pytest.fixture
def folders(tmp_path: Path) -> JournalFolders:
    """Return where journals are."""
    return folders_of(tmp_path / "journals")


def shippers() -> list[int]:
    """Return the shipping processes that this one has."""
    found = []
    for place in Path("/proc/self/task").iterdir():
        for number in (place / "children").read_text(encoding="ascii").split():
            with suppress(OSError):
                if _NAME in Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0"):
                    found.append(int(number))
    return found


async def stored(ctx: Context, journal: Journal, count: int) -> None:
    """Wait until so many records are in the store, and the journal knows."""
    async with asyncio.timeout(30):
        while True:
            found = await rows(
                ctx,
                "select 1 from journal where id = %s and last_sequence >= %s",
                journal.id,
                count,
            )
            if found:
                return
            await asyncio.sleep(0.05)


async def another(than: int) -> int:
    """Wait for another shipping process than one, and return it."""
    async with asyncio.timeout(30):
        while True:
            found = [each for each in shippers() if each != than]
            if found:
                return found[0]
            await asyncio.sleep(0.02)


def shown_of(process: int) -> bytes:
    """Return what others of its user see of a process."""
    place = Path(f"/proc/{process}")
    return (place / "cmdline").read_bytes() + (place / "environ").read_bytes()


@pytest.mark.kill
async def test_a_shipper_killed_at_work_is_replaced_and_nothing_is_lost_or_doubled(
    ctx: Context, folders: JournalFolders
) -> None:
    journal = folders.begin()
    keeping = asyncio.create_task(keep_shipping(ctx, journal, folders))
    try:
        shipper = await another(0)
        for _ in range(2):
            write(journal, 3000)
            # Sooner or later: while it starts, waits, or has a transaction open.
            await asyncio.sleep(0.4)
            os.kill(shipper, signal.SIGKILL)
            shipper = await another(shipper)
        write(journal, 500)
        await stored(ctx, journal, journal.sequence)
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
    assert shippers() == []
    assert await finish(ctx, journal)
    assert await check(ctx, journal.id) == 2 * 6500
    assert not journal.folder.exists()


async def test_it_knows_no_secret_but_what_it_ships_with_and_shows_none(
    ctx: Context, folders: JournalFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_SOMEBODY", "not-for-shippers")
    journal = folders.begin()
    keeping = asyncio.create_task(keep_shipping(ctx, journal, folders))
    try:
        shipper = await another(0)
        shown = await asyncio.to_thread(shown_of, shipper)
        for secret in (b"not-for-shippers", folders.key, ctx.store.conninfo.reveal().encode()):
            assert secret not in shown
        write(journal, 10)
        await stored(ctx, journal, 20)
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
    assert shippers() == []
    journal.close()


async def test_a_journal_that_broke_goes_on_by_itself_once_the_disk_works(
    ctx: Context, folders: JournalFolders
) -> None:
    journal = folders.begin()
    write(journal, 3)
    journal._break("the disk was away")
    with pytest.raises(Unavailable):
        write(journal, 1)
    keeping = asyncio.create_task(keep_shipping(ctx, journal, folders))
    try:
        async with asyncio.timeout(10):
            while journal.problem:  # noqa: ASYNC110 - what happens on its own has no event
                await asyncio.sleep(0.02)
        write(journal, 1)
        await stored(ctx, journal, 8)
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
    assert await finish(ctx, journal)
    assert await check(ctx, journal.id) == 8


async def test_what_others_left_behind_is_taken_up_by_it(
    ctx: Context, folders: JournalFolders
) -> None:
    left = folders.begin()
    write(left, 40)
    left.close()
    journal = folders.begin()
    keeping = asyncio.create_task(keep_shipping(ctx, journal, folders))
    try:
        async with asyncio.timeout(30):
            while left.folder.exists():  # noqa: ASYNC110 - what happens on its own has no event
                await asyncio.sleep(0.05)
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
    assert await check(ctx, left.id) == 80
    assert await finish(ctx, journal)

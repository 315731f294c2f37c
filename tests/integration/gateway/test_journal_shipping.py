"""Journals get into the store in order and exactly once, whoever is killed meanwhile."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Conflict, Error
from daypass.domain.ids import GrantId, PrincipalId, SessionId
from daypass.domain.secret import Secret
from daypass.embedded import Cluster
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.keeping import keep_shipping
from daypass.gateway.journal.limits import JournalLimits
from daypass.gateway.journal.shipping import finish, set_clock, take_up
from daypass.operations.context import Context
from daypass.operations.ship_journal import close_journal, ship_journal
from daypass.store.database import Store
from tests.integration.gateway.journal_process import folders_of, statement
from tests.servers import STORE_MAJOR, binaries_of, drop_database, running_server
from tests.stores import context_of, running_store, store_database

_ROOT = Path(__file__).parents[3]


@pytest.fixture
async def ctx(store_cluster: Cluster) -> AsyncIterator[Context]:
    """Return a Daypass with nothing but a store."""
    async with running_store(store_cluster) as store:
        yield context_of(store)


@pytest.fixture
def folders(tmp_path: Path) -> JournalFolders:
    """Return where journals are."""
    return folders_of(tmp_path / "journals")


def write(journal: Journal, count: int) -> None:
    """Write so many whole statements."""
    first = journal.sequence // 2 + 1
    for number in range(first, first + count):
        journal.append(statement(number, EntryKind.STATEMENT_STARTED))
        journal.append(statement(number, EntryKind.STATEMENT_ENDED))


async def rows(ctx: Context, query: str, *values: object) -> list[tuple[object, ...]]:
    """Ask the store."""
    async with ctx.store.connection() as connection:
        cursor = await connection.execute(query.encode(), values)
        return list(await cursor.fetchall())


async def check(ctx: Context, journal_id: object) -> int:
    """Check that a journal is in the store without gap, double or reordering; return its length."""
    [(count, last, ordered, same, known)] = await rows(
        ctx,
        """
        select count(*), coalesce(max(sequence), 0),
          coalesce(bool_and(before is null or before = sequence - 1), true),
          coalesce(bool_and((content->>'sequence')::bigint = sequence
            and content->>'journal' = journal_id::text), true),
          (select last_sequence from journal where id = %s)
        from (select *, lag(sequence) over (order by id) as before from entry
              where journal_id = %s) e
        """,
        journal_id,
        journal_id,
    )
    assert isinstance(count, int)
    assert (count, ordered, same) == (last, True, True)
    assert known == last
    [(double,)] = await rows(
        ctx,
        """
        select count(*) from (
          select from entry where journal_id = %s group by kind, content->>'statement'
          having count(*) > 1) as d
        """,
        journal_id,
    )
    assert double == 0
    return count


async def test_what_was_written_is_stored_byte_for_byte(
    ctx: Context, folders: JournalFolders
) -> None:
    journal = folders.begin()
    await set_clock(ctx, journal.clock)
    write(journal, 1500)
    await journal.synced(journal.sequence)
    written = [record.body.decode() for record in journal.read(0, most=5000)]
    shipped = await ship_journal(ctx, journal)
    assert (shipped.count, shipped.last_sequence) == (3000, 3000)
    stored = await rows(ctx, "select canonical from entry where journal_id is not null order by id")
    assert [each[0] for each in stored] == written
    assert await check(ctx, journal.id) == 3000
    [(oldest, newest)] = await rows(
        ctx,
        "select clock_timestamp() - min(at) < interval '1 min', max(at) < clock_timestamp() "
        "from entry where journal_id is not null and canonical::jsonb->>'at' = "
        'to_char(at, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')',
    )
    assert (oldest, newest) == (True, True)
    # A second time there is nothing left to do.
    assert (await ship_journal(ctx, journal)).count == 0
    assert await finish(ctx, journal)
    kinds = await rows(ctx, "select kind from entry where journal_id is null order by id")
    assert kinds == [("journal.opened",), ("journal.closed",)]
    assert not journal.folder.exists()


async def test_two_shippers_at_once_store_everything_once(
    ctx: Context, folders: JournalFolders
) -> None:
    journal = folders.begin()
    write(journal, 4000)
    await journal.synced(journal.sequence)
    shipped = await asyncio.gather(*(ship_journal(ctx, journal) for _ in range(4)))
    assert sum(each.count for each in shipped) == 8000
    assert await check(ctx, journal.id) == 8000
    journal.close()


async def test_the_store_itself_refuses_doubles_and_going_back(
    ctx: Context, folders: JournalFolders
) -> None:
    journal = folders.begin()
    write(journal, 2)
    await journal.synced(journal.sequence)
    await ship_journal(ctx, journal)
    copied = (
        "insert into entry (kind, content, canonical, digest, journal_id, sequence) "
        "select kind, content, canonical, digest, journal_id, sequence from entry "
        "where sequence = 2"
    )
    for statement_text, constraint in (
        (copied, "entry_journaled_once"),
        ("update journal set last_sequence = 1", "journal_only_grows"),
    ):
        with pytest.raises(psycopg.IntegrityError) as caught:
            await rows(ctx, statement_text)
        assert caught.value.diag.constraint_name == constraint
    journal.close()


async def test_a_journal_from_which_records_were_taken_is_not_shipped(
    ctx: Context, folders: JournalFolders
) -> None:
    """An insider keeps a copy, acts, and puts the copy back: the store remembers more."""
    journal = folders.begin()
    write(journal, 5)
    await journal.synced(journal.sequence)
    (path,) = journal.folder.glob("*.segment")
    copy = path.read_bytes()
    write(journal, 5)
    await journal.synced(journal.sequence)
    await ship_journal(ctx, journal)
    journal.close()
    path.write_bytes(copy)
    (found,) = folders.left_behind()
    assert isinstance(found, Journal)
    with pytest.raises(Conflict) as caught:
        await ship_journal(ctx, found)
    assert caught.value.detail_code == "journal_short"
    assert not await finish(ctx, found)
    assert path.exists()


async def test_only_a_whole_journal_is_closed(ctx: Context, folders: JournalFolders) -> None:
    journal = folders.begin()
    await ship_journal(ctx, journal)
    write(journal, 1)
    with pytest.raises(Conflict) as caught:
        await close_journal(ctx, journal)
    assert caught.value.detail_code == "journal_unshipped"
    journal.close()


async def test_entries_of_what_an_older_store_does_not_know_are_stored_all_the_same(
    ctx: Context, folders: JournalFolders
) -> None:
    journal = folders.begin()
    journal.append(
        Entry(
            EntryKind.STATEMENT_STARTED,
            actor_id=PrincipalId(77_001),
            grant_id=GrantId(77_002),
            session_id=SessionId(77_003),
            content={"statement": "77003.1"},
        )
    )
    assert await finish(ctx, journal)
    stored = await rows(
        ctx,
        "select actor_id, grant_id, canonical::jsonb->>'actor', canonical::jsonb->>'grant' "
        "from entry where sequence = 1",
    )
    assert stored == [(None, None, "77001", "77002")]


async def test_without_its_store_it_grows_to_its_limit_and_goes_on_by_itself(
    ctx: Context, tmp_path: Path
) -> None:
    limits = JournalLimits(segment_bytes=16_384, limit_bytes=65_536)
    folders = JournalFolders(tmp_path / "j", b"k" * 32, StoreClock(), limits)
    journal = folders.begin()

    def fill() -> None:
        while True:
            write(journal, 1)

    with pytest.raises(Error) as caught:
        fill()
    assert caught.value.detail_code == "journal_full"
    before = journal.sequence
    shipping = asyncio.create_task(keep_shipping(ctx, journal, folders))
    async with asyncio.timeout(20):
        while journal.problem:  # noqa: ASYNC110 - what happens on its own has no event
            await asyncio.sleep(0.02)
    shipping.cancel()
    with suppress(asyncio.CancelledError):
        await shipping
    write(journal, 1)
    assert await finish(ctx, journal)
    assert await check(ctx, journal.id) == before + 2


async def _ship_until_done(ctx: Context, journal: Journal) -> int:
    """Ship as often as it takes while the store comes and goes; return how often it failed."""
    failed = 0
    async with asyncio.timeout(60):
        while True:
            try:
                await ship_journal(ctx, journal)
            except (Error, psycopg.Error, OSError):
                failed += 1
                await asyncio.sleep(0.05)
            else:
                return failed


@pytest.mark.kill
async def test_the_store_killed_while_shipping_loses_and_doubles_nothing(
    folders: JournalFolders,
) -> None:
    binaries = binaries_of(STORE_MAJOR)
    assert binaries is not None
    # What is committed has to be there after the kill: nothing is lost by this process alone.
    with running_server(binaries, tcp=False, settings={"synchronous_commit": "on"}) as cluster:
        conninfo = store_database(cluster)
        store = Store(Secret(conninfo), min_size=1, max_size=4)
        await store.open()
        ctx = context_of(store)
        journal = folders.begin()
        failed = 0
        for _ in range(2):
            write(journal, 5000)
            await journal.synced(journal.sequence)
            shipping = asyncio.create_task(_ship_until_done(ctx, journal))
            await asyncio.sleep(random.uniform(0.05, 0.4))  # noqa: S311 - not a secret
            await asyncio.to_thread(cluster.kill)
            await asyncio.to_thread(cluster.start)
            failed += await shipping
        assert failed
        assert await finish(ctx, journal)
        assert await check(ctx, journal.id) == 20_000
        await store.aclose()


class Writers:
    """Real processes that write and ship, one after the other, to be killed."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def kill_one(self, after_s: float) -> tuple[str, int]:
        """Start a writer, kill it after so long; return its journal and its last known record."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        pipe_in.write(b"go\n")
        pipe_in.flush()
        _, pid, journal = pipe_out.readline().split()
        last = 0
        until = None
        for line in pipe_out:
            if line == b"d\n":
                break
            last = int(line.split()[1])
            if until is None:
                until = time.monotonic() + after_s
            elif until and time.monotonic() > until:
                os.kill(int(pid), signal.SIGKILL)
                until = 0.0
        return journal.decode(), last


@contextmanager
def writers(root: Path, conninfo: str) -> Iterator[Writers]:
    """Run a process that starts writers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.gateway.journal_process", str(root), conninfo],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
    )
    try:
        yield Writers(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


async def _kill_writers(
    cluster: Cluster, folders: JournalFolders, go_on: Iterator[object]
) -> tuple[int, int]:
    """Kill writers as long as it is wanted; return how many, and how many records they wrote."""
    conninfo = store_database(cluster)
    store = Store(Secret(conninfo), min_size=1, max_size=4)
    await store.open()
    ctx = context_of(store)
    killed = written = 0
    try:
        with writers(folders.root, conninfo) as started:
            for _ in go_on:
                after_s = random.uniform(0.0, 0.15)  # noqa: S311 - not a secret
                journal, last = await asyncio.to_thread(started.kill_one, after_s)
                assert await take_up(ctx, folders) == 1
                stored = await check(ctx, journal)
                # What was said to be written is there; at most one record more was.
                assert stored >= last > 0
                [(open_ones,)] = await rows(
                    ctx,
                    """
                    select count(*) from entry s where s.journal_id = %s
                      and s.kind = 'statement.started' and not exists (
                        select from entry e where e.journal_id = s.journal_id
                          and e.kind = 'statement.ended'
                          and e.content->>'statement' = s.content->>'statement')
                    """,
                    journal,
                )
                assert open_ones == 0
                killed += 1
                written += stored
        assert list(folders.root.glob("*-*")) == []
    finally:
        await store.aclose()
        drop_database(cluster, conninfo)
    return killed, written


@pytest.mark.kill
async def test_writers_killed_at_any_moment_lose_nothing_they_were_told_is_written(
    store_cluster: Cluster, folders: JournalFolders
) -> None:
    killed, written = await _kill_writers(store_cluster, folders, iter(range(20)))
    assert killed == 20
    assert written > 20 * 20


@pytest.mark.long
@pytest.mark.kill
@pytest.mark.timeout(0)
async def test_writers_killed_for_long(
    store_cluster: Cluster, folders: JournalFolders, long_seconds: float
) -> None:
    until = time.monotonic() + long_seconds
    go_on = iter(lambda: time.monotonic() < until, False)
    killed, written = await _kill_writers(store_cluster, folders, go_on)
    assert killed
    assert written > killed * 20

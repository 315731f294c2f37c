"""The gateway's journal: what it costs to write a statement down, sync it, and ship it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, quantile, spread
from bench.place import Place
from daypass.audit.entry import Entry, EntryKind
from daypass.domain.catalog import RelationName
from daypass.domain.limits import Parameters
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import StatementFacts
from daypass.engines.relay_contract import Ended, Started
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.shipping import finish, set_clock
from daypass.gateway.journal.statement_log import StatementLog
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.ship_journal import ship_journal
from daypass.operations.statement_entries import Recording

_TEXT = "select abalance from public.pgbench_accounts where aid = $1"
_FACTS = StatementFacts(
    text=_TEXT,
    classes=frozenset({StatementClass.SELECT}),
    read=frozenset({RelationName("public", "pgbench_accounts")}),
    written=frozenset(),
    functions=frozenset(),
    command="SELECT",
    fingerprint="a0b1c2d3e4f50617",
)
_AIM_JOURNALED_US = 1e6 / 20_000
_AIM_STORED_US = 1e6 / 10_000
_AIM_SYNCED_MS = 5.0
_ROUNDS = 5


async def measure(place: Place) -> list[Figure]:
    """Write statements in rounds, wait for single ones to be on disk, ship all of it."""
    statements = 5_000 if place.quick else 20_000
    folder = Path(tempfile.mkdtemp(prefix="daypass-bench-journal-"))
    try:
        journal = JournalFolders(folder / "journals", b"k" * 32, StoreClock()).begin()
        await set_clock(place.ctx, journal.clock)
        return await _measured(place, journal, statements)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


async def _measured(place: Place, journal: Journal, statements: int) -> list[Figure]:
    ada = await place.actor("ada")
    await place.world.grant("ada", "sales.orders")
    candidate, *_ = await find_candidates(place.ctx, ada, "prod/shop")
    permit = await authorize_session(place.ctx, ada, candidate, kind="gateway")
    recording = Recording(Parameters.FULL, b"p" * 32)
    log = StatementLog(journal, permit, ada, "a rule", recording)
    rounds = [_write(log, statements) for _ in range(_ROUNDS)]
    single = []
    for _ in range(200):
        started = time.perf_counter()
        await journal.synced(journal.append(Entry(EntryKind.SESSION_OPENED)))
        single.append(time.perf_counter() - started)
        await asyncio.sleep(0.002)
    journaled = journal.sequence
    started = time.perf_counter()
    shipped = await ship_journal(place.ctx, journal)
    took = time.perf_counter() - started
    if shipped.last_sequence != journaled:
        raise RuntimeError(f"{shipped.last_sequence} of {journaled} records were shipped")
    await finish(place.ctx, journal)
    cost = [each / (2 * statements) * 1e6 for each in rounds]
    return [
        Figure(
            "8",
            "write an entry to the journal",
            "µs",
            {"p50": quantile(cost, 0.5), "max": max(cost)},
            _ROUNDS * 2 * statements,
            {"p50": _AIM_JOURNALED_US},
            note=f"{1e6 / quantile(cost, 0.5):,.0f} entries/s; start and end of small statements",
        ),
        spread(
            "8", "until a single entry is on disk", single, aims={"p99": _AIM_SYNCED_MS},
            note="with the processor's wait for whoever waits",
        ),
        Figure(
            "8",
            "store an entry from the journal",
            "µs",
            {"mean": took / shipped.count * 1e6},
            shipped.count,
            {"mean": _AIM_STORED_US},
            note=f"{shipped.count / took:,.0f} entries/s, durable",
        ),
    ]  # fmt: skip


def _write(log: StatementLog, count: int) -> float:
    started = time.perf_counter()
    for number in range(count):
        statement = log.started(Started(_TEXT, _STATEMENTS, (str(number),), "extended"))
        log.ended(
            statement,
            Ended("done", rows=1, size_bytes=24, duration_us=140, command="SELECT"),
        )
    return time.perf_counter() - started


_STATEMENTS = (_FACTS,)

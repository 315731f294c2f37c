"""The audit log: what it costs to give entries their place, publish them, and verify all of it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import uuid
from pathlib import Path

from bench.figures import Figure, median
from bench.place import Place
from bench.processor import server_s
from daypass.audit.entry import Entry, EntryKind, Json, canonical
from daypass.audit.note import SignerKey
from daypass.audit.verify import verify_log
from daypass.operations.sequence_log import Sequencer
from daypass.store import journals
from daypass.store.database import now
from daypass.store.log_folder import LogFolder

_AIM_SEQUENCED_US = 1e6 / 10_000
_AIM_VERIFIED_US = 1e6 / 200_000
_BATCH = 2_000
_ROUNDS = 5
_KEY = SignerKey("bench.example/daypass", bytes(32))


async def measure(place: Place) -> list[Figure]:
    """Store statements as a gateway ships them, sequence and publish them, verify the log."""
    folder = Path(tempfile.mkdtemp(prefix="daypass-bench-log-"))
    try:
        return await _measured(place, LogFolder(folder / "log"), 2 if place.quick else 10)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


async def _measured(place: Place, folder: LogFolder, batches: int) -> list[Figure]:
    sequencer = Sequencer(place.ctx, folder, [_KEY])
    before = await sequencer.run_round()
    journal = uuid.uuid4()
    async with place.ctx.store.transaction() as tx:
        await journals.insert_journal(tx, journal, uuid.uuid4(), "bench")
    stored, sequenced, store_s, wall = [], [], [], []
    last = 0
    for _ in range(_ROUNDS):
        started, at_store = time.process_time(), server_s(place.store)
        for _ in range(batches):
            last = await _store(place, journal, last)
        count = batches * _BATCH
        stored.append((time.process_time() - started + server_s(place.store) - at_store) / count)
        started, at_store, clock = time.process_time(), server_s(place.store), time.perf_counter()
        await sequencer.run_round()
        sequenced.append((time.process_time() - started) / count)
        store_s.append((server_s(place.store) - at_store) / count)
        wall.append((time.perf_counter() - clock) / count)
    verified = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        found = verify_log(folder.read, [_KEY.verifier], _KEY.name)
        verified.append((time.process_time() - started) / found.checkpoint.size)
    if before is None or found.checkpoint.size < before.size + last:
        raise RuntimeError(f"{found.checkpoint.size} entries are in the log, {last} were stored")
    both = [one + other for one, other in zip(sequenced, store_s, strict=True)]
    return [
        _figure(
            "give an entry its place, publish it",
            both,
            _AIM_SEQUENCED_US,
            "processor time of Daypass and the store",
        ),
        _figure("   of that Daypass", sequenced, None, ""),
        _figure("   on the clock", wall, None, "store and Daypass side by side"),
        _figure("store an entry", stored, None, "as a journal ships it, made here"),
        _figure("verify an entry", verified, _AIM_VERIFIED_US, "processor time, all of the log"),
    ]


def _figure(what: str, seconds: list[float], aim_us: float | None, note: str) -> Figure:
    values = [each * 1e6 for each in seconds]
    found = {"p50": median(values), "max": max(values)}
    aims = {} if aim_us is None else {"p50": aim_us}
    told = f"{1e6 / found['p50']:,.0f}/s; {note}" if note else ""
    return Figure("9", what, "µs", found, len(values), aims, told)


async def _store(place: Place, journal: uuid.UUID, last: int) -> int:
    async with place.ctx.store.transaction() as tx:
        held = await journals.hold_journal(tx, journal)
        if held is None:
            raise RuntimeError("the journal is gone")
        moment = await now(tx)
        texts = []
        for sequence in range(last + 1, last + _BATCH + 1):
            content: dict[str, Json] = {
                "classes": ["select"],
                "fingerprints": ["a0b1c2d3e4f50617"],
                "functions": [],
                "journal": str(journal),
                "length": 59,
                "origin": "simple",
                "parameters": [str(sequence)],
                "read": ["public.pgbench_accounts"],
                "sequence": sequence,
                "statement": f"7.{sequence}",
                "text": "select abalance from public.pgbench_accounts where aid = $1",
                "written": [],
            }
            entry = Entry(
                EntryKind.STATEMENT_STARTED,
                address="192.0.2.7",
                application="pgbench",
                rule="a rule",
                content=content,
            )
            texts.append(canonical(entry, moment))
        return await journals.append_records(tx, held, last + 1, texts)

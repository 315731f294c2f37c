"""A sequencer that is killed at any moment: nothing is missing, doubled, or signed twice over."""

import asyncio
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from daypass.audit.checkpoint import open_checkpoint
from daypass.audit.note import parse_note
from daypass.audit.verify import consistent_with, read_checkpoint
from daypass.operations.context import Context
from daypass.operations.secrets import SecretStore
from daypass.operations.sequence_log import Sequencer
from daypass.store.log_folder import LogFolder
from tests.integration.audit.conftest import KEY, SECRET_KEY, append_some, verified


@pytest.mark.long
async def test_killed_at_any_moment_under_load(
    ctx: Context, folder: LogFolder, long_seconds: float
) -> None:
    seed = random.randrange(2**32)  # noqa: S311 - when it kills, no secret
    chance = random.Random(seed)  # noqa: S311 - said when it fails
    ctx = replace(ctx, secrets=SecretStore(SECRET_KEY))
    appended = 0
    kills = 0
    seen = [b""]
    stop = asyncio.Event()

    async def write() -> None:
        nonlocal appended
        while not stop.is_set():
            count = chance.randrange(1, 60)
            await append_some(ctx, count, first=appended)
            appended += count
            await asyncio.sleep(0.01)

    async def watch() -> None:
        while not stop.is_set():
            note = await asyncio.to_thread(folder.read, "checkpoint")
            if note is not None and note != seen[-1]:
                seen.append(note)
            await asyncio.sleep(0.02)

    until = time.monotonic() + long_seconds
    writer, watcher = asyncio.create_task(write()), asyncio.create_task(watch())
    while time.monotonic() < until or kills < 3:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.integration.audit.sequencing"),
            *(ctx.store.conninfo.reveal(), str(folder.root)),
            cwd=Path(__file__).parents[3],
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        # It works before it is killed, and then for a moment that nobody chose.
        assert await process.stdout.readline(), f"it ended by itself, seed {seed}"
        await asyncio.sleep(chance.random() * 0.6)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        kills += 1
    stop.set()
    await asyncio.gather(writer, watcher)
    await Sequencer(ctx, folder, [KEY]).run_round()
    assert verified(folder).checkpoint.size == appended, f"seed {seed}"
    # Whatever anybody saw published is still the beginning of what there is.
    now = read_checkpoint(folder.read, [KEY.verifier], KEY.name)
    for note in seen[1:]:
        old = open_checkpoint(parse_note(note), [KEY.verifier], KEY.name)
        consistent_with(folder.read, old, now)
    assert len(seen) > 3

"""A log around a store of its own."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from daypass.audit.entry import Entry, EntryKind
from daypass.audit.note import SignerKey
from daypass.audit.verify import Verified, verify_log
from daypass.embedded import Cluster
from daypass.operations.context import Context
from daypass.operations.sequence_log import Sequencer
from daypass.store import entries
from daypass.store.log_folder import LogFolder
from tests.stores import context_of, running_store

SECRET_KEY = bytes(range(32, 64))
KEY = SignerKey("log.example/daypass", bytes(range(32)))


@pytest.fixture
async def ctx(store_cluster: Cluster) -> AsyncIterator[Context]:
    """Return a running Daypass around an empty store."""
    async with running_store(store_cluster) as store:
        yield context_of(store)


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    """Return where the log is published."""
    return LogFolder(tmp_path / "log")


@pytest.fixture
def sequencer(ctx: Context, folder: LogFolder) -> Callable[[], Sequencer]:
    """Return what makes sequencers, as each process has one."""
    return lambda: Sequencer(ctx, folder, [KEY])


async def append_some(ctx: Context, count: int, *, first: int = 0) -> None:
    """Append entries in one transaction."""
    new = [
        Entry(
            EntryKind.CONFIGURATION_CHANGED,
            address=f"192.0.2.{number % 250}",
            content={"key": f"k{number}", "text": "Erika Mustermann"},
        )
        for number in range(first, first + count)
    ]
    async with ctx.store.transaction() as tx:
        await entries.append_all(tx, new)


def verified(folder: LogFolder) -> Verified:
    """Verify the published log, as anybody could."""
    return verify_log(folder.read, [KEY.verifier], KEY.name)

"""The journal when the disk is full or fails, on a real file system and under a real limit."""

import asyncio
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Unavailable
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.limits import JournalLimits
from tests.conftest import lacking
from tests.integration.gateway.journal_process import statement

_MIB = 2**20
_LIMITS = JournalLimits(segment_bytes=_MIB // 4, limit_bytes=64 * _MIB)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of one MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        lacking("this process may not mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(journal: Journal) -> Unavailable:
    """Write statements until no more are taken."""
    number = 1
    try:
        while True:
            number += 1
            journal.append(statement(number, EntryKind.STATEMENT_STARTED))
            journal.append(statement(number, EntryKind.STATEMENT_ENDED))
    except Unavailable as error:
        return error


def test_a_full_disk_shows_before_a_statement_is_taken(small_disk: Path) -> None:
    journal = JournalFolders(small_disk / "j", b"k" * 32, StoreClock(), _LIMITS).begin()
    journal.append(statement(1, EntryKind.STATEMENT_STARTED))
    error = _fill(journal)
    assert error.detail_code == "journal_full"
    assert "No space left" in error.message
    # Of running statements as many can still end as a quarter of a segment holds.
    room = journal.sequence
    for number in range(100):
        journal.append(Entry(EntryKind.STATEMENT_ENDED, content={"statement": f"2.{number}"}))
    journal.append(statement(1, EntryKind.STATEMENT_ENDED))
    asyncio.run(journal.synced(journal.sequence))
    assert journal.sequence == room + 101
    # Somebody makes the disk larger: not before `recover` is anything new taken.
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    with pytest.raises(Unavailable):
        journal.append(statement(2, EntryKind.STATEMENT_STARTED))
    assert journal.recover()
    assert journal.append(statement(2, EntryKind.STATEMENT_STARTED)) == room + 102
    asyncio.run(journal.synced(journal.sequence))
    assert _count(journal) == journal.sequence
    journal.close()


def test_on_a_full_disk_no_journal_is_begun_and_an_old_one_is_recovered(small_disk: Path) -> None:
    folders = JournalFolders(small_disk / "j", b"k" * 32, StoreClock(), _LIMITS)
    journal = folders.begin()
    journal.append(statement(1, EntryKind.STATEMENT_STARTED))
    journal.close()
    free = os.statvfs(small_disk)
    with (small_disk / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize)
    with pytest.raises(Unavailable) as caught:
        folders.begin()
    assert caught.value.detail_code == "journal_full"
    found = [each for each in folders.left_behind() if isinstance(each, Journal)]
    assert [(each.id, each.open_statements) for each in found] == [(journal.id, ())]
    found[0].close()


def _count(journal: Journal) -> int:
    count = 0
    while records := journal.read(count):
        count = records[-1].sequence
    return count


def _in_a_child(work: Callable[[], None]) -> None:
    """Do something in a process of its own, whose limits are its own too."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("room", [0, 100])
def test_a_write_that_fails_or_is_cut_short_breaks_it_until_the_disk_works(
    tmp_path: Path, room: int
) -> None:
    def work() -> None:
        journal = JournalFolders(tmp_path / "j", b"k" * 32, StoreClock(), _LIMITS).begin()
        for number in range(1, 10):
            journal.append(statement(number, EntryKind.STATEMENT_STARTED))
        end = journal._segments[-1].end
        # As it was before: what lies beyond cannot be written, and of the next record only a part.
        resource.setrlimit(resource.RLIMIT_FSIZE, (end + room, resource.RLIM_INFINITY))
        for _ in range(3):
            try:
                journal.append(statement(10, EntryKind.STATEMENT_STARTED))
            except Unavailable as error:
                assert error.detail_code == "journal_broken", error.message  # noqa: PT017
            else:
                raise AssertionError("it was taken")
        assert not journal.recover()
        # What is there can be read by whoever takes it over: the part is cut off.
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert journal.recover()
        assert journal.append(statement(10, EntryKind.STATEMENT_STARTED)) == 10
        asyncio.run(journal.synced(10))
        assert _count(journal) == 10
        journal.close()

    _in_a_child(work)

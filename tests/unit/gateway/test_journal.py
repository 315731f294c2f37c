"""The journal on real files: order, rotation, recovery, and every way its tail can be damaged."""

import asyncio
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Unavailable
from daypass.domain.ids import DatabaseId, GrantId, PrincipalId, SessionId
from daypass.gateway.journal import journal as journal_module
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.files import boot_id
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.format import Corrupt, Seal
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.limits import JournalLimits
from daypass.gateway.journal.recovery import Found, read_journal

KEY = b"k" * 32
SMALL = JournalLimits(segment_bytes=4096, limit_bytes=40 * 4096)


def started(number: int, text: str = "select 1") -> Entry:
    """Return the start of a session's statement."""
    return Entry(
        EntryKind.STATEMENT_STARTED,
        actor_id=PrincipalId(1),
        database_id=DatabaseId(2),
        grant_id=GrantId(3),
        session_id=SessionId(4),
        content={"statement": f"4.{number}", "text": text},
    )


def ended(number: int) -> Entry:
    """Return its end."""
    return Entry(
        EntryKind.STATEMENT_ENDED,
        session_id=SessionId(4),
        content={"statement": f"4.{number}", "outcome": "done"},
    )


@pytest.fixture
def folders(tmp_path: Path) -> JournalFolders:
    """Return where journals are, with small segments."""
    return JournalFolders(tmp_path / "journals", KEY, StoreClock(), SMALL)


@pytest.fixture
def journal(folders: JournalFolders) -> Iterator[Journal]:
    """Return a new journal."""
    made = folders.begin()
    yield made
    made.close()


def on_disk(journal: Journal) -> None:
    """Wait until everything is on disk."""
    asyncio.run(journal.synced(journal.sequence))


def contents(journal: Journal, after: int = 0) -> list[dict[str, object]]:
    """Return the content of every entry after one."""
    on_disk(journal)
    found: list[dict[str, object]] = []
    while records := journal.read(after, most=7):
        for record in records:
            after += 1
            content = msgspec.json.decode(record.body)["content"]
            assert record.sequence == after == content["sequence"]
            assert content["journal"] == str(journal.id)
            found.append(content)
    return found


def take_over(folders: JournalFolders) -> Journal:
    """Take over the only journal left behind, as a process that has just started."""
    (found,) = JournalFolders(folders.root, folders.key, StoreClock(), SMALL).left_behind()
    if isinstance(found, Unavailable):
        raise found
    return found


def test_entries_come_out_as_they_went_in_over_many_segments(journal: Journal) -> None:
    for number in range(1, 101):
        assert journal.append(started(number, "x" * number)) == number
    assert [each["text"] for each in contents(journal)] == ["x" * n for n in range(1, 101)]
    assert len(contents(journal, 60)) == 40
    assert len(list(journal.folder.glob("*.segment"))) > 5


def test_what_is_shipped_is_removed_but_for_the_last_segment(journal: Journal) -> None:
    for number in range(1, 61):
        journal.append(started(number))
        journal.append(ended(number))
    on_disk(journal)
    before = journal.used_bytes
    journal.acknowledge(60)
    assert journal.used_bytes < before
    assert len(contents(journal, 60)) == 60
    journal.acknowledge(journal.sequence)
    assert len(list(journal.folder.glob("*.segment"))) == 1


def test_files_are_for_their_owner_alone(folders: JournalFolders, journal: Journal) -> None:
    journal.append(started(1))
    assert stat.S_IMODE(folders.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700
    for path in journal.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    folders.root.chmod(0o750)
    with pytest.raises(Unavailable) as caught:
        folders.begin()
    assert caught.value.detail_code == "journal_open_to_others"


def test_nobody_takes_a_journal_in_use(folders: JournalFolders, journal: Journal) -> None:
    journal.append(started(1))
    assert list(folders.left_behind()) == []
    other = folders.begin()
    assert other.folder != journal.folder
    other.close()


def test_a_journal_goes_on_where_it_was_left(folders: JournalFolders) -> None:
    journal = folders.begin()
    for number in (1, 2, 3):
        journal.append(started(number))
    journal.append(ended(2))
    journal.close()
    found = take_over(folders)
    assert found.id == journal.id
    last = contents(found)[4:]
    assert [(each["statement"], each["outcome"]) for each in last] == [
        ("4.1", "unknown"), ("4.3", "unknown"),
    ]  # fmt: skip
    assert found.open_statements == ()
    found.remove()
    assert list(folders.root.iterdir()) == []


def test_a_statement_is_ended_though_its_start_was_shipped_and_removed(
    folders: JournalFolders,
) -> None:
    journal = folders.begin()
    journal.append(started(1))
    for number in range(2, 60):
        journal.append(started(number))
        journal.append(ended(number))
    on_disk(journal)
    journal.acknowledge(journal.sequence)
    shipped = journal.sequence
    journal.close()
    found = take_over(folders)
    (end,) = contents(found, shipped)
    assert (end["statement"], end["outcome"]) == ("4.1", "unknown")
    found.close()


def read(folder: Path) -> Found:
    """Read a journal without taking it over."""
    return read_journal(folder, Seal(uuid.UUID(folder.name), KEY), boot_id())


@pytest.fixture
def left(folders: JournalFolders) -> Path:
    """Return the only segment of a journal that was left with five records, all ended."""
    journal = folders.begin()
    for number in range(1, 6):
        journal.append(started(number) if number % 2 else ended(number - 1))
    on_disk(journal)
    (path,) = journal.folder.glob("*.segment")
    journal.close()
    return path


def _ends(path: Path) -> list[int]:
    """Return where records end, by their marks."""
    data = path.read_bytes().rstrip(b"\0")
    starts = []
    at = data.find(b"\xd1\x9a\x0d\xa1")
    while at != -1:
        starts.append(at)
        at = data.find(b"\xd1\x9a\x0d\xa1", at + 1)
    return [*starts, len(data)]


def _again(folders: JournalFolders, path: Path, change: Callable[[bytearray], object]) -> int:
    """Damage a copy of what was left, take it over, and return how many old records there are."""
    keep = path.read_bytes()
    data = bytearray(keep)
    change(data)
    path.write_bytes(data)
    try:
        journal = take_over(folders)
        unknown = [each for each in contents(journal) if each.get("outcome") == "unknown"]
        assert journal.append(started(99)) == journal.sequence
        assert len(contents(journal)) == journal.sequence
        journal.close()
        return journal.sequence - len(unknown) - 1
    finally:
        for made in set(path.parent.glob("*.segment")) - {path}:
            made.unlink()
        path.write_bytes(keep)


def test_a_last_record_cut_off_at_any_byte_is_cut_off(folders: JournalFolders, left: Path) -> None:
    *_, start, end = _ends(left)
    for at in range(start, end):

        def end_file(data: bytearray, at: int = at) -> None:
            del data[at:]

        def zero(data: bytearray, at: int = at) -> None:
            # The space that was reserved reads as zeros.
            data[at:] = bytes(len(data) - at)

        if at % 16 == 0:
            assert _again(folders, left, end_file) == 4, at
            assert _again(folders, left, zero) == 4, at
        whole = left.read_bytes()
        for change in (end_file, zero):
            data = bytearray(whole)
            change(data)
            left.write_bytes(data)
            found = read(left.parent)
            assert (found.last, len(found.open)) == (4, 0), at
            # A header that ends in zeros may look shorter than it is.
            assert 0 <= found.cut_bytes <= at - start
        left.write_bytes(whole)


def test_a_changed_byte_anywhere_is_found_and_nothing_is_touched(
    folders: JournalFolders, left: Path
) -> None:
    """The last record too: what a process wrote in part ends in zeros, and never is whole."""
    ends = _ends(left)
    whole = left.read_bytes()
    for at in range(ends[-1]):
        changed = bytearray(whole)
        changed[at] ^= 0x20
        left.write_bytes(changed)
        with pytest.raises(Corrupt) as caught:
            take_over(folders) if at % 64 == 0 else read(left.parent)
        if at >= ends[0]:
            assert caught.value.offset == max(each for each in ends if each <= at)
        assert left.name in caught.value.message
        assert left.read_bytes() == changed
    left.write_bytes(whole)


def test_records_left_out_moved_or_taken_from_elsewhere_are_found(
    folders: JournalFolders, left: Path
) -> None:
    ends = _ends(left)
    whole = left.read_bytes()
    records = [whole[a:b] for a, b in pairwise(ends)]
    head, rest = whole[: ends[0]], bytes(len(whole) - ends[-1])
    for wrong in (
        [0, 1, 3, 4], [1, 2, 3, 4], [0, 2, 1, 3, 4], [0, 1, 1, 2, 3, 4], [0, 1, 2, 3, 4, 0],
    ):  # fmt: skip
        left.write_bytes(head + b"".join(records[each] for each in wrong) + rest)
        with pytest.raises(Corrupt):
            take_over(folders)
    other = folders.begin()
    other.append(started(1))
    on_disk(other)
    (elsewhere,) = other.folder.glob("*.segment")
    other.close()
    shutil.copy(elsewhere, left)
    problems = [each for each in folders.left_behind() if isinstance(each, Corrupt)]
    assert len(problems) == 1


def test_a_segment_that_is_missing_is_found(folders: JournalFolders) -> None:
    journal = folders.begin()
    for number in range(1, 60):
        journal.append(started(number))
    journal.close()
    paths = sorted(journal.folder.glob("*.segment"))
    assert len(paths) > 3
    aside = paths[1].with_suffix(".gone")
    paths[1].rename(aside)
    with pytest.raises(Corrupt, match="a segment is missing"):
        take_over(folders)
    paths[2].rename(paths[1])
    aside.rename(paths[2])
    with pytest.raises(Corrupt, match="renamed"):
        take_over(folders)


def test_another_secret_key_reads_nothing(folders: JournalFolders, left: Path) -> None:
    other = JournalFolders(folders.root, b"l" * 32, StoreClock(), SMALL)
    with pytest.raises(Corrupt, match="another secret key"):
        take_over(other)


class TestAfterTheMachineStopped:
    """What was not on disk may be missing in any order; what was is never given up."""

    @pytest.fixture
    def unsynced(self, folders: JournalFolders, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return a segment of which records 1 and 2 are said to be on disk, and 3 to 6 are not."""
        monkeypatch.setattr(journal_module, "boot_id", lambda: "before")
        journal = folders.begin()
        journal.append(started(1))
        journal.append(ended(1))
        on_disk(journal)
        journal._commit.stop()  # what comes now stays in memory
        for number in range(2, 6):
            journal.append(started(number))
        (path,) = journal.folder.glob("*.segment")
        os.close(journal._lock_fd)
        monkeypatch.setattr(journal_module, "boot_id", lambda: "after")
        return path

    def test_a_hole_in_what_was_not_on_disk_ends_the_journal(
        self, folders: JournalFolders, unsynced: Path
    ) -> None:
        ends = _ends(unsynced)

        def lose(data: bytearray) -> None:
            data[ends[3] : ends[4]] = bytes(ends[4] - ends[3])

        assert _again(folders, unsynced, lose) == 3

    def test_a_hole_in_what_was_on_disk_is_corruption(
        self, folders: JournalFolders, unsynced: Path
    ) -> None:
        ends = _ends(unsynced)
        whole = unsynced.read_bytes()
        for record in (0, 1):
            data = bytearray(whole)
            data[ends[record] + 60] ^= 1
            unsynced.write_bytes(data)
            with pytest.raises(Corrupt) as caught:
                take_over(folders)
            assert caught.value.offset == ends[record]


def test_synced_says_so_only_when_it_is_on_disk(journal: Journal) -> None:
    async def check() -> None:
        for number in range(1, 50):
            sequence = journal.append(started(number))
            await journal.synced(sequence)
            assert journal.synced_sequence >= sequence

    asyncio.run(check())


def test_the_limit_ends_new_statements_and_lets_running_ones_end(
    folders: JournalFolders, journal: Journal
) -> None:
    journal.append(started(1))
    number = 1

    def fill() -> None:
        nonlocal number
        while True:
            number += 1
            journal.append(started(number))
            journal.append(ended(number))

    with pytest.raises(Unavailable) as caught:
        fill()
    assert caught.value.detail_code == "journal_full"
    assert str(SMALL.limit_bytes) in caught.value.message
    assert journal.used_bytes <= SMALL.limit_bytes
    sequence = journal.sequence
    assert [each.reference for each in journal.open_statements] == ["4.1"]
    assert journal.append(ended(1)) == sequence + 1
    with pytest.raises(Unavailable):
        journal.append(started(number))
    # Nothing was shipped: there still is no space.
    assert not journal.recover()
    on_disk(journal)
    journal.acknowledge(journal.sequence)
    assert journal.recover()
    assert journal.append(started(number)) == sequence + 2


def test_an_error_of_syncing_breaks_it_until_it_is_recovered(
    folders: JournalFolders, journal: Journal, tmp_path: Path
) -> None:
    journal.append(started(1))
    on_disk(journal)
    read_end, write_end = os.pipe()
    kept = os.dup(journal._fd)
    # Written to a pipe nothing can be synced, nor written at a position.
    os.dup2(write_end, journal._fd)
    with pytest.raises(Unavailable) as caught:
        journal.append(started(2))
    assert caught.value.detail_code == "journal_broken"
    for entry in (started(2), ended(1)):
        with pytest.raises(Unavailable):
            journal.append(entry)
    for each in (read_end, write_end, kept):
        os.close(each)
    assert journal.recover()
    # The end that could not be written is there by now.
    assert journal.open_statements == ()
    assert journal.append(started(2)) == 3
    assert [each["statement"] for each in contents(journal)] == ["4.1", "4.1", "4.2"]


def test_a_record_larger_than_a_segment_gets_one_of_its_own(journal: Journal) -> None:
    journal.append(started(1, "x" * 9000))
    journal.append(started(2))
    assert [len(str(each["text"])) for each in contents(journal)] == [9000, 8]


def test_records_that_wait_too_long_to_be_stored_let_nothing_new_in(tmp_path: Path) -> None:
    limits = JournalLimits(4096, 40 * 4096, limit_age_s=0.05)
    journal = JournalFolders(tmp_path / "j", KEY, StoreClock(), limits).begin()
    first = journal.append(started(1))
    journal.look_at_age()
    journal.require_ready()
    time.sleep(0.06)
    journal.look_at_age()
    with pytest.raises(Unavailable) as caught:
        journal.append(started(2))
    assert caught.value.detail_code == "journal_full"
    assert journal.is_full
    # What runs may end; nothing new begins until the store has what waited.
    end = journal.append(ended(1))
    assert not journal.recover()
    journal.acknowledge(first)
    journal.acknowledge(end)
    assert journal.recover()
    journal.append(started(2))
    journal.close()

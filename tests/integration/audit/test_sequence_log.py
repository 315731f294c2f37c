"""Every entry gets one place, is published, and store and tiles prove each other."""

import asyncio
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import aics_tlog
import psycopg
import pytest

from daypass.audit.entry import Entry, EntryKind, Json, canonical, utc_text
from daypass.audit.leaf import open_leaf, read_leaf, seal_keys
from daypass.audit.tiles import read_bundle
from daypass.domain.errors import Conflict, Unavailable
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.shipping import finish
from daypass.operations.context import Context
from daypass.operations.sequence_log import LOCK, Sequencer, open_subject_keys
from daypass.operations.ship_journal import ship_journal
from daypass.store import entries, journals, log
from daypass.store.database import now
from daypass.store.log_folder import LogFolder
from tests.integration.audit.conftest import KEY, append_some, verified

Make = Callable[[], Sequencer]


async def test_entries_are_placed_once_and_published(
    ctx: Context, folder: LogFolder, sequencer: Make
) -> None:
    one = sequencer()
    empty = await one.run_round()
    assert empty is not None
    assert empty.size == 0
    assert verified(folder).checkpoint.size == 0
    for count, size in ((1, 1), (255, 256), (600, 856), (3, 859)):
        await append_some(ctx, count)
        done = await one.run_round()
        assert done is not None
        assert (done.count, done.size) == (count, size)
        assert verified(folder).checkpoint.size == size
    idle = await one.run_round()
    assert idle is not None
    assert idle.count == 0
    # What is full has no partial parts any more.
    for path in ("tile/0/000", "tile/entries/000", "tile/0/002"):
        assert (folder.root / path).is_file()
        assert not (folder.root / f"{path}.p").exists()


async def test_others_read_the_folder_and_find_the_same(
    ctx: Context, folder: LogFolder, sequencer: Make
) -> None:
    await append_some(ctx, 700)
    await sequencer().run_round()
    note = aics_tlog.parse_note((folder.root / "checkpoint").read_text())
    checkpoint = aics_tlog.parse_checkpoint(note.text)
    assert aics_tlog.verify_note(note, [aics_tlog.parse_vkey(str(KEY.verifier))])
    reader = aics_tlog.FileSystemTileReader(folder.root)
    assert aics_tlog.tree_root_from_tiles(reader, 700) == checkpoint.root
    aics_tlog.audit_tiles(reader, 700, checkpoint.root)
    leaf = aics_tlog.read_entry(reader, 699, 700)
    proof = aics_tlog.inclusion_proof_from_tiles(reader, 699, 700)
    assert aics_tlog.verify_leaf_inclusion(leaf, 699, 700, proof, checkpoint.root)


async def test_what_is_personal_is_sealed_and_opens_with_its_key(
    ctx: Context, folder: LogFolder, sequencer: Make
) -> None:
    await append_some(ctx, 1)
    await sequencer().run_round()
    data = folder.read("tile/entries/000.p/1")
    assert data is not None
    for personal in (b"Erika", b"192.0.2"):
        assert personal not in data
    leaf = read_leaf(read_bundle("", data)[0])
    async with ctx.store.connection() as connection:
        seals = leaf["sealed"]
        assert isinstance(seals, list)
        subjects = [str(each["subject"]) for each in seals]
        sealed = await log.find_subject_keys(connection, subjects)
        row = await (await connection.execute("select canonical from entry")).fetchone()
    entry = open_leaf(leaf, seal_keys(leaf, open_subject_keys(ctx, sealed)))
    assert row is not None
    assert entry["content"]["text"] == "Erika Mustermann"  # type: ignore[index,call-overload]
    assert row[0].count("Erika") == 1


async def test_two_processes_place_nothing_twice_while_many_append(
    ctx: Context, folder: LogFolder, sequencer: Make
) -> None:
    start = asyncio.Barrier(6)
    done = asyncio.Event()

    async def write(number: int) -> None:
        await start.wait()
        for part in range(10):
            await append_some(ctx, 7, first=number * 100 + part * 7)

    async def sequence(each: Sequencer) -> None:
        await start.wait()
        while not done.is_set():
            await each.run_round()

    async with asyncio.TaskGroup() as group:
        loops = [group.create_task(sequence(sequencer())) for _ in range(2)]
        writers = [group.create_task(write(number)) for number in range(4)]
        await asyncio.wait(writers)
        done.set()
        await asyncio.wait(loops)
    await sequencer().run_round()
    assert verified(folder).checkpoint.size == 280


async def test_while_another_process_is_at_it_nothing_is_done(
    ctx: Context, folder: LogFolder, sequencer: Make
) -> None:
    await append_some(ctx, 3)
    async with ctx.store.try_locks([LOCK]) as held:
        assert held == (True,)
        assert await sequencer().run_round() is None
    assert folder.read("checkpoint") is None


async def test_an_entry_of_a_transaction_that_is_late_comes_after_later_numbers(
    ctx: Context, folder: LogFolder, sequencer: Make
) -> None:
    one = sequencer()
    async with ctx.store.transaction() as tx:
        late = await entries.append(tx, Entry(EntryKind.RECONCILED))
        await append_some(ctx, 5)
        await one.run_round()
        assert verified(folder).checkpoint.size == 5
    await one.run_round()
    assert verified(folder).checkpoint.size == 6
    async with ctx.store.connection() as connection:
        assert await log.find_place(connection, late) == 5


async def test_records_of_a_journal_are_provably_whole(
    ctx: Context, folder: LogFolder, sequencer: Make
) -> None:
    journal = uuid.uuid4()
    async with ctx.store.transaction() as tx:
        moment = await now(tx)
        await journals.insert_journal(tx, journal, uuid.uuid4(), "host")

    def record(sequence: int) -> str:
        content: dict[str, Json] = {
            "journal": str(journal),
            "sequence": sequence,
            "text": "select 1",
        }
        return canonical(Entry(EntryKind.STATEMENT_STARTED, content=content), moment)

    one = sequencer()
    for first in (1, 4, 11):
        async with ctx.store.transaction() as tx:
            held = await journals.hold_journal(tx, journal)
            assert held is not None
            texts = [record(first + number) for number in range(3 if first == 1 else 7)]
            await journals.append_records(tx, held, first, texts)
        await one.run_round()
    assert verified(folder).journals == {str(journal): 17}
    assert utc_text(moment)


async def test_a_gateways_journal_comes_through_whole_and_in_order(
    ctx: Context, folder: LogFolder, sequencer: Make, tmp_path: Path
) -> None:
    journal = JournalFolders(tmp_path / "journals", b"k" * 32, StoreClock()).begin()
    one = sequencer()
    for part in range(3):
        for number in range(40):
            at = journal.append(
                Entry(EntryKind.STATEMENT_DENIED, content={"text": f"select {part}.{number}"})
            )
            await append_some(ctx, number % 2)
        await journal.synced(at)
        await ship_journal(ctx, journal)
        await one.run_round()
    assert await finish(ctx, journal)
    await one.run_round()
    found = verified(folder)
    assert found.journals == {str(journal.id): 120}
    # With a note of its beginning and its end.
    assert found.checkpoint.size == 120 + 60 + 2


@pytest.mark.parametrize("cut", ["places", "parts", "checkpoint"])
async def test_whatever_was_not_finished_is_finished_by_the_next(
    ctx: Context, folder: LogFolder, sequencer: Make, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append_some(ctx, 300)
    await sequencer().run_round()
    await append_some(ctx, 900, first=300)
    dying = sequencer()
    if cut == "checkpoint":
        monkeypatch.setattr(folder, "write_checkpoint", _fails)
    else:
        written = folder.write_parts
        left = iter(range(1 if cut == "parts" else 0))

        def some(parts: dict[str, bytes]) -> None:
            if next(left, None) is None:
                _fails()
            written(parts)

        monkeypatch.setattr(folder, "write_parts", some)
    with pytest.raises(Unavailable):
        await dying.run_round()
    monkeypatch.undo()
    assert verified(folder).checkpoint.size == 300
    await sequencer().run_round()
    assert verified(folder).checkpoint.size == 1200


async def test_a_lost_folder_is_made_anew_from_the_rows_byte_for_byte(
    ctx: Context, folder: LogFolder, sequencer: Make, tmp_path: Path
) -> None:
    for part in range(3):
        await append_some(ctx, 200, first=part * 200)
        await sequencer().run_round()
    kept = tmp_path / "kept"
    shutil.move(folder.root, kept)
    await sequencer().run_round()
    assert verified(folder).checkpoint.size == 600
    for path in kept.rglob("*"):
        if path.is_file() and ".p/" not in str(path):
            assert (folder.root / path.relative_to(kept)).read_bytes() == path.read_bytes()


async def test_a_store_put_back_to_an_older_state_signs_nothing(
    ctx: Context, folder: LogFolder, sequencer: Make
) -> None:
    await append_some(ctx, 10)
    await sequencer().run_round()
    before = (folder.root / "checkpoint").read_bytes()
    await _as_superuser(
        ctx,
        "delete from log_checkpoint where size > 4",
        "delete from log_place where index > 4",
        "delete from entry where id > 5",
    )
    await append_some(ctx, 2)
    with pytest.raises(Conflict, match="put back to an older state") as caught:
        await sequencer().run_round()
    assert caught.value.detail_code == "log_forked"
    assert (folder.root / "checkpoint").read_bytes() == before


@pytest.mark.parametrize(
    "sql",
    [
        """
        update entry set canonical = replace(canonical, 'k3', 'k4'),
          digest = sha256(convert_to(replace(canonical, 'k3', 'k4'), 'UTF8')) where id = 4
        """,
        "delete from entry where id = 4",
        "update log_place set hash = sha256('x') where index = 3",
        "update log_place set entry_id = 100 + entry_id where index = 3",
        "update subject_key set key = null, erased_at = now()",
    ],
)
async def test_rows_that_were_changed_are_named_when_the_folder_is_made_anew(
    ctx: Context, folder: LogFolder, sequencer: Make, sql: str
) -> None:
    await append_some(ctx, 10)
    await sequencer().run_round()
    await _as_superuser(ctx, sql)
    shutil.rmtree(folder.root)
    with pytest.raises(Conflict, match=r"leaf 3|the key of nobody") as caught:
        await sequencer().run_round()
    assert caught.value.detail_code == "log_forked"


async def test_tiles_that_were_changed_stop_the_next_process(
    ctx: Context, folder: LogFolder, sequencer: Make
) -> None:
    await append_some(ctx, 10)
    await sequencer().run_round()
    tile = folder.root / "tile/0/000.p/10"
    data = tile.read_bytes()
    tile.chmod(0o640)
    tile.write_bytes(data[:32] + data[:32] + data[64:])
    with pytest.raises(Conflict, match="tiles that were published were changed"):
        await sequencer().run_round()


async def test_a_part_that_is_there_is_never_written_over(folder: LogFolder) -> None:
    folder.write_parts({"tile/0/000": b"one"})
    folder.write_parts({"tile/0/000": b"one"})
    with pytest.raises(Conflict, match="is already there, and another one"):
        folder.write_parts({"tile/0/000": b"two"})
    assert folder.read("tile/0/000") == b"one"
    for outside in ("../x", "/etc/passwd", "tile//x", ".hidden", "tile/../../x"):
        with pytest.raises(ValueError, match="no path of a log"):
            folder.read(outside)


async def test_places_and_checkpoints_are_never_changed(ctx: Context, sequencer: Make) -> None:
    await append_some(ctx, 2)
    await sequencer().run_round()
    for table in ("log_place", "log_checkpoint"):
        for sql in (f"delete from {table}", f"truncate {table}"):
            async with ctx.store.connection() as connection:
                with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
                    await connection.execute(sql)


def _fails(*_: object) -> None:
    raise Unavailable("the disk is full")


async def _as_superuser(ctx: Context, *statements: str) -> None:
    """Do what an insider with the store could: switch triggers off."""
    async with ctx.store.transaction() as tx:
        await tx.execute("set local session_replication_role = replica")
        for each in statements:
            await tx.execute(each)

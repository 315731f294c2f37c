"""Whatever is done to a row, by somebody who may switch triggers off, is named."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from daypass.domain.errors import Denied
from daypass.domain.principal import Actor
from daypass.operations.check_rows import RowsChecked, check_rows
from daypass.operations.context import Context
from daypass.operations.log_parts import PublishedLog
from daypass.operations.sequence_log import Sequencer
from daypass.store.log_folder import LogFolder
from tests.integration.audit.conftest import KEY, append_some
from tests.people import first_admin, person

Make = Callable[[], Sequencer]
CHANGES = {
    "flip the text": """
        update entry set canonical = replace(canonical, 'Erika', 'Erikb'),
          digest = sha256(convert_to(replace(canonical, 'Erika', 'Erikb'), 'UTF8')),
          content = replace(content::text, 'Erika', 'Erikb')::jsonb where id = {id}""",
    "what is shown": """
        update entry set content = content || '{{"text": "nothing"}}' where id = {id}""",
    "who": "update entry set actor_id = (select min(id) from principal) where id = {id}",
    "from where": "update entry set address = '198.51.100.1' where id = {id}",
    "when": "update entry set at = at - interval '1 day' where id = {id}",
    "what kind": "update entry set kind = 'login.started' where id = {id}",
    "by which rule": "update entry set rule = 'another' where id = {id}",
    "drop": "delete from entry where id = {id}",
    "drop with its place": """
        with gone as (delete from log_place where entry_id = {id} returning 1)
        delete from entry where id = {id} and exists (select from gone)""",
    "swap": """
        update log_place p set entry_id = o.entry_id from log_place o
        where p.entry_id in ({id}, {id} + 1) and o.entry_id = {id} * 2 + 1 - p.entry_id""",
    "its hash": "update log_place set hash = sha256('x') where entry_id = {id}",
    "its key": """
        update subject_key set key = null, erased_at = now() where subject = 'nobody'""",
}


@pytest.fixture
async def auditor(ctx: Context, folder: LogFolder) -> Actor:
    """Return the first admin."""
    return await first_admin(ctx)


@pytest.fixture
async def logged(ctx: Context, folder: LogFolder) -> Context:
    """Return the running Daypass with its log."""
    return replace(ctx, log=PublishedLog(folder, (KEY.verifier,)))


async def _changed(ctx: Context, sql: str) -> None:
    async with ctx.store.transaction() as tx:
        await tx.execute("set local session_replication_role = replica")
        await tx.execute("alter table log_place drop constraint log_place_once")
        await tx.execute(sql)


async def test_rows_as_they_were_published(
    logged: Context, auditor: Actor, sequencer: Make
) -> None:
    await append_some(logged, 300)
    await sequencer().run_round()
    found = await check_rows(logged, auditor, 0)
    assert found == RowsChecked(found.checked, None, ())
    assert found.checked >= 300
    assert (await check_rows(logged, auditor, 200)).checked == found.checked - 200


async def test_members_may_not(logged: Context, auditor: Actor) -> None:
    bob = await person(logged, auditor, "bob@example.com")
    with pytest.raises(Denied):
        await check_rows(logged, bob, 0)


@pytest.mark.parametrize("change", CHANGES)
async def test_each_change_of_a_row_is_named(
    logged: Context, auditor: Actor, sequencer: Make, change: str
) -> None:
    await append_some(logged, 12)
    await sequencer().run_round()
    async with logged.store.connection() as connection:
        row = await (
            await connection.execute("select entry_id, index from log_place where index = 7")
        ).fetchone()
    assert row is not None
    entry_id, index = row
    await _changed(logged, CHANGES[change].format(id=entry_id))
    found = await check_rows(logged, auditor, 0)
    assert index in {each.index for each in found.problems}, found


async def test_rows_that_are_inserted_or_never_sequenced_are_told(
    logged: Context, auditor: Actor, sequencer: Make
) -> None:
    await append_some(logged, 3)
    await sequencer().run_round()
    await append_some(logged, 2)
    assert (await check_rows(logged, auditor, 0)).problems == ()
    await _changed(logged, "delete from log_waiting")
    (problem,) = (await check_rows(logged, auditor, 0)).problems
    assert problem.what == "2 rows have no place and do not wait for one"


async def test_a_store_put_back_to_an_older_state_lacks_what_is_published(
    logged: Context, auditor: Actor, sequencer: Make
) -> None:
    await append_some(logged, 9)
    await sequencer().run_round()
    await _changed(logged, "delete from log_place where index > 4")
    found = await check_rows(logged, auditor, 0)
    assert (5, "is published, and the store has no row for it") in {
        (each.index, each.what) for each in found.problems
    }

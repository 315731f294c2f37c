"""Sessions: opened, used, extended, shortened, cut at their deadline, and closed with proof."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daypass.domain.errors import Conflict, Error, Unavailable
from daypass.domain.masks import FullMask
from daypass.domain.secret import Secret
from daypass.engines.contract import Target
from tests.contract.adapter import Refused, Why
from tests.contract.conftest import C, World

WITHIN_S = 1.0


async def test_results_are_texts_with_names_and_counts(here: World) -> None:
    session = await here.open(await here.applied(here.customers()))
    result = await session.execute(
        "select id, name, born, null as nothing from customers where id <= 3 order by id"
    )
    assert [each.name for each in result.columns] == ["id", "name", "born", "nothing"]
    assert all(each.type for each in result.columns)
    assert result.rows[0] == ("1", "Name 1", "1990-01-02", None)
    assert (result.row_count, result.truncated, result.sqlstate) == (3, False, "")
    assert result.duration_s > 0
    empty = await session.execute("select id from customers where id < 0")
    assert (empty.rows, empty.row_count, len(empty.columns)) == ((), 0, 1)


async def test_big_results_are_cut_short(here: World) -> None:
    session = await here.open(await here.applied(here.customers()))
    result = await session.execute(here.under_test.dialect.series, max_rows=3)
    assert result.rows == (("1",), ("2",), ("3",))
    assert result.truncated
    assert await here.rows(session, "select count(*) from customers") == [("100",)]


async def test_errors_are_results_and_the_session_goes_on(here: World) -> None:
    session = await here.open(await here.applied(here.customers()))
    for statement in (here.under_test.dialect.fails, here.under_test.dialect.nonsense):
        result = await session.execute(statement)
        assert here.under_test.why(result.sqlstate) is Why.BROKEN
        assert result.error
        assert result.rows == ()
    assert await here.rows(session, "select count(*) from customers") == [("100",)]


async def test_a_statement_can_be_cancelled_from_outside_and_by_time(here: World) -> None:
    session = await here.open(await here.applied(here.customers()))
    sleep = here.under_test.dialect.sleep
    late = await session.execute(sleep, timeout_s=0.2)
    assert here.under_test.why(late.sqlstate) is Why.CANCELED
    task = asyncio.create_task(session.execute(sleep))
    await asyncio.sleep(0.2)
    await session.cancel()
    assert here.under_test.why((await task).sqlstate) is Why.CANCELED
    task = asyncio.create_task(session.execute(sleep))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await here.rows(session, "select count(*) from customers") == [("100",)]


async def test_a_held_sessions_next_statement_fails_at_the_deadline(here: World) -> None:
    plan = await here.applied(here.notes(C.SELECT, C.INSERT, C.UPDATE, C.DELETE))
    session = await here.open(plan, here.spec(timedelta(seconds=1.5)))
    assert await here.rows(session, "select count(*) from notes") == [("10",)]
    await here.rows(session, "begin")
    await asyncio.sleep(1.6)
    assert await here.why(session, "select * from notes") is Why.ENDED
    await session.execute("rollback")
    for statement in (
        "insert into notes (id, customer, body) values (99, 1, 'late')",
        "update notes set body = 'late'",
        "delete from notes",
        "select count(*) from notes",
    ):
        assert await here.why(session, statement) is Why.ENDED
    bodies = here.under_test.owner(f"select body from {here.under_test.schema}.notes")
    assert ("late",) not in bodies
    assert len(bodies) == 10


async def test_deadlines_are_moved_inside_the_database(here: World) -> None:
    plan = await here.applied(here.notes())
    session = await here.open(plan, here.spec(timedelta(seconds=1)))
    await here.target.set_deadline([session.account], datetime.now(UTC) + timedelta(minutes=5))
    await asyncio.sleep(1.1)
    assert await here.rows(session, "select count(*) from notes") == [("10",)]
    for _ in range(2):
        await here.target.set_deadline([session.account], datetime.now(UTC))
        assert await here.why(session, "select count(*) from notes") is Why.ENDED
    later = datetime.now(UTC) + timedelta(minutes=5)
    await here.target.set_deadline([session.account, "dp_g_never_1"], later)
    assert await here.rows(session, "select count(*) from notes") == [("10",)]


async def test_a_passed_deadline_opens_nothing(here: World) -> None:
    plan = await here.applied(here.notes())
    spec = here.spec(timedelta(seconds=-1))
    with pytest.raises(Conflict) as caught:
        await here.target.open_session(plan, spec)
    assert caught.value.detail_code == "deadline_passed"
    assert not here.under_test.exists(spec.account)


async def test_a_plan_that_was_never_applied_opens_nothing(here: World) -> None:
    plan = await here.plan(here.notes())
    spec = here.spec()
    with pytest.raises(Conflict) as caught:
        await here.target.open_session(plan, spec)
    assert caught.value.detail_code == "not_applied"
    assert not here.under_test.exists(spec.account)


async def test_an_account_left_by_a_crash_is_taken_over(here: World) -> None:
    plan = await here.applied(here.notes())
    spec = here.spec()
    first = await here.open(plan, spec)
    second = await here.open(plan, spec)
    assert await here.why(first, "select 1") is Why.CUT
    assert await here.rows(second, "select count(*) from notes") == [("10",)]
    assert set((await here.target.inventory()).backends) == {spec.account}


async def test_a_credential_works_until_it_ends(here: World) -> None:
    plan = await here.applied(here.customers(email=FullMask()))
    spec = here.spec(connection_limit=2)
    credential = await here.target.issue_credential(plan, spec)
    assert (credential.user, credential.database) == (spec.account, here.database)
    assert credential.password.reveal() not in repr(credential)
    client = here.under_test.client(credential)
    assert client.run("select email from customers where id = 1") == [("***",)]
    await here.target.set_deadline([spec.account], datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Refused) as held:
        client.run("select email from customers where id = 1")
    assert held.value.why is Why.ENDED
    with pytest.raises(Refused):
        here.under_test.client(credential)
    client.close()


async def test_a_credential_carries_nothing_that_only_a_cut_ends(here: World) -> None:
    plan = await here.applied(here.notes(C.SELECT, C.TRUNCATE))
    if not plan.timed_by_gateway:
        pytest.skip("this engine's views carry every class")
    with pytest.raises(Error) as caught:
        await here.target.issue_credential(plan, here.spec())
    assert caught.value.detail_code == "not_direct"


async def test_terminating_ends_backends_and_leaves_accounts(here: World) -> None:
    plan = await here.applied(here.notes())
    one, two = await here.open(plan), await here.open(plan)
    inventory = await here.target.inventory()
    assert inventory.backends == {
        one.account: (one.backend_id,),
        two.account: (two.backend_id,),
    }
    assert await here.target.terminate([one.account]) == 1
    assert await here.why(one, "select 1") is Why.CUT
    assert await here.rows(two, "select count(*) from notes") == [("10",)]
    assert await here.target.terminate([one.account]) == 0
    assert set((await here.target.inventory()).accounts) == {one.account, two.account}


async def test_closing_proves_that_nothing_is_left(here: World) -> None:
    plan = await here.applied(here.notes())
    before = here.under_test.footprint()
    session = await here.open(plan)
    for statement in here.under_test.dialect.leave_things:
        await here.rows(session, statement)
    started = time.monotonic()
    closure = await here.target.close([session.account])
    assert time.monotonic() - started < WITHIN_S
    assert closure.accounts == (session.account,)
    assert closure.missing == ()
    assert closure.closed_at is not None
    assert closure.removed_at is not None
    assert closure.closed_at <= closure.removed_at <= datetime.now(UTC)
    assert closure.terminated == 1
    assert closure.probes != ()
    assert await here.why(session, "select 1") is Why.CUT
    assert here.under_test.footprint() == before
    again = await here.target.close([session.account])
    assert (again.missing, again.terminated) == ((), 0)
    assert again.removed_at is not None


async def test_two_that_close_at_once_agree(here: World, targets: Callable[[str], Target]) -> None:
    plan = await here.applied(here.notes())
    sessions = [await here.open(plan) for _ in range(6)]
    accounts = [each.account for each in sessions]
    closures = await asyncio.gather(
        here.target.close(accounts),
        targets("test").close(accounts),
        targets("test").close(accounts),
    )
    assert [each.missing for each in closures] == [(), (), ()]
    assert not any(here.under_test.exists(each) for each in accounts)


async def test_many_open_and_close_at_once(here: World) -> None:
    plan = await here.applied(here.notes())
    before = here.under_test.footprint()
    sessions = await asyncio.gather(*(here.open(plan) for _ in range(20)))
    assert len((await here.target.inventory()).accounts) == 20
    counts = await asyncio.gather(
        *(here.rows(each, "select count(*) from notes") for each in sessions)
    )
    assert counts == [[("10",)]] * 20
    closure = await here.target.close([each.account for each in sessions])
    assert (closure.missing, closure.terminated) == ((), 20)
    assert here.under_test.footprint() == before


async def test_orphans_are_found_and_cleaned_up(
    here: World, targets: Callable[[str], Target]
) -> None:
    plan = await here.applied(here.notes())
    session = await here.open(plan)
    # Another process of the same Daypass, that knows nothing but what the target tells.
    other = targets("test")
    seen = await other.inventory()
    assert set(seen.accounts) == {session.account}
    assert seen.scopes == {(here.database, plan.scope_hash)}
    account = seen.accounts[session.account]
    assert not account.can_login
    assert account.scopes == {plan.scope_hash}
    assert account.excess == ()
    assert (await other.close(tuple(seen.accounts))).missing == ()
    for database, scope_hash in seen.scopes:
        await other.remove_scope(database, scope_hash)
    left = await here.target.inventory()
    assert (dict(left.accounts), left.scopes, dict(left.backends)) == ({}, frozenset(), {})


async def test_strangers_are_shown_and_never_touched(here: World) -> None:
    await here.applied(here.notes())
    stranger = here.under_test.make_stranger()
    try:
        inventory = await here.target.inventory()
        assert stranger not in inventory.accounts
        assert any(stranger in each for each in inventory.strangers)
        closure = await here.target.close([stranger])
        assert closure.closed_at is None
        assert closure.missing != ()
        assert here.under_test.exists(stranger)
    finally:
        here.under_test.drop_stranger(stranger)


async def test_closing_what_never_was_says_so(here: World) -> None:
    closure = await here.target.close([here.under_test.account()])
    assert closure.missing == ()
    assert closure.removed_at is not None
    assert closure.probes != ()


async def test_a_target_that_cannot_be_reached_says_so(here: World) -> None:
    nowhere = here.engine.connect(replace(here.under_test.address(), port=1))
    with pytest.raises(Unavailable):
        await nowhere.inventory()
    wrong = here.engine.connect(replace(here.under_test.address(), admin_password=Secret("wrong")))
    with pytest.raises(Unavailable):
        await wrong.databases()
    await nowhere.aclose()
    await wrong.aclose()

"""Using a grant: which one, what is on record, and what happens when something breaks."""

import asyncio
import resource
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from daypass.domain.ids import GrantId
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.embedded import Cluster
from daypass.operations.apply_policy import apply_policy
from daypass.operations.authorize_session import find_candidates
from daypass.operations.close_grant import close_grant
from daypass.operations.close_sessions import close_session
from daypass.operations.open_target import engine_of
from daypass.operations.reconcile_instance import reconcile_instance
from daypass.operations.revoke_grant import revoke_grant
from daypass.operations.run_query import CutBy, run_query
from daypass.store.entries import StoredEntry
from tests.story import MINUTE, granted, log, policy_with, session_of, until
from tests.world import World

C = StatementClass
SHOP = "prod/shop"


async def query(here: World, name: str, text: str, **more: object):  # type: ignore[no-untyped-def]
    """Run a query in somebody's name."""
    return await run_query(here.ctx, await here.actor(name), SHOP, text, **more)  # type: ignore[arg-type]


async def started_and_ended(here: World) -> tuple[StoredEntry, StoredEntry]:
    """Return the entries of the only statement."""
    (started,) = await log(here, EntryKind.STATEMENT_STARTED)
    (ended,) = await log(here, EntryKind.STATEMENT_ENDED)
    assert ended.content["statement"] == started.content["statement"] == f"{started.session_id}.1"
    assert ended.at >= started.at
    assert (ended.grant_id, ended.session_id) == (started.grant_id, started.session_id)
    return started, ended


async def nothing_left_open(here: World) -> bool:
    """Say whether every session is closed, or is about to be by a task that waits."""
    rows = await here.rows("select count(*) from session where state in ('opening', 'open')")
    return rows == [(0,)]


# Which grant


@pytest.mark.one_major
async def test_the_most_specific_grant_that_allows_it_is_used(here: World) -> None:
    wide = await here.grant("ada", "*.*")
    middle = await here.grant("ada", "sales.*")
    narrow = await here.grant("ada", "sales.orders")
    unmasking = await granted(
        here,
        await here.ask("ada", "sales.customers", unmask=("sales.customers.email",)),
        "dana",
        "samira",
    )
    assert (await query(here, "ada", "select count(*) from orders")).grant_id == narrow
    assert (await query(here, "ada", "select count(*) from products")).grant_id == middle
    assert (await query(here, "ada", "select count(*) from payments")).grant_id == wide
    joined = "select count(*) from orders join customers on customers.id = orders.customer_id"
    assert (await query(here, "ada", joined)).grant_id == middle
    # What none of them names without a schema is looked for by the server, with a hint.
    lost = await query(here, "ada", "select count(*) from payments", grant_id=narrow)
    assert lost.result.sqlstate == "42P01"
    assert "--relation billing.payments" in lost.result.hint
    # One that was approved for more is for what needs it.
    assert (await query(here, "ada", "select email from customers limit 1")).grant_id == unmasking
    chosen = await query(here, "ada", "select email from customers limit 1", grant_id=wide)
    assert chosen.grant_id == wide
    assert chosen.masked == ("email",)


@pytest.mark.one_major
async def test_another_s_grant_is_as_if_it_were_not(here: World) -> None:
    theirs = await here.grant("ada", "sales.orders")
    mine = await granted(here, await here.ask("ben", "sales.orders"), "dana")
    for name in ("ben", "robin", "dana"):
        with pytest.raises(NotFound) as foreign:
            await query(here, name, "select 1", grant_id=theirs)
        with pytest.raises(NotFound) as missing:
            await query(here, name, "select 1", grant_id=GrantId(998_877))
        assert foreign.value.message.replace(str(theirs), "N") == missing.value.message.replace(
            "998877", "N"
        )
        assert foreign.value.next_step == missing.value.next_step
    with pytest.raises(NotFound):
        await run_query(
            here.ctx, await here.actor("ben"), "prod/metrics", "select 1", grant_id=mine
        )
    with pytest.raises(Denied) as none:
        await run_query(here.ctx, await here.actor("ben"), "prod/metrics", "select 1")
    with pytest.raises(Denied) as nowhere:
        await run_query(here.ctx, await here.actor("ben"), "prod/nothing", "select 1")
    assert none.value.message.replace("metrics", "X") == nowhere.value.message.replace(
        "nothing", "X"
    )


@pytest.mark.one_major
async def test_a_denial_says_what_to_ask_for(here: World) -> None:
    await here.grant("ada", "sales.orders")
    with pytest.raises(Denied) as relation:
        await query(here, "ada", "select * from sales.customers")
    assert "sales.customers" in relation.value.message
    assert "--relation sales.customers" in relation.value.next_step
    with pytest.raises(Denied) as writing:
        await query(here, "ada", "delete from orders where id = 1")
    assert "--class delete" in writing.value.next_step
    with pytest.raises(Denied) as typo:
        await query(here, "ada", "select * from sales.ordres")
    assert typo.value.message
    with pytest.raises(Denied) as unread:
        await query(here, "ada", "selekt 1")
    assert unread.value.detail_code
    with pytest.raises(Denied) as none:
        await query(here, "fay", "select 1")
    assert f"daypass request {SHOP}" in none.value.next_step


@pytest.mark.one_major
async def test_the_nearest_grant_says_what_it_lacks(here: World) -> None:
    far = await here.grant("ada", "sales.products")
    near = await here.grant("ada", "sales.orders", "sales.customers")
    with pytest.raises(Denied) as writing:
        await query(here, "ada", "delete from sales.orders")
    assert writing.value.message == f"grant {near} lets you select on sales.orders, not delete"
    assert "--class delete --relation sales.orders" in writing.value.next_step
    (entry,) = await log(here, EntryKind.STATEMENT_DENIED)
    assert entry.grant_id == near != far
    with pytest.raises(Denied) as elsewhere:
        await query(here, "ada", "select * from hr.employees")
    assert elsewhere.value.message == f"grant {far} does not have hr.employees"


@pytest.mark.one_major
async def test_nobody_is_told_to_ask_for_what_is_left_out(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    with pytest.raises(Denied) as denied:
        await query(here, "ada", "select * from sales.open_orders")
    assert f"grant {grant_id} does not have sales.open_orders" in denied.value.message
    assert "sales.open_orders is left out: " in denied.value.message
    assert "security_invoker" in denied.value.message
    assert denied.value.next_step == "ask for the relations it is made of"
    # Without a schema it is the server that does not find it.
    other = await here.grant("ada", "billing.payments")
    found = await query(here, "ada", "select * from open_orders", grant_id=other)
    assert "sales.open_orders is left out: " in found.result.hint
    assert "daypass request" not in found.result.hint


# On record


async def test_a_statement_is_on_record_before_and_after(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    text = "select id, $1 from orders where id <= 3"
    outcome = await query(here, "ada", text, parameters=["a value"])
    assert outcome.result.row_count == 3
    started, ended = await started_and_ended(here)
    assert (started.actor, started.grant_id) == ("ada@example.com", grant_id)
    assert started.session_id == outcome.session_id
    assert started.content["text"] == text
    # A column of the relation is masked, and nobody says that it is not what this is held against.
    (kept,) = started.content["parameters"]
    assert kept.startswith("hmac-sha256:")
    assert started.content["classes"] == ["select"]
    assert started.content["read"] == ["orders"]
    assert ended.content["outcome"] == "done"
    assert (ended.content["rows"], ended.content["sqlstate"]) == (3, "")
    assert ended.content["size_bytes"] > 3 * len("a value")
    assert ended.content["duration_us"] > 0
    assert ended.content["command"] == "SELECT 3"
    (opened,) = await log(here, EntryKind.SESSION_OPENED)
    assert opened.session_id == outcome.session_id
    assert opened.id < started.id or opened.at <= started.at


async def test_a_value_that_nothing_masked_is_near_is_kept_as_it_is(here: World) -> None:
    await here.grant("ada", "sales.orders")
    await query(here, "ada", "select $1::text", parameters=["a value"])
    started, _ = await started_and_ended(here)
    assert started.content["parameters"] == ["a value"]


async def test_a_value_held_against_what_the_grant_lacks_is_not_kept_in_clear(here: World) -> None:
    await here.grant("ada", "sales.orders")
    with pytest.raises(Denied):
        await query(
            here,
            "ada",
            "select id from sales.customers where email = $1",
            parameters=["someone@example.com"],
        )
    [(kept,)] = await here.rows(
        "select content->'parameters' from entry where kind = 'statement.denied'"
    )
    assert isinstance(kept, list)
    assert [str(each)[:12] for each in kept] == ["hmac-sha256:"]


async def test_what_fails_is_on_record_with_its_sqlstate(here: World) -> None:
    await here.grant("ada", "sales.orders")
    outcome = await query(here, "ada", "select 1 / (id - id) from orders")
    assert outcome.result.sqlstate == "22012"
    _, ended = await started_and_ended(here)
    assert (ended.content["outcome"], ended.content["sqlstate"]) == ("failed", "22012")


@pytest.mark.one_major
async def test_what_is_denied_is_on_record_too(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    for text in ("select * from hr.employees", "delete from orders", "this is no SQL"):
        with pytest.raises(Denied):
            await query(here, "ada", text)
    with pytest.raises(Denied):
        await query(here, "fay", "select * from customers")
    with pytest.raises(NotFound):
        await query(here, "ben", "select 7", grant_id=grant_id)
    kept = await log(here, EntryKind.STATEMENT_DENIED)
    assert [each.content["text"] for each in kept] == [
        "select * from hr.employees",
        "delete from orders",
        "this is no SQL",
        "select * from customers",
        "select 7",
    ]
    assert [each.grant_id for each in kept] == [grant_id, grant_id, grant_id, None, None]
    assert kept[3].content["database"] == SHOP
    assert {each.content["code"] for each in kept[3:]} == {"no_grant"}
    assert await log(here, EntryKind.STATEMENT_STARTED) == []
    assert await here.rows("select count(*) from session") == [(0,)]


@pytest.mark.one_major
async def test_a_password_is_not_kept_and_the_word_alone_hides_nothing(here: World) -> None:
    await here.grant("ada", "sales.orders")
    for text in (
        "alter role current_user password 'hunter22'",
        "create role x login password 'hunter22'",
        "alter user postgres with encrypted password 'hunter22'",
        "alter role x passwrd 'a' password hunter22'",
    ):
        with pytest.raises(Denied):
            await query(here, "ada", text)
    assert await here.rows("select count(*) from entry e where e::text like '%%hunter22%%'") == [
        (0,)
    ]
    kept = await log(here, EntryKind.STATEMENT_DENIED)
    assert {each.content["text"] for each in kept} == {"(not kept: it may set a password)"}
    # A comment does not keep a query off the record.
    sly = "select count(*) from orders /* password */ where status = 'paid'"
    await query(here, "ada", sly)
    (started,) = await log(here, EntryKind.STATEMENT_STARTED)
    assert started.content["text"] == sly


@pytest.mark.one_major
async def test_no_text_is_too_long_to_be_kept_whole(here: World) -> None:
    await here.grant("ada", "sales.orders")
    padded = "select 1 /*" + " " * 150_000 + "*/ , count(*) from orders"
    await query(here, "ada", padded)
    (started,) = await log(here, EntryKind.STATEMENT_STARTED)
    assert started.content["text"] == padded
    for text, parameters, code in (
        ("select '" + "x" * 300_000 + "'", (), "query_too_long"),
        ("select $1", ("x" * 300_000,), "query_too_long"),
        ("select 1\0; drop table x", (), "invalid_text"),
        ("select $1", ("\0",), "invalid_text"),
        ("select '\ud800'", (), "invalid_text"),
    ):
        with pytest.raises(Invalid) as caught:
            await query(here, "ada", text, parameters=parameters)
        assert caught.value.detail_code == code


# Bounds


async def test_a_rule_s_limits_hold(here: World) -> None:
    samira = await here.actor("samira")
    await apply_policy(
        here.ctx,
        samira,
        policy_with(
            (
                "limits: {statement_timeout: 10s, rows: 1000}",
                "limits: {statement_timeout: 1s, rows: 3, bytes: 100}",
            )
        ),
    )
    filed = await here.ask(
        "agent-triage", profile="triage", asked=AskedScope(frozenset()), duration=5 * MINUTE
    )
    await granted(here, filed, "ben")
    many = await query(here, "agent-triage", "select id from orders order by id limit 50")
    assert (len(many.result.rows), many.result.truncated) == (3, True)
    assert (many.result.row_count, many.cut_by) == (50, CutBy.RULE_ROWS)
    one = await query(here, "agent-triage", "select id from orders limit 5", max_rows=1)
    assert (len(one.result.rows), one.cut_by) == (1, CutBy.ASKED)
    wide = await query(
        here, "agent-triage", "select repeat('x', 60), id from orders order by id limit 3"
    )
    assert (len(wide.result.rows), wide.result.truncated) == (1, True)
    assert wide.cut_by is CutBy.SIZE
    slow = await query(here, "agent-triage", "select pg_sleep(20), count(*) from orders")
    assert slow.result.sqlstate == "57014"
    assert slow.result.duration_s < 5


async def test_a_huge_result_is_cut_without_holding_it(here: World) -> None:
    await here.grant("ada", "sales.orders")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = "select n, repeat('x', 200) from generate_series(1, 400000) as n"
    outcome = await query(here, "ada", text, max_rows=1_000_000)
    # Nobody is shown more than ten thousand rows, whatever they ask for.
    assert (len(outcome.result.rows), outcome.result.truncated) == (10_000, True)
    assert (outcome.result.row_count, outcome.cut_by) == (400_000, CutBy.MOST_ROWS)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 60_000, f"{grown_kib} KiB for a result of 80 MB"
    wide = await query(
        here, "ada", "select repeat('x', 1000000) from generate_series(1, 100)", max_rows=10_000
    )
    assert wide.result.truncated
    assert sum(len(str(value)) for (value,) in wide.result.rows) <= 16 * 2**20


# Something breaks


async def test_whoever_stops_waiting_stops_the_server(here: World) -> None:
    await here.grant("ada", "sales.orders")
    running = asyncio.create_task(query(here, "ada", "select pg_sleep(30), count(*) from orders"))

    async def at_work() -> list[tuple[object, ...]]:
        return here.company.sql(
            "select usename from pg_stat_activity where query like '%pg_sleep(30)%'"
            " and usename like 'dp_g%' and state = 'active'"
        )

    ((account,),) = await until(at_work, "the query")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert here.company.sql(f"select 1 from pg_stat_activity where usename = '{account}'") == []
    _, ended = await started_and_ended(here)
    assert ended.content["outcome"] == "cancelled"
    assert await nothing_left_open(here)
    # Its account is taken away by the task that was left for it.
    ((session_id,),) = await here.rows("select id from session")
    await close_session(here.ctx, session_id)  # type: ignore[arg-type]
    assert here.company.sql(f"select 1 from pg_roles where rolname = '{account}'") == []


async def test_a_grant_that_is_revoked_under_a_query_says_so(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    running = asyncio.create_task(query(here, "ada", "select pg_sleep(30), count(*) from orders"))
    await until(_working(here), "the query")
    await revoke_grant(here.ctx, await here.actor("dana"), grant_id, "not now")
    await close_grant(here.ctx, grant_id)
    with pytest.raises(Conflict) as caught:
        await running
    assert caught.value.detail_code == "grant_ended"
    assert "daypass request" in caught.value.next_step
    _, ended = await started_and_ended(here)
    assert ended.content["outcome"] == "lost"


async def test_a_session_that_daypass_ended_says_why(here: World) -> None:
    await here.grant("ada", "sales.orders")
    running = asyncio.create_task(query(here, "ada", "select pg_sleep(30), count(*) from orders"))
    await until(_working(here), "the query")
    ((session_id,),) = await here.rows("select id from session")
    await close_session(here.ctx, session_id, "the policy or the catalog changed")  # type: ignore[arg-type]
    with pytest.raises(Conflict) as caught:
        await running
    assert caught.value.detail_code == "session_ended"
    assert "the policy or the catalog changed" in caught.value.message


def _working(here: World):  # type: ignore[no-untyped-def]
    async def working() -> bool:
        found = here.company.sql(
            "select 1 from pg_stat_activity where query like '%pg_sleep(30)%'"
            " and usename like 'dp_g%' and state = 'active'"
        )
        return bool(found)

    return working


@pytest.mark.one_major
async def test_a_query_that_comes_while_the_target_is_down(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    here.company.cluster.stop()
    try:
        with pytest.raises(Unavailable) as down:
            await query(here, "ada", "select 1", grant_id=grant_id)
        assert down.value.message
        assert await log(here, EntryKind.STATEMENT_STARTED) == []
    finally:
        here.company.cluster.start()
    outcome = await query(here, "ada", "select count(*) > 0 from orders")
    assert outcome.result.rows == (("t",),)


@pytest.fixture
async def fragile(store_cluster: Cluster, here: World) -> AsyncIterator[World]:
    """Return a Daypass whose target a test may kill, and who starts it again."""
    yield here
    if not here.company.cluster.is_running():
        here.company.cluster.start()


async def test_a_target_that_dies_under_a_query_is_unavailable_and_tidied_up_later(
    fragile: World,
) -> None:
    here = fragile
    grant_id = await here.grant("ada", "sales.orders")
    running = asyncio.create_task(query(here, "ada", "select pg_sleep(30), count(*) from orders"))
    await until(_working(here), "the query")
    here.company.cluster.kill()
    with pytest.raises(Unavailable) as lost:
        await running
    assert lost.value.detail_code == "target_lost"
    assert "look before you run it again" in lost.value.next_step
    _, ended = await started_and_ended(here)
    assert ended.content["outcome"] == "lost"
    with pytest.raises(Unavailable):
        await reconcile_instance(here.ctx, here.instance_id)
    here.company.cluster.start()
    await reconcile_instance(here.ctx, here.instance_id)
    ((session_id, account),) = await here.rows("select id, account from session")
    await close_session(here.ctx, session_id)  # type: ignore[arg-type]
    assert await here.rows("select state from session") == [("closed",)]
    assert here.company.sql(f"select 1 from pg_roles where rolname = '{account}'") == []
    # The grant is as it was.
    outcome = await query(here, "ada", "select count(*) > 0 from orders", grant_id=grant_id)
    assert outcome.result.rows == (("t",),)


async def test_a_session_whose_connection_is_gone_is_closed(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    session = await session_of(here, "ada", grant_id)
    assert (await reconcile_instance(here.ctx, here.instance_id)).clean
    # As after a give-back that never came through.
    await session.aclose()

    async def gone() -> bool:
        return not here.company.sql(
            f"select 1 from pg_stat_activity where usename = '{session.account}'"
        )

    await until(gone, "the backend's end")
    result = await reconcile_instance(here.ctx, here.instance_id)
    assert len(result.lost) == 1
    assert await here.rows("select state, close_reason from session") == [
        ("closed", "its connection is gone")
    ]
    assert here.company.sql(f"select 1 from pg_roles where rolname = '{session.account}'") == []


async def test_a_parallel_query_is_one_connection(here: World) -> None:
    await here.grant("ada", "sales.*")
    settings = (
        "set min_parallel_table_scan_size = 0; set parallel_setup_cost = 0;"
        " set parallel_tuple_cost = 0; set max_parallel_workers_per_gather = 2;"
    )
    text = (
        f"{settings} select count(*) from orders a, orders b, orders c"
        " where a.id % 7 = b.id % 5 and c.id > 0"
    )
    grant_id = await here.grant("ada", "sales.orders")
    session = await session_of(here, "ada", grant_id)
    (candidate,) = await find_candidates(here.ctx, await here.actor("ada"), SHOP, grant_id)
    prepared = engine_of(here.ctx, "postgres").prepare(text, candidate.found.plan)
    running = asyncio.create_task(session.execute(prepared.text, timeout_s=8))

    async def parallel() -> bool:
        found = here.company.sql(
            f"select 1 from pg_stat_activity where usename = '{session.account}'"
            " and leader_pid is not null"
        )
        return bool(found)

    await until(parallel, "the workers")
    result = await reconcile_instance(here.ctx, here.instance_id)
    assert result.intruders == ()
    assert result.clean
    await session.cancel()
    assert (await running).sqlstate == "57014"
    await session.aclose()


@pytest.mark.one_major
async def test_many_at_once_each_have_a_session_of_their_own(
    store_cluster: Cluster, here: World
) -> None:
    await here.grant("ada", "sales.orders")
    outcomes = await asyncio.gather(
        *(query(here, "ada", f"select {n}, count(*) from orders") for n in range(8))
    )
    assert len({each.session_id for each in outcomes}) == 8
    assert [each.result.rows[0][0] for each in outcomes] == [str(n) for n in range(8)]
    assert await nothing_left_open(here)


@pytest.mark.one_major
async def test_what_a_session_leaves_behind_is_not_seen_by_the_next(here: World) -> None:
    await here.grant("ada", "sales.orders")
    await query(here, "ada", "set work_mem = '11MB'")
    shown = await query(here, "ada", "select current_setting('work_mem')")
    assert shown.result.rows != (("11MB",),)


async def test_time_left_of_a_grant_bounds_a_query(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders", duration=timedelta(seconds=2))
    outcome = await query(
        here,
        "ada",
        "select pg_sleep(3); select count(*) from orders",
        grant_id=grant_id,
    )
    assert outcome.result.sqlstate == "57D01"
    assert outcome.result.error == "grant ended"
    assert "daypass request" in outcome.result.hint

"""Whatever somebody did to an instance or a crash left there: reconciling mends or tells it."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Unavailable
from daypass.domain.ids import GrantId
from daypass.engines.contract import Plan, SessionSpec
from daypass.operations.authorize_session import find_candidates
from daypass.operations.close_grant import close_grant
from daypass.operations.open_target import open_target
from daypass.operations.reconcile_instance import Reconciled, reconcile_instance
from daypass.operations.run_query import run_query
from daypass.store.sessions import SessionRow, list_sessions
from tests.story import grant_of, jobs_running, log, session_of, until
from tests.world import World

pytestmark = pytest.mark.one_major

SHOP = "prod/shop"


async def reconciled(here: World) -> Reconciled:
    """Reconcile the company's instance once, and again: then there is nothing left to do."""
    first = await reconcile_instance(here.ctx, here.instance_id)
    again = await reconcile_instance(here.ctx, here.instance_id)
    assert again.clean, again
    return first


async def plan_of(here: World, name: str, grant_id: GrantId) -> Plan:
    """Return what a grant's sessions are made from."""
    (candidate,) = await find_candidates(here.ctx, await here.actor(name), SHOP, grant_id)
    return candidate.found.plan


async def sessions_of(here: World, grant_id: GrantId) -> tuple[SessionRow, ...]:
    """Return a grant's sessions as the store knows them."""
    async with here.ctx.store.connection() as connection:
        return await list_sessions(connection, grant_id=grant_id, limit=None)


def roles(here: World, pattern: str) -> set[str]:
    """Return the company's roles whose names match."""
    found = here.company.sql(f"select rolname from pg_roles where rolname ~ '{pattern}'")
    return {str(name) for (name,) in found}


async def test_with_nothing_amiss_it_does_nothing_and_writes_nothing(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    session = await session_of(here, "ada", grant_id)
    try:
        result = await reconcile_instance(here.ctx, here.instance_id)
        assert result.clean, result
        assert await log(here, EntryKind.RECONCILED) == []
        assert (await session.execute("select 1")).rows == (("1",),)
    finally:
        await session.aclose()


async def test_an_account_the_store_does_not_know_is_ended_and_removed(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    plan = await plan_of(here, "ada", grant_id)
    target = await open_target(here.ctx, here.instance_id)
    # As after a restore of the store from an older backup: made by us, and nobody knows.
    spec = SessionSpec("dp_g_770077_1", datetime.now(UTC) + timedelta(hours=1))
    kept = await session_of(here, "ada", grant_id)
    orphan = await target.open_session(plan, spec)
    try:
        assert (await orphan.execute("select 1")).rows == (("1",),)
        result = await reconciled(here)
        assert result.orphans == ("dp_g_770077_1",)
        assert (await orphan.execute("select 1")).lost
        assert "dp_g_770077_1" not in roles(here, "^dp_g_")
        assert (await kept.execute("select 1")).rows == (("1",),)
        (entry,) = await log(here, EntryKind.RECONCILED)
        assert entry.content["orphans"] == ["dp_g_770077_1"]
    finally:
        await orphan.aclose()
        await kept.aclose()


async def test_another_installations_and_other_peoples_roles_are_left_alone(here: World) -> None:
    theirs = '{"daypass": "another-installation"}'
    here.company.sql("create role dp_g_1_99")
    here.company.sql("create role dp_g_1_98")
    here.company.sql(f"comment on role dp_g_1_98 is '{theirs}'")
    here.company.sql("create schema dp_v_0000000000000000_sales")
    try:
        result = await reconcile_instance(here.ctx, here.instance_id)
        assert result.clean
        assert result.strangers == (
            "role dp_g_1_98",
            "role dp_g_1_99",
            "schema dp_v_0000000000000000_sales in shop",
        )
        assert {"dp_g_1_98", "dp_g_1_99"} <= roles(here, "^dp_g_")
        # They are news once.
        await reconcile_instance(here.ctx, here.instance_id)
        assert len(await log(here, EntryKind.RECONCILED)) == 1
    finally:
        here.company.sql("drop schema dp_v_0000000000000000_sales")
        here.company.sql("drop role dp_g_1_98, dp_g_1_99")


async def test_a_second_connection_on_an_account_ends_it(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    session = await session_of(here, "ada", grant_id)
    (known,) = await sessions_of(here, grant_id)
    # A DBA signs in as the session: nothing but its own superuser can keep one from doing so.
    here.company.sql(f"alter role {known.account} login password 'guessed' connection limit 5")
    intruder = psycopg.connect(
        f"host=127.0.0.1 port={here.company.port} dbname=shop user={known.account} password=guessed"
    )
    try:
        result = await reconciled(here)
        assert result.intruders == (known.account,)
        assert (await session.execute("select 1")).lost
        with pytest.raises(psycopg.OperationalError):
            intruder.execute("select 1")
        (entry,) = await log(here, EntryKind.SESSION_INTRUDED)
        assert entry.session_id == known.id
        assert known.account not in roles(here, "^dp_g_")
    finally:
        intruder.close()
        await session.aclose()


@pytest.mark.parametrize(
    ("gift", "found"),
    [
        ("grant pg_read_all_data to {}", "membership in pg_read_all_data"),
        ("alter role {} createdb", "the attribute createdb"),
        ("grant select on sales.customers to {}", "privileges of its own"),
        ("alter role {} login", "its login"),
    ],
)
async def test_an_account_that_was_given_more_is_ended(here: World, gift: str, found: str) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    session = await session_of(here, "ada", grant_id)
    (known,) = await sessions_of(here, grant_id)
    try:
        here.company.sql(gift.format(known.account))
        result = await reconciled(here)
        assert result.tampered == (f"{known.account}: {found}",)
        assert (await session.execute("select 1")).lost
        (after,) = await sessions_of(here, grant_id)
        assert found in after.close_reason
        assert roles(here, "^dp_g_") == set()
        # The grant stands: its next session is made anew, without the gift.
        outcome = await run_query(here.ctx, await here.actor("ada"), SHOP, "select 1 from orders")
        assert outcome.result.sqlstate == ""
    finally:
        await session.aclose()


async def test_sessions_whose_account_or_connection_is_gone_are_closed(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    ended = await session_of(here, "ada", grant_id)
    dropped = await session_of(here, "ada", grant_id)
    by_id = sorted(await sessions_of(here, grant_id), key=lambda each: each.id)
    try:
        here.company.sql(f"select pg_terminate_backend({by_id[0].backend_id}, 5000)")
        here.company.sql(f"select pg_terminate_backend({by_id[1].backend_id}, 5000)")
        here.company.sql(f"drop role {by_id[1].account}")
        result = await reconciled(here)
        assert result.lost == (by_id[0].id, by_id[1].id)
        reasons = {each.id: each.close_reason for each in await sessions_of(here, grant_id)}
        assert reasons[by_id[0].id] == "its connection is gone"
        assert reasons[by_id[1].id] == "its account is gone from the target"
    finally:
        await ended.aclose()
        await dropped.aclose()


async def test_a_deadline_somebody_moved_on_the_target_is_put_back(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders", duration=timedelta(minutes=30))
    session = await session_of(here, "ada", grant_id)
    (known,) = await sessions_of(here, grant_id)
    try:
        here.company.sql(f"alter role {known.account} valid until 'infinity'")
        result = await reconciled(here)
        assert result.deadlines == (grant_id,)
        ((until_when,),) = here.company.sql(
            f"select rolvaliduntil from pg_roles where rolname = '{known.account}'"
        )
        assert isinstance(until_when, datetime)
        grant = await grant_of(here, grant_id)
        assert grant.deadline is not None
        assert abs((until_when - grant.deadline).total_seconds()) < 2
        assert (await session.execute("select 1")).rows == (("1",),)
    finally:
        await session.aclose()


async def test_scopes_are_made_again_and_those_nobody_needs_removed(here: World) -> None:
    kept = await here.grant("ada", "sales.orders")
    scope_hash = (await grant_of(here, kept)).scope_hash
    # A DBA who tidied up, and a scope of ours that the store knows nothing of.
    here.company.sql(f"drop schema dp_v_{scope_hash}_sales cascade")
    result = await reconciled(here)
    assert len(result.unverified) == 1
    here.company.sql(f"drop schema dp_v_{scope_hash}_sales cascade")
    for database in ("shop", "metrics"):
        here.company.sql(f"drop owned by dp_s_{scope_hash} cascade", database)
    here.company.sql(f"drop role dp_s_{scope_hash}")
    result = await reconciled(here)
    assert result.scopes_made == (scope_hash,)
    outcome = await run_query(here.ctx, await here.actor("ada"), SHOP, "select 1 from orders")
    assert outcome.result.sqlstate == ""

    other = await here.grant("ada", "sales.stores")
    plan = await plan_of(here, "ada", other)
    await here.end("ada", other)
    await reconcile_instance(here.ctx, here.instance_id)
    target = await open_target(here.ctx, here.instance_id)
    await target.apply(plan)
    assert f"dp_s_{plan.scope_hash}" in roles(here, "^dp_s_")
    result = await reconciled(here)
    assert result.scopes_removed == (plan.scope_hash,)
    assert roles(here, "^dp_s_") == {f"dp_s_{scope_hash}"}


async def test_a_view_somebody_changed_is_made_anew_and_its_sessions_ended(here: World) -> None:
    grant_id = await here.grant("ada", "sales.customers")
    scope_hash = (await grant_of(here, grant_id)).scope_hash
    session = await session_of(here, "ada", grant_id)
    columns = here.company.sql(
        "select string_agg(format('%I::%s', attname, format_type(atttypid, atttypmod)), ', '"
        " order by attnum) from pg_attribute"
        f" where attrelid = 'dp_v_{scope_hash}_sales.customers'::regclass and attnum > 0"
    )
    try:
        here.company.sql(
            f"create or replace view dp_v_{scope_hash}_sales.customers as"
            f" select {columns[0][0]} from sales.customers"
        )
        await reconciled(here)
        assert (await session.execute("select 1")).lost
        text = "select email from customers where email is not null limit 5"
        outcome = await run_query(here.ctx, await here.actor("ada"), SHOP, text)
        assert outcome.result.rows
        assert all("***" in str(row[0]) for row in outcome.result.rows)
    finally:
        await session.aclose()


async def test_what_ended_while_the_server_was_away_is_closed_when_it_is_back(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    session = await session_of(here, "ada", grant_id)
    (known,) = await sessions_of(here, grant_id)
    await session.aclose()
    here.company.cluster.stop()
    try:
        with pytest.raises(Unavailable):
            await reconcile_instance(here.ctx, here.instance_id)
        # What is not seen is not gone.
        assert (await sessions_of(here, grant_id))[0].state == known.state
    finally:
        here.company.cluster.start()
    async with jobs_running(here, reconcile_every_s=0.2):

        async def closed() -> bool:
            return (await sessions_of(here, grant_id))[0].state == "closed"

        await until(closed, "the end of a session whose server was away")
    await here.end("ada", grant_id)
    await close_grant(here.ctx, grant_id)

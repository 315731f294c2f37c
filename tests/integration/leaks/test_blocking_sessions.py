"""A session that resists its own end is closed within a second all the same, with a receipt."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from daypass.domain.ids import GrantId
from daypass.embedded import Cluster
from daypass.engines.contract import Session, SessionSpec
from daypass.engines.postgres.admin import startup_options
from daypass.engines.postgres.session import PostgresSession
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.close_grant import close_grant
from daypass.operations.open_session import open_session
from daypass.operations.open_target import open_target
from daypass.operations.release_grant import release_grant
from daypass.store import receipts
from tests.integration.leaks.conftest import Planted
from tests.world import World, world

WITHIN_S = 1.0


@pytest.fixture
async def here(store_cluster: Cluster, planted: Planted) -> AsyncIterator[World]:
    """Return a Daypass that knows the company, with nothing granted yet."""
    async with world(store_cluster, planted.company) as found:
        yield found


@dataclass(frozen=True)
class Opened:
    """A grant of Ada's and her session under it."""

    world: World
    grant_id: GrantId
    session: Session

    async def said(self, *statements: str) -> None:
        """Run statements that must succeed."""
        for statement in statements:
            result = await self.session.execute(statement)
            assert result.sqlstate == "", (statement, result.error)

    async def is_closed_within_a_second(self) -> None:
        """End the grant; its receipt must say that nothing is left, and when."""
        ctx, company = self.world.ctx, self.world.company
        await release_grant(ctx, await self.world.actor("ada"), self.grant_id)
        started = time.monotonic()
        closed = await close_grant(ctx, self.grant_id)
        assert time.monotonic() - started < WITHIN_S
        assert closed is not None
        assert closed.lag_s < WITHIN_S
        async with ctx.store.connection() as connection:
            receipt = await receipts.receipt_of(connection, self.grant_id)
        assert receipt is not None
        assert receipt.accounts == [self.session.account]
        account = self.session.account
        assert company.sql(f"select rolname from pg_roles where rolname = '{account}'") == []
        assert company.sql(f"select pid from pg_stat_activity where usename = '{account}'") == []
        # Nothing anywhere refers to a role that is no more.
        assert company.sql(
            "select count(*) from pg_shdepend where refclassid = 'pg_authid'::regclass"
            " and not exists (select from pg_roles where oid = refobjid)"
        ) == [(0,)]
        assert (await self.session.execute("select 1")).sqlstate in ("57P01", "08003")


@contextlib.asynccontextmanager
async def opened(here: World) -> AsyncIterator[Opened]:
    """Open a session under a new grant."""
    grant_id = await here.grant("ada", "sales.*")
    ada = await here.actor("ada")
    (candidate,) = await find_candidates(here.ctx, ada, "prod/shop", grant_id)
    permit = await authorize_session(here.ctx, ada, candidate, kind="query")
    session = await open_session(here.ctx, permit, candidate.found.plan)
    try:
        yield Opened(here, grant_id, session)
    finally:
        await session.aclose()


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(("begin", "select count(*) from orders"), id="idle in a transaction"),
        pytest.param(("begin", "select 1 / 0"), id="idle in a failed transaction"),
        pytest.param(
            ("begin isolation level serializable", "select count(*) from customers"),
            id="serializable",
        ),
        pytest.param(
            ("declare kept cursor with hold for select * from orders", "fetch 1 from kept"),
            id="a cursor with hold",
        ),
        pytest.param(
            ("select pg_advisory_lock(1)", "select pg_advisory_lock_shared(2)"),
            id="advisory locks",
        ),
        pytest.param(
            (
                "begin",
                "alter role current_user set application_name = 'x'",
                "alter role current_user password 'mine'",
            ),
            id="locks on the row of its own role",
        ),
        pytest.param(
            (
                "create temporary table t as select * from customers",
                "create function pg_temp.f() returns int language sql as 'select 1'",
                "create type pg_temp.y as (a int)",
                "create temporary sequence s",
                "select lo_from_bytea(0, 'mine')",
                "listen something",
            ),
            id="objects of its own, temporary and large",
        ),
        pytest.param(
            (
                "begin",
                "create temporary table t (id int) on commit drop",
                "lock table t in access exclusive mode",
                "savepoint s",
                "insert into t values (1)",
            ),
            id="an open transaction on its own table",
        ),
        pytest.param(
            (
                "alter role current_user set search_path = pg_temp",
                "alter role current_user in database shop set statement_timeout = 0",
            ),
            id="settings of its own role",
        ),
    ],
)
async def test_what_it_holds_does_not_keep_it(here: World, statements: tuple[str, ...]) -> None:
    async with opened(here) as found:
        for statement in statements:
            result = await found.session.execute(statement)
            assert result.sqlstate in ("", "22012"), (statement, result.error)
        await found.is_closed_within_a_second()


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("set statement_timeout = 0; select pg_sleep(3600)", id="sleeping"),
        pytest.param("do $$begin loop perform 1; end loop; end$$", id="an endless loop"),
        pytest.param(
            "do $$begin loop begin perform pg_sleep(3600); exception when query_canceled or others"
            " then null; end; end loop; end$$",
            id="a loop that swallows cancelling",
        ),
        pytest.param(
            "select count(*) from orders a, orders b, orders c, orders d", id="a long join"
        ),
        pytest.param(
            "select max(regexp_replace(repeat('a', 20000), '(a*)*b', 'x')) from"
            " generate_series(1, 1000000)",
            id="a hard regular expression",
        ),
    ],
)
async def test_what_it_runs_does_not_keep_it(here: World, statement: str) -> None:
    async with opened(here) as found:
        task = asyncio.create_task(found.session.execute(statement))
        await _busy(found)
        # It holds the session's turn: only the end of its backend ends it.
        account = found.session.account
        ctx = here.ctx
        await release_grant(ctx, await here.actor("ada"), found.grant_id)
        started = time.monotonic()
        closed = await close_grant(ctx, found.grant_id)
        assert time.monotonic() - started < WITHIN_S
        assert closed is not None
        assert closed.lag_s < WITHIN_S
        assert (await asyncio.wait_for(task, 5)).sqlstate == "57P01"
        assert here.company.sql(f"select from pg_roles where rolname = '{account}'") == []


async def _busy(found: Opened) -> None:
    company, account = found.world.company, found.session.account
    query = (
        f"select count(*) from pg_stat_activity where usename = '{account}' and state = 'active'"
    )
    for _ in range(200):
        if await asyncio.to_thread(company.sql, query) == [(1,)]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the session never got to work")


async def test_a_lock_it_waits_for_does_not_keep_it(here: World) -> None:
    company = here.company
    with psycopg.connect(company.cluster.conninfo("shop")) as other:
        other.execute("select pg_advisory_xact_lock(4711)")
        async with opened(here) as found:
            task = asyncio.create_task(found.session.execute("select pg_advisory_lock(4711)"))
            await _busy(found)
            await release_grant(here.ctx, await here.actor("ada"), found.grant_id)
            closed = await close_grant(here.ctx, found.grant_id)
            assert closed is not None
            assert closed.lag_s < WITHIN_S
            assert (await asyncio.wait_for(task, 5)).sqlstate == "57P01"


async def test_a_client_that_does_not_read_does_not_keep_it(here: World) -> None:
    async with opened(here) as found:
        session = found.session
        assert isinstance(session, PostgresSession)
        # More than the buffers on the way hold: the server is stuck in the middle of sending.
        pgconn = session._connection.pgconn
        pgconn.send_query(b"select repeat('x', 1000000) from generate_series(1, 500)")
        pgconn.flush()
        await _busy(found)
        await release_grant(here.ctx, await here.actor("ada"), found.grant_id)
        closed = await close_grant(here.ctx, found.grant_id)
        assert closed is not None
        assert closed.lag_s < WITHIN_S


async def test_a_prepared_transaction_that_holds_locks_does_not_keep_it(here: World) -> None:
    async with opened(here) as found:
        await found.said(
            "begin",
            "alter role current_user set work_mem = '1MB'",
            "select lo_from_bytea(0, 'x')",
            "prepare transaction 'kept for ever'",
            "begin",
            "select pg_advisory_xact_lock(1)",
        )
        await found.is_closed_within_a_second()
    assert here.company.sql("select gid from pg_prepared_xacts") == []


async def test_what_others_gave_its_role_does_not_keep_it(here: World) -> None:
    company = here.company
    company.sql("create role helper; create role auditing_helper")
    try:
        async with opened(here) as found:
            account = found.session.account
            company.sql(f"grant select on hr.absences to {account} with grant option")
            company.sql(f"grant usage on schema hr to {account}")
            company.sql(f"grant helper to {account} with admin option")
            company.sql(f"grant {account} to auditing_helper")
            company.sql(f"create policy theirs on billing.invoices to {account} using (true)")
            company.sql(
                "alter default privileges for role shop_owner in schema hr"
                f" grant select on tables to {account}"
            )
            company.sql(f"alter role {account} set work_mem = '1MB'")
            company.sql(f"grant create on database metrics to {account}", "metrics")
            await found.said("grant select on hr.absences to helper", "grant helper to shop_app")
            await found.is_closed_within_a_second()
        left = company.sql("select has_table_privilege('helper', 'hr.absences', 'select')")
        assert left == [(False,)]
        assert company.sql("select from pg_policies where policyname = 'theirs'") == []
    finally:
        company.sql("drop owned by helper, auditing_helper; drop role helper, auditing_helper")


async def test_what_it_owns_in_another_database_does_not_keep_it(here: World) -> None:
    company = here.company
    company.sql(
        "create schema open; grant all on schema open to public;"
        " grant connect on database metrics to public; revoke select on page_views from public",
        "metrics",
    )
    grant_id = await here.grant("ada", "sales.*")
    ada = await here.actor("ada")
    (candidate,) = await find_candidates(here.ctx, ada, "prod/shop", grant_id)
    permit = await authorize_session(here.ctx, ada, candidate, kind="direct")
    target = await open_target(here.ctx, permit.instance_id)
    credential = await target.issue_credential(
        candidate.found.plan, SessionSpec(permit.account, permit.deadline, connection_limit=5)
    )
    given = {
        "host": credential.host,
        "port": str(credential.port),
        "user": credential.user,
        "password": credential.password.reveal(),
    }
    shop = make_conninfo("", **given, dbname="shop", options=startup_options(credential.settings))
    metrics = make_conninfo("", **given, dbname="metrics")
    try:
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(psycopg.connect(shop)) for _ in range(3)]
            elsewhere = stack.enter_context(psycopg.connect(metrics, autocommit=True))
            for each in held:
                each.execute("select count(*) from customers")
            elsewhere.execute("create table open.mine as select 1 as one")
            elsewhere.execute("create function open.f() returns int language sql as 'select 1'")
            elsewhere.execute("select lo_create(0)")
            elsewhere.execute("begin; lock table open.mine in access exclusive mode")
            await release_grant(here.ctx, ada, grant_id)
            closed = await close_grant(here.ctx, grant_id)
            assert closed is not None
            assert closed.lag_s < WITHIN_S
            for connection in (*held, elsewhere):
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("select 1")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(shop)
        assert company.sql("select to_regclass('open.mine')", "metrics") == [(None,)]
        async with here.ctx.store.connection() as reading:
            receipt = await receipts.receipt_of(reading, grant_id)
        assert receipt is not None
        assert receipt.terminated == 4
    finally:
        company.sql("drop schema open cascade", "metrics")
        company.sql("revoke connect on database metrics from public", "postgres")


async def test_it_is_closed_although_somebody_else_reads_what_it_owns(here: World) -> None:
    """Removing waits for the other's transaction; being closed does not."""
    company = here.company
    try:
        async with opened(here) as found:
            company.sql("create schema open; grant all on schema open to public")
            await found.said("create table open.mine as select 1 as one")
            target = await open_target(here.ctx, here.instance_id)
            with psycopg.connect(company.cluster.conninfo("shop")) as other:
                other.execute("select * from open.mine")
                started = time.monotonic()
                closing = asyncio.create_task(target.close([found.session.account]))
                await asyncio.sleep(0.5)
                account = found.session.account
                shut = company.sql(
                    f"select rolcanlogin from pg_roles where rolname = '{account}' union all"
                    f" select true from pg_stat_activity where usename = '{account}'"
                )
                assert shut == [(False,)]
                other.rollback()
            closure = await asyncio.wait_for(closing, 15)
            assert closure.missing == ()
            assert closure.closed_at is not None
            assert closure.removed_at is not None
            assert closure.removed_at > closure.closed_at
            assert time.monotonic() - started < 5
    finally:
        company.sql("drop schema open cascade")

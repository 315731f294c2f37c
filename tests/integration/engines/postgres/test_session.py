"""Sessions: their life cycle, their deadline inside the database, and what they answer."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from daypass.domain.errors import Conflict, Invalid
from daypass.domain.masks import FullMask
from daypass.domain.secret import Secret
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import SessionSpec
from daypass.engines.postgres import dial
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.session import PostgresSession
from tests.integration.engines.postgres.conftest import (
    ADMIN,
    CUSTOMERS,
    NOTES,
    WRITES,
    Shop,
    customers,
    scoped,
)


async def _login(shop: Shop, account: str) -> list[tuple[object, ...]]:
    return shop.superuser(
        "select rolcanlogin, rolconnlimit, rolpassword is null, rolvaliduntil > now()"
        " from pg_authid where rolname = %s",
        account,
    )


async def test_a_session_has_no_login_once_it_is_open(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        assert await _login(shop, session.account) == [(False, 1, True, True)]
        assert (await session.execute("select count(*) from customers")).rows == (("100",),)


async def test_the_password_is_a_verifier_while_it_lasts(shop: Shop) -> None:
    plan = await shop.applied(customers())
    credential = await shop.target.issue_credential(plan, shop.spec())
    [(stored,)] = shop.superuser(
        "select rolpassword from pg_authid where rolname = %s", credential.user
    )
    # One iteration tells that Daypass made it: of a clear password the server makes 4096.
    assert str(stored).startswith("SCRAM-SHA-256$1:")
    assert credential.password.reveal() not in str(stored)
    await shop.target.close([credential.user])


async def test_settings_and_search_path_are_the_sessions_own(shop: Shop) -> None:
    plan = await shop.applied(customers(), settings=(("app.tenant", "blue\\ green 'x'"),))
    async with shop.session(plan, settings=(("search_path", "evil"), ("work_mem", "5MB"))) as s:
        assert (await s.execute("show app.tenant")).rows == (("blue\\ green 'x'",),)
        assert (await s.execute("show work_mem")).rows == (("5MB",),)
        assert (await s.execute("show client_connection_check_interval")).rows == (("2s",),)
        [(path,)] = (await s.execute("show search_path")).rows
        assert path is not None
        assert path.startswith(f'"dp_v_{plan.scope_hash}_sales"')
        assert path.endswith('"pg_temp"')


async def test_past_the_deadline_every_statement_raises(shop: Shop) -> None:
    """Nothing of Daypass acts here between the deadline's setting and the statements' failing."""
    plan = await shop.applied(customers(WRITES), scoped(NOTES, "id customer body", WRITES))
    deadline = datetime.now(UTC) + timedelta(seconds=1.5)
    async with shop.session(plan, deadline=deadline) as session:
        assert (await session.execute("select * from customers")).sqlstate == ""
        await session.execute("prepare ready as select * from customers")
        await session.execute("execute ready")
        await session.execute("begin isolation level repeatable read; select * from notes")
        await asyncio.sleep((deadline - datetime.now(UTC)).total_seconds() + 0.1)
        result = await session.execute("select * from notes")
        assert (result.sqlstate, result.error) == ("57D01", "grant ended")
        await session.execute("rollback")
        for statement in (
            "select * from customers",
            "select count(*) from notes",
            "execute ready",
            "insert into notes values (99)",
            "update notes set body = ''",
            "delete from notes",
            "copy (select * from notes) to stdout",
            "select (select max(id) from customers)",
            "with x as (select * from notes) select * from x",
            "explain analyze select * from notes",
        ):
            assert (await session.execute(statement)).sqlstate == "57D01", statement
    assert shop.owner("select count(*) from sales.notes") == [(10,)]


async def test_a_deadline_that_moves_is_obeyed_at_once(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await shop.target.set_deadline([session.account, "dp_g_nobody_1"], past)
        assert (await session.execute("select * from customers")).sqlstate == "57D01"
        await shop.target.set_deadline([session.account], past + timedelta(hours=1))
        assert (await session.execute("select * from customers")).sqlstate == ""


async def test_a_revocation_is_seen_inside_a_snapshot(shop: Shop) -> None:
    plan = await shop.applied(customers())
    schema = plan.view_schema("sales")
    async with shop.session(plan) as session:
        # The privileges stay by another way, so that the membership alone decides.
        shop.superuser(
            f"grant usage on schema {schema} to {session.account};"
            f" grant select on {schema}.customers to {session.account}"
        )
        await session.execute("begin isolation level repeatable read; select * from customers")
        # As the admin: from 16, a revocation by another grantor only warns.
        shop.superuser(f"set role {ADMIN}; revoke {plan.role} from {session.account}")
        assert (await session.execute("select * from customers")).sqlstate == "57D01"


async def test_the_views_raise_for_everybody_else(shop: Shop) -> None:
    plan = await shop.applied(customers())
    schema = plan.view_schema("sales")
    with pytest.raises(psycopg.Error) as error:
        shop.superuser(f"select * from {schema}.customers")
    assert error.value.sqlstate == "57D01"
    # A member by any other name, and with a deadline of its own, is nobody's session.
    oid = _oid(shop, plan.role)
    shop.superuser(f"create role other valid until 'infinity'; grant {plan.role} to other")
    shop.superuser("grant usage on schema daypass to public")
    with pytest.raises(psycopg.Error) as error:
        shop.superuser(f"set session authorization other; select daypass.live({oid})")
    assert error.value.sqlstate == "57D01"
    # `session_user` cannot be changed; a role with the right name and no membership is not enough.
    shop.superuser("create role dp_g_fake_1 valid until 'infinity'")
    with pytest.raises(psycopg.Error) as error:
        shop.superuser(
            f"set session authorization dp_g_fake_1; select daypass.live({_oid(shop, plan.role)})"
        )
    assert error.value.sqlstate in ("57D01", "42501")


def _oid(shop: Shop, role: str) -> object:
    return shop.superuser("select oid from pg_roles where rolname = %s", role)[0][0]


@pytest.mark.parametrize("first", [True, False])
async def test_an_intruder_is_ended_and_told_of(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """Whether somebody who knows the password is there before the session or after it."""
    plan = await shop.applied(customers())
    spec = shop.spec()
    intruder: list[psycopg.AsyncConnection[tuple[object, ...]]] = []
    sign_in = dial.Dialler._sign_in

    async def intrude(password: Secret) -> None:
        if not first:
            shop.superuser(f"alter role {spec.account} connection limit 2")
        intruder.append(
            await psycopg.AsyncConnection.connect(
                shop.conninfo, user=spec.account, password=password.reveal()
            )
        )

    async def both(
        self: dial.Dialler, plan_: PostgresPlan, spec_: SessionSpec, password: Secret
    ) -> PostgresSession:
        if first:
            await intrude(password)
        session = await sign_in(self, plan_, spec_, password)
        await intrude(password)
        return session

    monkeypatch.setattr(dial.Dialler, "_sign_in", both)
    with pytest.raises(Conflict) as error:
        await shop.target.open_session(plan, spec)
    assert error.value.detail_code == "account_intruded"
    with pytest.raises(psycopg.Error):
        await intruder[0].execute("select 1")
    await intruder[0].close()
    assert await _login(shop, spec.account) == []


async def test_a_session_cannot_become_its_scope(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        [(version,)] = (await session.execute("show server_version_num")).rows
        became = await session.execute(f"set role {plan.role}")
        # Until 15 a member may; there is nothing to be had by it.
        assert became.sqlstate == ("42501" if int(str(version)) >= 160000 else "")
        assert (await session.execute("select count(*) from customers")).rows == (("100",),)
        past = datetime.now(UTC) - timedelta(seconds=1)
        await shop.target.set_deadline([session.account], past)
        assert (await session.execute("select * from customers")).sqlstate == "57D01"
        assert (await session.execute("set role dp_views")).sqlstate == "42501"


async def test_an_account_left_by_a_crash_is_used_again(shop: Shop) -> None:
    plan = await shop.applied(customers())
    spec = shop.spec()
    first = await shop.target.open_session(plan, spec)
    second = await shop.target.open_session(plan, spec)
    assert (await first.execute("select 1")).sqlstate == "57P01"
    assert (await second.execute("select count(*) from customers")).rows == (("100",),)
    await first.aclose()
    await second.aclose()
    await shop.target.close([spec.account])


async def test_a_refused_setting_leaves_no_account(shop: Shop) -> None:
    plan = await shop.applied(customers())
    spec = shop.spec(settings=(("log_min_messages", "debug5"),))
    with pytest.raises(Exception, match="log_min_messages"):
        await shop.target.open_session(plan, spec)
    assert await _login(shop, spec.account) == []


async def test_a_past_deadline_opens_nothing(shop: Shop) -> None:
    plan = await shop.applied(customers())
    spec = shop.spec(deadline=datetime.now(UTC))
    with pytest.raises(Conflict) as error:
        await shop.target.open_session(plan, spec)
    assert error.value.detail_code == "deadline_passed"
    assert await _login(shop, spec.account) == []


async def test_a_plan_that_is_not_applied_opens_nothing(shop: Shop) -> None:
    plan = await shop.plan(customers())
    with pytest.raises(Conflict) as error:
        await shop.target.open_session(plan, shop.spec())
    assert error.value.detail_code == "not_applied"


async def test_names_that_are_no_accounts_are_refused(shop: Shop) -> None:
    plan = await shop.applied(customers())
    with pytest.raises(Invalid):
        await shop.target.open_session(plan, shop.spec(account="postgres"))


async def test_direct_credentials_work_until_the_deadline(shop: Shop) -> None:
    plan = await shop.applied(customers(email=FullMask()))
    credential = await shop.target.issue_credential(plan, shop.spec(connection_limit=2))
    access = {
        "host": credential.host,
        "port": credential.port,
        "dbname": credential.database,
        "user": credential.user,
        "password": credential.password.reveal(),
    }
    with psycopg.connect(**access) as one, psycopg.connect(**access) as two:  # type: ignore[arg-type]
        for each in (one, two):
            row = each.execute("select email from customers limit 1").fetchone()
            assert row == ("***",)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**access)  # type: ignore[arg-type]
    await shop.target.set_deadline([credential.user], datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(**access)  # type: ignore[arg-type]
    await shop.target.close([credential.user])


@pytest.mark.parametrize(
    "classes",
    [
        frozenset({StatementClass.SELECT, StatementClass.TRUNCATE}),
        frozenset({StatementClass.EXPLAIN}),
    ],
)
async def test_direct_credentials_carry_nothing_the_gateway_keeps(
    shop: Shop, classes: frozenset[StatementClass]
) -> None:
    plan = await shop.applied(customers(classes))
    with pytest.raises(Invalid) as error:
        await shop.target.issue_credential(plan, shop.spec())
    assert error.value.detail_code == "not_direct"


async def test_results_are_text_with_types_and_tags(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        result = await session.execute(
            "select 1 as a, null as b, true as c, array[1] as d, 'EU'::sales.region as e"
        )
        assert result.rows == (("1", None, "t", "{1}", "EU"),)
        assert [(c.name, c.type) for c in result.columns] == [
            ("a", "int4"),
            ("b", "text"),
            ("c", "bool"),
            ("d", "int4[]"),
            ("e", "sales.region"),
        ]
        assert (result.command, result.row_count) == ("SELECT 1", 1)
        empty = await session.execute("select 1 where false")
        assert (empty.rows, empty.command, len(empty.columns)) == ((), "SELECT 0", 1)
        both = await session.execute("create temp table t (x int); insert into t values (1), (2)")
        assert (both.command, both.row_count, both.columns) == ("INSERT 0 2", 2, ())
        with_parameters = await session.execute("select $1::int + 1", parameters=("41",))
        assert with_parameters.rows == (("42",),)
        copied = await session.execute("copy (select * from t order by x) to stdout")
        assert copied.rows == (("1",), ("2",))
        assert (await session.execute("copy t from stdin")).sqlstate == "57014"
        assert (await session.execute("")).sqlstate == ""
        assert (await session.execute("select 1")).rows == (("1",),)


async def test_errors_come_as_results(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        result = await session.execute("select * from nowhere")
        assert (result.sqlstate, result.error_position) == ("42P01", 15)
        result = await session.execute("select 1; select 1/0; select 3")
        assert (result.sqlstate, result.rows) == ("22012", ())
        await session.execute("begin; select 1/0")
        assert (await session.execute("select 1")).sqlstate == "25P02"
        await session.execute("rollback")
        noticed = await session.execute("do $$begin raise notice 'hello'; end$$")
        assert noticed.notices == ("NOTICE: hello",)


async def test_the_servers_words_are_clipped(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        result = await session.execute("select repeat('y', 3000000)::int")
        assert result.sqlstate == "22P02"
        assert len(result.error) < 10_000
        assert result.error.endswith("characters)")


async def test_texts_that_cannot_be_sent_whole_are_not_sent(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        for statement in ("select 1\0 from nowhere", "select '\ud800'"):
            assert (await session.execute(statement)).sqlstate == "22021"
        assert (await session.execute("select $1", parameters=("\0",))).sqlstate == "22021"
        assert (await session.execute("select 1")).rows == (("1",),)


async def test_big_results_are_cut_and_not_kept(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        result = await session.execute("select g from generate_series(1, 100000) g", max_rows=3)
        assert result.rows == (("1",), ("2",), ("3",))
        assert result.truncated
        assert result.row_count == 100000
        exact = await session.execute("select g from generate_series(1, 3) g", max_rows=3)
        assert not exact.truncated


async def test_a_cancelled_call_cancels_the_servers_work(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        task = asyncio.create_task(session.execute("select pg_sleep(60)"))
        await asyncio.sleep(0.2)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 5
        assert (await session.execute("select 1")).rows == (("1",),)
        late = await session.execute("select pg_sleep(60)", timeout_s=0.2)
        assert late.sqlstate == "57014"
        assert (await session.execute("select 1")).rows == (("1",),)
        other = asyncio.create_task(session.execute("select pg_sleep(60)"))
        await asyncio.sleep(0.2)
        await session.cancel()
        assert (await other).sqlstate == "57014"


async def test_notifications_are_dropped(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        await session.execute("listen secrets")
        shop.superuser("notify secrets, 'user1@example.com'")
        result = await session.execute("select 1")
        assert "example" not in repr(result)


async def test_blocked_plans_open_nothing(shop: Shop) -> None:
    shop.owner("grant usage on schema sales to public; grant select on sales.customers to public")
    plan = await shop.applied(customers(email=FullMask()))
    assert [each.key for each in plan.blocked] == [f"public_grant:{CUSTOMERS}"]
    with pytest.raises(Conflict) as error:
        await shop.target.open_session(plan, shop.spec())
    assert error.value.detail_code == "blocked"
    with pytest.raises(Conflict):
        await shop.target.issue_credential(plan, shop.spec())


async def test_the_targets_clock_is_measured(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert abs(await shop.target.clock_offset()) < timedelta(seconds=1)
    plan = await shop.applied(customers())
    # A target an hour ahead: the deadline there is an hour later.
    monkeypatch.setattr(shop.target, "_offset", (time.monotonic(), timedelta(hours=1)))
    spec = shop.spec()
    session = await shop.target.open_session(plan, spec)
    [(until,)] = shop.superuser(
        "select rolvaliduntil from pg_authid where rolname = %s", spec.account
    )
    assert isinstance(until, datetime)
    assert abs(until - spec.deadline - timedelta(hours=1)) < timedelta(milliseconds=1)
    await session.aclose()
    await shop.target.close([spec.account])

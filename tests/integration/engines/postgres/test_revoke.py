"""Closing accounts: however a session resists, within a second, and with proof."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
import pytest

from daypass.domain.errors import Unavailable
from daypass.engines.postgres.target import PostgresTarget
from tests.integration.engines.postgres.conftest import ADMIN, OWNER, Shop, customers


async def _closed_within_a_second(shop: Shop, account: str) -> None:
    started = time.monotonic()
    closure = await shop.target.close([account])
    assert time.monotonic() - started < 1.0
    assert closure.missing == ()
    assert closure.closed_at is not None
    assert closure.removed_at is not None
    assert closure.closed_at <= closure.removed_at
    assert shop.superuser("select rolname from pg_roles where rolname = %s", account) == []
    left = shop.superuser(
        "select count(*) from pg_shdepend where refclassid = 'pg_authid'::regclass"
        " and not exists (select from pg_roles where oid = refobjid)"
    )
    assert left == [(0,)]


async def test_an_idle_session_is_ended_and_its_account_gone(shop: Shop) -> None:
    plan = await shop.applied(customers())
    session = await shop.target.open_session(plan, shop.spec())
    await _closed_within_a_second(shop, session.account)
    result = await session.execute("select 1")
    assert result.sqlstate == "57P01"
    await session.aclose()


async def test_closing_what_is_not_there_proves_that_it_is_not(shop: Shop) -> None:
    closure = await shop.target.close(["dp_g_never_1"])
    assert closure.removed_at is not None
    assert closure.missing == ()
    assert "dp_g_never_1: no role of the name" in closure.probes


async def test_an_open_change_of_its_own_role_does_not_keep_it(shop: Shop) -> None:
    plan = await shop.applied(customers())
    session = await shop.target.open_session(plan, shop.spec())
    for statement in ("begin", "alter role current_user password 'mine'"):
        assert (await session.execute(statement)).sqlstate == ""
    await _closed_within_a_second(shop, session.account)
    await session.aclose()


async def test_a_prepared_change_of_its_own_role_is_rolled_back(shop: Shop) -> None:
    plan = await shop.applied(customers())
    session = await shop.target.open_session(plan, shop.spec())
    for statement in (
        "begin",
        "alter role current_user password 'mine'",
        "prepare transaction 'it''s mine'",
    ):
        assert (await session.execute(statement)).sqlstate == ""
    started = time.monotonic()
    closure = await shop.target.close([session.account])
    assert time.monotonic() - started < 1.0
    assert closure.rolled_back == 1
    assert closure.missing == ()
    assert shop.superuser("select gid from pg_prepared_xacts") == []
    await session.aclose()


async def test_what_it_owns_in_any_database_is_dropped(shop: Shop) -> None:
    shop.owner("create schema open; grant all on schema open to public")
    plan = await shop.applied(customers())
    session = await shop.target.open_session(plan, shop.spec())
    for statement in (
        "create temporary table kept as select 1 as one",
        "create table open.mine (id int)",
        "create function open.f() returns int language sql as 'select 1'",
        "select lo_create(0)",
        "alter default privileges in schema open grant select on tables to public",
    ):
        assert (await session.execute(statement)).sqlstate == "", statement
    closure = await shop.target.close([session.account])
    assert closure.missing == ()
    assert closure.dropped >= 3
    await _closed_within_a_second(shop, session.account)
    assert shop.superuser("select to_regclass('open.mine')") == [(None,)]
    assert shop.superuser("select count(*) from pg_largeobject_metadata") == [(0,)]
    assert shop.superuser("select count(*) from pg_default_acl") == [(0,)]
    await session.aclose()


async def test_what_others_built_on_it_stays_with_the_admin(shop: Shop) -> None:
    shop.owner("create schema open; grant all on schema open to public")
    plan = await shop.applied(customers())
    session = await shop.target.open_session(plan, shop.spec())
    assert (await session.execute("create table open.mine (id int)")).sqlstate == ""
    shop.superuser("create view open.theirs as select * from open.mine")
    await _closed_within_a_second(shop, session.account)
    owner = shop.superuser(
        "select tableowner from pg_tables where schemaname = 'open' and tablename = 'mine'"
    )
    assert owner == [(ADMIN,)]
    await session.aclose()


async def test_privileges_and_memberships_from_others_go_with_it(shop: Shop) -> None:
    plan = await shop.applied(customers())
    session = await shop.target.open_session(plan, shop.spec())
    account = session.account
    shop.superuser("create role stranger; create role other")
    shop.superuser(f"grant select on sales.notes to {account}")
    shop.superuser(f"grant stranger to {account} with admin option")
    shop.superuser(f"grant {account} to other")
    # And it passes on what it was given.
    assert (await session.execute("grant stranger to other")).sqlstate == ""
    await _closed_within_a_second(shop, account)
    assert shop.superuser(
        "select count(*) from pg_auth_members where roleid = 'stranger'::regrole"
    ) == [(0,)]
    await session.aclose()


async def test_a_granted_privilege_granted_on_goes_too(shop: Shop) -> None:
    plan = await shop.applied(customers())
    session = await shop.target.open_session(plan, shop.spec())
    shop.superuser("create role other")
    shop.superuser(
        f"grant usage on schema sales to {session.account};"
        f" grant select on sales.notes to {session.account} with grant option"
    )
    assert (await session.execute("grant select on sales.notes to other")).sqlstate == ""
    await _closed_within_a_second(shop, session.account)
    assert shop.superuser("select has_table_privilege('other', 'sales.notes', 'select')") == [
        (False,)
    ]
    await session.aclose()


async def test_a_role_somebody_else_made_is_left_alone(shop: Shop) -> None:
    shop.superuser("create role dp_g_theirs_1 login")
    closure = await shop.target.close(["dp_g_theirs_1", OWNER])
    assert closure.closed_at is None
    assert len(closure.missing) == 2
    assert shop.superuser("select rolcanlogin from pg_roles where rolname = 'dp_g_theirs_1'") == [
        (True,)
    ]


async def test_a_target_that_is_down_is_said_to_be(
    shop: Shop, make_target: Callable[..., PostgresTarget]
) -> None:
    shop.cluster.stop("immediate")
    try:
        with pytest.raises(Unavailable):
            await make_target().close(["dp_g_t_1"])
    finally:
        shop.cluster.start()


async def test_many_accounts_at_once_leave_nothing(shop: Shop) -> None:
    plan = await shop.applied(customers())
    before = shop.superuser("select count(*) from pg_roles") + shop.superuser(
        "select count(*) from pg_auth_members"
    )
    sessions = [await shop.target.open_session(plan, shop.spec()) for _ in range(30)]
    closure = await shop.target.close([each.account for each in sessions])
    assert closure.missing == ()
    assert closure.terminated == 30
    after = shop.superuser("select count(*) from pg_roles") + shop.superuser(
        "select count(*) from pg_auth_members"
    )
    assert after == before
    for session in sessions:
        await session.aclose()


async def test_an_account_without_backends_is_gone_in_one_step(shop: Shop) -> None:
    plan = await shop.applied(customers())
    session = await shop.target.open_session(plan, shop.spec())
    await session.aclose()
    await _closed_within_a_second(shop, session.account)


async def test_a_lost_admin_connection_is_made_again(shop: Shop) -> None:
    plan = await shop.applied(customers())
    session = await shop.target.open_session(plan, shop.spec())
    with psycopg.connect(shop.conninfo, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (ADMIN,)
        )
    await _closed_within_a_second(shop, session.account)
    await session.aclose()


async def test_what_it_prepared_as_its_scope_is_rolled_back(shop: Shop) -> None:
    """From 16 a session cannot act as its scope's role; until 15 it can."""
    plan = await shop.applied(customers())
    session = await shop.target.open_session(plan, shop.spec())
    acted = await session.execute(f"set role {plan.role}")
    if acted.sqlstate:
        assert acted.sqlstate == "42501"
        assert shop.superuser("select current_setting('server_version_num')::int >= 160000") == [
            (True,)
        ]
    for statement in ("begin; select * from customers", "prepare transaction 'p'"):
        assert (await session.execute(statement)).sqlstate == ""
    await _closed_within_a_second(shop, session.account)
    assert shop.superuser("select gid from pg_prepared_xacts") == []
    await session.aclose()


async def test_a_scope_goes_though_a_transaction_is_prepared_in_it(shop: Shop) -> None:
    plan = await shop.applied(customers())
    shop.superuser(
        f"set role {plan.role}; begin; lock table {plan.view_schema('sales')}.customers"
        " in access share mode; prepare transaction 'p'"
    )
    await shop.target.remove_scope(shop.database, plan.scope_hash)
    assert (await shop.target.inventory()).scopes == frozenset()

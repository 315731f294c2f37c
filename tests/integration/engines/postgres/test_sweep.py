"""Accounts that end at the same moment are closed together; those that resist, one by one."""

from __future__ import annotations

import asyncio

from daypass.engines.contract import Session
from daypass.engines.postgres.plan import PostgresPlan
from tests.integration.engines.postgres.conftest import ADMIN, Shop, customers

MANY = 20


async def _opened(shop: Shop, plan: PostgresPlan, count: int) -> list[Session]:
    return [await shop.target.open_session(plan, shop.spec()) for _ in range(count)]


async def _steps_of_closing(shop: Shop, sessions: list[Session]) -> list[str]:
    """Close each session by a call of its own, all at once; return the steps it took."""
    shop.steps.clear()
    closures = await asyncio.gather(*(shop.target.close([each.account]) for each in sessions))
    for session, closure in zip(sessions, closures, strict=True):
        assert closure.accounts == (session.account,)
        assert closure.missing == ()
        assert closure.terminated == 1
        assert closure.closed_at is not None
        assert closure.removed_at is not None
        assert closure.closed_at <= closure.removed_at
        assert f"{session.account}: no role of the name" in closure.probes
    assert shop.superuser("select rolname from pg_roles where rolname ~ '^dp_g_'") == []
    for session in sessions:
        assert (await session.execute("select 1")).sqlstate == "57P01"
        await session.aclose()
    return list(shop.steps)


async def test_those_that_do_not_resist_take_a_few_statements_together(shop: Shop) -> None:
    sessions = await _opened(shop, await shop.applied(customers()), MANY)
    steps = await _steps_of_closing(shop, sessions)
    assert steps.count("terminate") == 1
    assert steps.count("expire accounts") == 1
    assert "expire account" not in steps
    assert steps.count("look") < 10


async def test_one_that_holds_its_own_role_keeps_no_other(shop: Shop) -> None:
    sessions = await _opened(shop, await shop.applied(customers()), MANY)
    for statement in ("begin", "alter role current_user password 'mine'"):
        assert (await sessions[3].execute(statement)).sqlstate == ""
    await _steps_of_closing(shop, sessions)


async def test_one_with_privileges_of_its_own_is_closed_with_the_others(shop: Shop) -> None:
    sessions = await _opened(shop, await shop.applied(customers()), MANY)
    shop.owner(f'grant select on sales.notes to "{sessions[5].account}"')
    steps = await _steps_of_closing(shop, sessions)
    assert "drop owned" in steps
    left = shop.superuser(
        "select count(*) from pg_shdepend where refclassid = 'pg_authid'::regclass"
        " and not exists (select from pg_roles where oid = refobjid)"
    )
    assert left == [(0,)]


async def test_a_role_somebody_else_made_is_left_alone_among_many(shop: Shop) -> None:
    sessions = await _opened(shop, await shop.applied(customers()), 4)
    shop.superuser("create role dp_g_theirs_1 login")
    shop.superuser(f"grant dp_g_theirs_1 to {ADMIN} with admin option")
    both = await asyncio.gather(
        shop.target.close(["dp_g_theirs_1"]),
        shop.target.close([each.account for each in sessions]),
    )
    assert both[0].missing == ("dp_g_theirs_1 is a role Daypass did not make: left alone",)
    assert both[0].removed_at is None
    assert both[1].missing == ()
    assert shop.superuser("select rolname from pg_roles where rolname ~ '^dp_g_'") == [
        ("dp_g_theirs_1",)
    ]
    shop.superuser("drop role dp_g_theirs_1")
    for session in sessions:
        await session.aclose()

"""Who is let in through the gateway, and who asks for access by connecting."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from daypass.domain.ids import RequestId
from daypass.domain.principal import Capability
from daypass.operations.decide_request import decide_request
from tests.gateways import Gate

_COUNT = "select count(*) > 0 from sales.orders"


async def _pending(gate: Gate) -> RequestId:
    for _ in range(200):
        rows = await gate.world.rows("select id from request where state = 'pending'")
        if rows:
            return RequestId(int(str(rows[0][0])))
        await asyncio.sleep(0.05)
    raise AssertionError("no request was filed")


@pytest.mark.parametrize(
    ("user", "whose", "why"),
    [
        ("ada", "wrong", "28P01"),
        ("ben", "ada", "28P01"),
        ("nobody", "ada", "28P01"),
        ("ada'; drop table x; --", "ada", "28P01"),
    ],
)
async def test_without_the_right_token_nobody_is_let_in(
    gate: Gate, user: str, whose: str, why: str
) -> None:
    await gate.world.grant("ada", "sales.*")
    token = await gate.token("ada") if whose == "ada" else "dpt_1_" + "x" * 43
    said = await gate.psql(user, "-c", "select 1", token=token, options="")
    assert said.code == 2
    assert "unknown, expired or revoked" in said.err, said.err
    assert await gate.world.rows("select 1 from session") == []
    assert why


async def test_a_revoked_token_and_one_that_may_not_connect(gate: Gate) -> None:
    here = gate.world
    await here.grant("ada", "sales.*")
    token = await gate.token("ada")
    async with here.ctx.store.transaction() as tx:
        await tx.execute("update access_token set revoked_at = clock_timestamp()")
    said = await gate.psql("ada", "-c", "select 1", token=token)
    assert "unknown, expired or revoked" in said.err
    token = await gate.token("ada", Capability.READ)
    said = await gate.psql("ada", "-c", "select 1", token=token)
    assert "may not be used to connect" in said.err


async def test_unknown_and_forbidden_databases_look_the_same(gate: Gate) -> None:
    token = await gate.token("cleo")
    answers = []
    for database in ("prod/shop", "prod/nothing", "nowhere/shop"):
        said = await gate.psql("cleo", "-c", "select 1", token=token, database=database)
        assert said.code == 2
        answers.append(said.err.replace(database, "X").split("FATAL:")[-1])
    assert answers[0] == answers[1] == answers[2]
    assert "daypass request X" in answers[0]


async def test_a_name_without_its_instance_is_told_how_databases_are_named(gate: Gate) -> None:
    await gate.world.grant("ada", "sales.*")
    for database in ("shop", "prod.shop", "prod/", "nothing", "prod/shop/x"):
        said = await gate.psql("ada", "-c", "select 1", database=database)
        assert said.code == 2
        assert "databases are named instance/database" in said.err, said.err


async def test_a_chosen_grant_counts_and_somebody_elses_does_not(gate: Gate) -> None:
    wide = await gate.world.grant("ada", "sales.*")
    narrow = await gate.world.grant("ada", "sales.orders")
    async with await gate.connect("ada") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("select id from sales.customers limit 1")
    async with await gate.connect("ada", options=f"-c daypass.grant={wide}") as connection:
        await connection.execute("select id from sales.customers limit 1")
    said = await gate.psql("ben", "-c", "select 1", options=f"-c daypass.grant={narrow}")
    assert f"no live grant {narrow}" in said.err


async def test_a_reason_files_a_request_and_what_a_rule_allows_opens_at_once(gate: Gate) -> None:
    said = await gate.psql(
        "ada", "-c", "select count(*) > 0 from sales.orders", options="-c daypass.reason=INC-42"
    )
    assert said.out == "t\n", said.err
    [(reason, ticket)] = await gate.world.rows("select reason, ticket from request")
    assert (reason, ticket) == ("INC-42", "INC-42")


async def test_a_client_is_held_until_its_request_is_decided(gate: Gate) -> None:
    here = gate.world
    connecting = asyncio.create_task(
        gate.psql(
            "ben",
            "-c",
            "select count(*) > 0 from sales.orders",
            options="-c daypass.reason=checking -c daypass.wait=30s",
        )
    )
    number = None
    for _ in range(200):
        rows = await here.rows("select id from request where state = 'pending'")
        if rows:
            number = RequestId(int(str(rows[0][0])))
            break
        await asyncio.sleep(0.05)
    assert number is not None
    await decide_request(here.ctx, await here.actor("dana"), number, yes=True)
    said = await asyncio.wait_for(connecting, 15)
    assert said.out == "t\n", said.err
    assert "waits for approval" in said.err


async def test_a_request_nobody_decides_stays_and_is_not_filed_twice(gate: Gate) -> None:
    for _ in range(2):
        said = await gate.psql("ben", "-c", "select 1", options="-c daypass.reason=checking")
        assert said.code == 2
        assert "is not decided yet" in said.err, said.err
    assert await gate.world.rows("select count(*) from request") == [(1,)]


async def test_a_rule_files_by_itself_on_connecting(gate: Gate) -> None:
    said = await gate.psql("ben", "-c", "explain select * from sales.orders")
    assert said.code == 0, said.err
    assert "Scan" in said.out
    said = await gate.psql("ben", "-c", "select * from sales.orders limit 1")
    assert said.code == 1
    assert "ERROR" in said.err


async def test_what_somebody_asked_for_goes_before_what_a_rule_filed_by_itself(gate: Gate) -> None:
    here = gate.world
    said = await gate.psql("ben", "-c", "explain select * from sales.orders")
    assert said.code == 0, said.err
    connecting = asyncio.create_task(
        gate.psql("ben", "-c", _COUNT, options="-c daypass.reason=checking -c daypass.wait=30s")
    )
    await decide_request(here.ctx, await here.actor("dana"), await _pending(gate), yes=True)
    asked = await asyncio.wait_for(connecting, 15)
    assert asked.out == "t\n", asked.err
    for options in ("", "-c daypass.reason=checking"):
        said = await gate.psql("ben", "-c", _COUNT, options=options)
        assert said.out == "t\n", said.err
        assert "not needed" not in said.err
    assert await here.rows("select count(*) from request") == [(2,)]


async def test_options_that_name_more_than_a_live_grant_has_file_a_request(gate: Gate) -> None:
    here = gate.world
    narrow = await here.grant("ada", "sales.orders")
    said = await gate.psql("ada", "-c", _COUNT, options="-c daypass.reason=INC-1")
    assert f"daypass.reason not needed: grant {narrow} is live" in said.err, said.err
    more = "-c daypass.reason=INC-2 -c daypass.relations="
    said = await gate.psql("ada", "-c", _COUNT, options=f"{more}sales.orders")
    assert "not needed" in said.err, said.err
    assert await here.rows("select count(*) from request") == [(1,)]
    for _ in range(2):
        said = await gate.psql(
            "ada", "-c", "select id from sales.customers limit 1", options=f"{more}sales.customers"
        )
        assert said.code == 0, said.err
    assert await here.rows("select count(*) from request") == [(2,)]
    said = await gate.psql("ada", options=f"-c daypass.grant={narrow} -c daypass.classes=update")
    assert "daypass.classes: goes with a request" in said.err, said.err


async def test_a_denial_names_the_grant_that_has_it(gate: Gate) -> None:
    wide = await gate.world.grant("ada", "sales.*")
    narrow = await gate.world.grant("ada", "sales.orders")
    async with await gate.connect("ada") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as denied:
            await connection.execute("select id from sales.customers limit 1")
    hint = denied.value.diag.message_hint or ""
    assert hint.startswith(f"This session is under grant {narrow}. Grant {wide} has it, until ")
    assert f"options='-c daypass.grant={wide}'" in hint


async def test_a_wrong_option_is_named(gate: Gate) -> None:
    said = await gate.psql("ada", "-c", "select 1", options="-c daypass.granted=1")
    assert "daypass.granted: there is no such option" in said.err

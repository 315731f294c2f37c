"""Grants for exact statements: what approvers have read can be sent, and nothing else."""

from __future__ import annotations

import ssl

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest
from psycopg import sql

from daypass.domain.errors import Denied, Invalid
from daypass.domain.ids import GrantId, RequestId
from daypass.domain.limits import ExactStatement
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.operations.apply_grant import apply_grant
from daypass.operations.apply_policy import apply_policy
from daypass.operations.decide_request import decide_request
from daypass.operations.run_query import run_query
from daypass.operations.show_requests import show_request
from daypass.operations.sync_catalog import sync_catalog
from tests.gateways import Gate
from tests.world import World

_POLICY = """
defaults: {unclassified: clear}
access:
  - name: looking
    when: request.statements == [] && request.reason == "looking"
    allow_unmask: false
    max_duration: 1h
    approve: automatic
  - name: corrections
    when: "true"
    max_duration: 1h
    require: {statements: true, reason: true}
    approve: [{approvers: [owners]}]
    direct_credentials: true
masking:
  - {name: mails, columns: '"pii.email" in column.tags', mask: email}
"""

UPDATE = "update sales.orders set status = $1 where id = $2"
BINARY = "update sales.orders set id = id where id = $1 and $2::text <> ''"
LOOK = "select id, email from sales.customers where id = 1"


async def approved(here: World, *statements: ExactStatement) -> GrantId:
    """Ask for exact statements, have them approved by an owner, and return the grant."""
    filed = await here.ask(
        "ada",
        classes=frozenset(),
        asked=AskedScope(frozenset(), (), statements=statements),
    )
    assert filed.grant_id is None
    decided = await decide_request(
        here.ctx, await here.actor("dana"), filed.request_id, yes=True, comment="read it"
    )
    number = decided.request.grant_id
    assert number is not None
    await apply_grant(here.ctx, number)
    return number


@pytest.fixture
async def corrected(gate: Gate) -> Gate:
    here = gate.world
    await apply_policy(here.ctx, await here.actor("samira"), {"policy.yaml": _POLICY})
    return gate


async def test_only_what_was_approved_can_be_sent(corrected: Gate) -> None:
    here = corrected.world
    number = await approved(here, ExactStatement(UPDATE), ExactStatement(LOOK))
    assert await here.rows(
        "select asked->'classes', asked->'relations' from access_grant where id = %s", number
    ) == [(["select", "update"], ["sales.customers", "sales.orders"])]
    here.company.sql("update sales.orders set status = 'paid' where id in (1, 2)")
    async with await corrected.connect("ada") as connection:
        await connection.execute(UPDATE.replace("$1", "%s").replace("$2", "%s"), ("paid", 1))
        for text in (LOOK, LOOK + ";", f" {LOOK} ;\n"):
            row = await (await connection.execute(text.encode())).fetchone()
            assert row is not None
            assert "***" in str(row[1])
        tricks = [
            "select 1",
            LOOK.replace("= 1", "= 2"),
            LOOK.replace("select", "select/* */"),
            LOOK + " -- all of them",
            LOOK.replace(" id", "  id"),
            LOOK.upper(),
            LOOK + "; " + LOOK,
            LOOK + "; delete from sales.orders",
            "explain " + LOOK,
            "explain analyze " + LOOK,
            f"copy ({LOOK}) to stdout",
            f"declare c cursor for {LOOK}",
            f"declare c cursor with hold for {LOOK}",
            f"prepare p as {LOOK}",
            "execute p",
            f"create temp table t as {LOOK}",
            "create temp table orders (id int, status text)",
            "create table sales.orders2 (id int)",
            "set search_path to pg_temp",
            "set datestyle to german",
            "set standard_conforming_strings to off",
            "set session characteristics as transaction read only",
            "select set_config('search_path', 'pg_temp', false)",
            "update sales.orders set status = 'paid' where id = 1",
            "listen x",
            "do $$ begin end $$",
            "table sales.orders",
        ]
        for text in tricks:
            with pytest.raises(psycopg.Error) as denied:
                await connection.execute(text.encode())
            assert denied.value.sqlstate in ("42501", "42704", "26000"), (text, denied.value)
        # Driver's own way to prepare, named and run again, and a transaction around it.
        async with connection.transaction():
            for _ in range(7):
                cursor = await connection.execute(
                    UPDATE.replace("$1", "%s").replace("$2", "%s"), ("paid", 2), prepare=True
                )
                assert cursor.rowcount == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with connection.transaction(), connection.cursor("named") as named:
                await named.execute(LOOK.encode())
        # In a pipeline what is not approved takes what is behind it with it.
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await _pipelined(connection, "select 1", UPDATE.replace("$1", "'shipped'"))
    assert here.company.sql("select distinct status from sales.orders where id in (1, 2)") == [
        ("paid",)
    ]


async def _pipelined(connection: psycopg.AsyncConnection[tuple[object, ...]], *texts: str) -> None:
    async with connection.pipeline():
        for text in texts:
            await connection.execute(text.replace("$2", "1").encode())


async def test_fixed_values_hold_whatever_drivers_send(corrected: Gate) -> None:
    here = corrected.world
    await approved(
        here, ExactStatement(UPDATE, ("shipped", "3")), ExactStatement(BINARY, ("3", "sure"))
    )
    here.company.sql("update sales.orders set status = 'paid' where id in (3, 4)")
    text = sql.SQL(UPDATE.replace("$1", "{}").replace("$2", "{}"))
    async with await corrected.connect("ada") as connection:
        for values in (("paid", 3), ("shipped", 4), ("shipped", "03")):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="other values"):
                await connection.execute(UPDATE.replace("$1", "%s").replace("$2", "%s"), values)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(text.format(sql.Literal("shipped"), sql.Literal(4)))
        await connection.execute(
            UPDATE.replace("$1", "%s").replace("$2", "%s"), ("shipped", 3), prepare=True
        )
    assert here.company.sql("select status from sales.orders where id in (3, 4) order by id") == [
        ("shipped",),
        ("paid",),
    ]
    binary = await asyncpg.connect(
        host="127.0.0.1",
        port=corrected.running.port,
        user="ada@example.com",
        password=await corrected.token("ada"),
        database="prod/shop",
        ssl=ssl.create_default_context(cafile=str(corrected.certificate)),
    )
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="other values"):
            await binary.execute(BINARY, 4, "sure")
        assert await binary.execute(BINARY, 3, "sure") == "UPDATE 1"
    finally:
        await binary.close()


async def test_a_clients_settings_cannot_give_an_approved_text_another_meaning(
    corrected: Gate,
) -> None:
    here = corrected.world
    text = "select date '02/01/2026' - date '01/01/2026' as days, count(*) from sales.orders"
    await approved(here, ExactStatement(text))
    usual = here.company.sql(text)
    said = await corrected.psql(
        "ada", "-c", text, options="-c datestyle=DMY -c search_path=pg_temp -c timezone=Asia/Tokyo"
    )
    assert said.code == 0, said.err
    assert said.out.strip() == "|".join(str(each) for each in usual[0])
    assert "nothing but what was approved may be sent" in said.err


async def test_whoever_has_a_wider_grant_too_gets_that_unless_they_say_otherwise(
    corrected: Gate,
) -> None:
    here = corrected.world
    exact = await approved(here, ExactStatement(LOOK))
    wide = (await here.ask("ada", "sales.*", reason="looking")).grant_id
    assert wide is not None
    await apply_grant(here.ctx, wide)
    wider = await corrected.psql("ada", "-c", "select count(*) from sales.orders")
    assert wider.code == 0, wider.err
    assert f"grant {wide} " in wider.err
    narrow = await corrected.psql(
        "ada", "-c", "select count(*) from sales.customers", options=f"-c daypass.grant={exact}"
    )
    assert narrow.code == 1
    assert "exact statement" in narrow.err
    ada = await here.actor("ada")
    assert (await run_query(here.ctx, ada, "prod/shop", LOOK)).grant_id == exact
    other = await run_query(here.ctx, ada, "prod/shop", "select count(*) from sales.orders")
    assert other.grant_id == wide


async def test_queries_under_such_a_grant(corrected: Gate) -> None:
    here = corrected.world
    await approved(here, ExactStatement(LOOK), ExactStatement(UPDATE, ("paid", "5")))
    ada = await here.actor("ada")
    found = await run_query(here.ctx, ada, "prod/shop", LOOK + ";")
    assert "***" in str(found.result.rows[0][1])
    await run_query(here.ctx, ada, "prod/shop", UPDATE, parameters=("paid", "5"))
    for text, values in (
        ("select 1", ()),
        (UPDATE, ("shipped", "5")),
        (UPDATE, ()),
        (f"explain {LOOK}", ()),
        (f"{LOOK}; select 1", ()),
    ):
        with pytest.raises(Denied) as denied:
            await run_query(here.ctx, ada, "prod/shop", text, parameters=values)
        assert denied.value.detail_code == "not_approved_text"
    refused = await here.rows(
        "select count(*) from entry where kind = 'statement.denied'"
        " and content->>'code' = 'not_approved_text'"
    )
    assert refused == [(5,)]


async def test_what_cannot_be_asked_for(corrected: Gate) -> None:
    here = corrected.world
    for text, says in (
        ("selec 1", "syntax error"),
        ("  ", "no statement"),
        ("execute p", "another statement"),
        ("set role postgres", "SET ROLE|role"),
        ("alter role ada password 'x'", "password"),
        ("select * from sales.nothing", "nothing"),
    ):
        with pytest.raises(Invalid, match=says):
            await here.ask(
                "ada", asked=AskedScope(frozenset(), (), statements=(ExactStatement(text),))
            )
    with pytest.raises(Invalid, match="exact statements are kept by Daypass"):
        await here.ask(
            "ada",
            asked=AskedScope(frozenset(), (), statements=(ExactStatement(LOOK),)),
            direct_credentials=True,
        )
    # Names without a schema that could be several: whoever approves could not tell.
    here.company.sql("create table billing.orders (id int)")
    try:
        await sync_catalog(here.ctx, None, here.shop)
        with pytest.raises(Invalid, match="write its schema"):
            await here.ask(
                "ada",
                asked=AskedScope(
                    frozenset(), (), statements=(ExactStatement("select 1 from orders"),)
                ),
            )
    finally:
        here.company.sql("drop table billing.orders")


async def test_approvers_read_the_text(corrected: Gate) -> None:
    here = corrected.world
    filed = await here.ask(
        "ada",
        asked=AskedScope(frozenset(), (), statements=(ExactStatement(UPDATE, ("paid", "6")),)),
    )
    shown = await show_request(here.ctx, await here.actor("dana"), RequestId(filed.request_id))
    assert shown.request.asked.statements == (ExactStatement(UPDATE, ("paid", "6")),)
    assert shown.request.asked.classes == {StatementClass.SELECT, StatementClass.UPDATE}
    told = await here.rows(
        "select payload::text from outbox where payload::text like '%%asks to%%'"
    )
    assert any(UPDATE in str(each[0]) for each in told)

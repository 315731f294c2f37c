"""What docs/engines.md says the admin needs is enough, and nothing is left when it is undone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from daypass.domain.catalog import RelationName
from daypass.domain.scope import Scope, ScopedColumn, ScopedRelation
from daypass.domain.secret import Secret
from daypass.domain.statement_class import StatementClass
from daypass.embedded import Cluster
from daypass.engines.contract import SessionSpec, TargetAddress
from daypass.engines.postgres import PostgresEngine
from tests import servers as pg

_TEXT = (Path(__file__).parents[4] / "docs/engines.md").read_text(encoding="utf-8")
_ORDERS = RelationName("sales", "orders")
_SELECT = "select total from sales.orders"
_FIRST_WITH_OPTIONS = 16


def _section(title: str) -> str:
    return _TEXT.split(f"### {title}\n")[1].split("\n## ")[0].split("\n### ")[0]


def _blocks(title: str) -> list[str]:
    return re.findall(r"```sql\n(.*?)```", _section(title), re.DOTALL)


def _rights(major: int) -> list[str]:
    """Return the statements of the table's column for a major version."""
    found: list[str] = []
    for line in _section("What the admin needs").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and "grant" in line:
            old, new = cells[1:]
            cell = old if major < _FIRST_WITH_OPTIONS or new == "the same" else new
            found += re.findall(r"`(grant [^`]+;)`", cell)
    return found


def _run(cluster: Cluster, database: str, *statements: str, as_admin: bool = False) -> None:
    conninfo = cluster.conninfo(database)
    if as_admin:
        conninfo += f" user=daypass_admin password={_password()}"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _password() -> str:
    [word] = re.findall(r"password '([^']+)'", _blocks("What the admin needs")[0])
    return str(word)


@pytest.fixture
def server(pg_major: int) -> Iterator[Cluster]:
    binaries = pg.binaries_of(pg_major)
    if binaries is None:
        pytest.skip(f"PostgreSQL {pg_major} is not installed")
    with pg.running_server(binaries) as cluster:
        _run(
            cluster,
            "postgres",
            "create role shop_owner nologin; create role reporting nologin",
            "create database shop owner shop_owner",
        )
        _run(
            cluster,
            "shop",
            "set role shop_owner; create schema sales;"
            " create table sales.orders (id int primary key, total numeric);"
            " insert into sales.orders values (1, 2.5);"
            " grant usage on schema sales to reporting;"
            " grant select on sales.orders to reporting",
        )
        yield cluster


async def test_the_sql_is_enough_and_leaves_nothing(server: Cluster, pg_major: int) -> None:
    instance, database = _blocks("What the admin needs")
    _run(server, "postgres", instance)
    _run(server, "shop", database, *_rights(pg_major))
    engine = PostgresEngine()
    target = engine.connect(
        TargetAddress(
            "127.0.0.1",
            server.port or 0,
            "daypass_admin",
            Secret(_password()),
            "documented",
            tls_mode="disable",
        )
    )
    try:
        assert [each.key for each in await target.check_admin("shop")] == []
        catalog = await target.read_catalog("shop")
        columns = (ScopedColumn("id"), ScopedColumn("total"))
        every = frozenset(
            {StatementClass.SELECT, StatementClass.DELETE, StatementClass.TRUNCATE}
            | {StatementClass.DDL}
        )
        scopes = [
            Scope(every, (ScopedRelation(_ORDERS, every, columns),)),
            Scope(frozenset({StatementClass.SELECT}), (), native_role="reporting"),
        ]
        for number, scope in enumerate(scopes):
            plan = engine.compile(scope, catalog, "shop")
            assert plan.left_out == ()
            await target.apply(plan)
            assert (await target.verify(plan)).problems == ()
            deadline = datetime.now(UTC) + timedelta(minutes=5)
            session = await target.open_session(plan, SessionSpec(f"dp_g_d_{number}", deadline))
            result = await session.execute(engine.prepare(_SELECT, plan).text)
            assert (result.rows, result.error) == ((("2.5",),), "")
            await session.aclose()
            assert (await target.close([session.account])).missing == ()
            await target.remove_scope("shop", plan.scope_hash)
    finally:
        await target.aclose()
    in_database, once = _blocks("When Daypass is removed")
    _run(server, "shop", *in_database.strip().splitlines(), as_admin=True)
    _run(server, "postgres", once, as_admin=True)
    words = re.findall(r"`(drop [^`]+ daypass_admin;)`", _section("When Daypass is removed"))
    assert len(words) == 2
    _run(server, "shop", *words)
    with psycopg.connect(server.conninfo("shop")) as connection:
        left = connection.execute(
            "select rolname::text from pg_roles where rolname ~ '^(dp_|daypass)'"
            " union all select nspname from pg_namespace where nspname ~ '^(dp_|daypass)'"
            " union all select nspacl::text from pg_namespace where nspacl::text ~ 'dp_|daypass'"
            " union all select relacl::text from pg_class where relacl::text ~ 'dp_|daypass'"
        )
        assert left.fetchall() == []

"""What is spliced does on a real server what the original does: the same rows or the same error."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from daypass.domain.catalog import RelationName
from daypass.embedded import Cluster
from daypass.engines.postgres.splice import original_position, splice
from tests.servers import drop_database, make_database

_CORPUS = Path(__file__).parents[3] / "corpus" / "postgres" / "splices.sql"
_LINES = [
    re.sub("[«»]", "", line)
    for line in _CORPUS.read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("--")
]

_COLUMNS = """
  id int primary key, name text default 'n', customer_id int, total int, sales int, customers text,
  a int, b int, c int, x int, lo int, hi int, pattern text, flags int default 7, gone bool,
  born date, t timestamptz, tags text[] default '{1,2}', grid int[], doc jsonb default '{"a": 1}',
  addr sales.address, address sales.address, "straße" text
"""
_SETUP = """
create schema sales;
create schema hr;
create type sales.address as (city text, sales text, customers int);
create type sales.status as enum ('new');
create table sales.secret (id int, x int);
insert into sales.secret values (1);
create table hr.salaries (id int);
insert into hr.salaries values (2);
create function sales.customers(int) returns setof int language sql as 'select $1';
create function sales.orders(int) returns int language sql as 'select $1';
"""
_RELATIONS = {
    "sales": ("customers", "orders", "sales"),
    "hr": ("staff",),
    "Sales": ("Customers",),
    "verkäufe": ("größe",),
    "public": ("t",),
}
_SCOPE = frozenset(RelationName(s, name) for s, names in _RELATIONS.items() for name in names)
_VIEWS = {schema: f'v "{schema}" of a scope' for schema in _RELATIONS}

# A view is no table: what the server says of it differs, as docs/limitations tells.
_NOT_ON_VIEWS = (
    "TABLESAMPLE",
    "ON CONFLICT",
    "CURRENT OF",
    "MERGE",
    "OVERRIDING",
    "GROUP BY",
    "STDOUT",
)


@pytest.fixture(scope="module")
def shop(servers: Callable[[int], Cluster]) -> Iterator[psycopg.Connection]:
    """Give a database with every relation twice: as a table and as a view in its own schema."""
    cluster = servers(18)
    conninfo = make_database(cluster)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(_SETUP)
        for schema, names in _RELATIONS.items():
            views = sql.Identifier(_VIEWS[schema])
            for each in (sql.Identifier(schema), views):
                connection.execute(sql.SQL("create schema if not exists {}").format(each))
            for name in names:
                table = sql.Identifier(schema, name)
                view = sql.Identifier(_VIEWS[schema], name)
                for statement in (
                    sql.SQL("create table {} ({})").format(table, sql.SQL(_COLUMNS)),
                    sql.SQL(
                        "insert into {} (id, customer_id, a) values (1, 2, 3), (2, 1, 4)"
                    ).format(table),
                    sql.SQL("create view {} as table {}").format(view, table),
                ):
                    connection.execute(statement)
    with psycopg.connect(conninfo) as connection:
        connection.execute("set statement_timeout = '5s'")
        connection.commit()
        yield connection
    drop_database(cluster, conninfo)


def _run(connection: psycopg.Connection, text: str, path: str) -> tuple[object, int | None]:
    """Return the rows or the SQLSTATE of a text, and where the server saw an error."""
    try:
        connection.execute(sql.SQL("set search_path to {}, pg_temp").format(sql.SQL(path)))
        cursor = connection.execute(text.encode())
        results = []
        while True:
            results.append(
                (cursor.statusmessage, sorted(map(repr, cursor)) if cursor.description else None)
            )
            if not cursor.nextset():
                break
        return results, None
    except psycopg.Error as error:
        position = error.diag.statement_position
        return error.sqlstate, int(position) if position else None
    finally:
        connection.rollback()
        connection.execute("deallocate all")
        connection.commit()


def test_the_server_answers_both_alike(shop: psycopg.Connection) -> None:
    database = conninfo_to_dict(shop.info.dsn)["dbname"]
    tables = sql.SQL(", ").join(map(sql.Identifier, _RELATIONS)).as_string(shop)
    views = sql.SQL(", ").join(map(sql.Identifier, _VIEWS.values())).as_string(shop)
    answered = changed = 0
    for line in _LINES:
        if any(words in line for words in _NOT_ON_VIEWS) or line.startswith("EXPLAIN"):
            continue
        text = line.replace("shop.", f"{database}.").replace('"sh\\006fp"', f'"{database}"')
        spliced = splice(text, _VIEWS, _SCOPE)
        if spliced.text == text:
            continue
        changed += 1
        expected, at = _run(shop, text, tables)
        found, there = _run(shop, spliced.text, f"{views}, {tables}")
        assert found == expected, line
        if there is not None:
            assert original_position(spliced.shifts, there) == at, line
        answered += isinstance(expected, list)
    assert changed > 150
    assert answered > 100

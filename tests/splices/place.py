"""A database with what PostgreSQL's regression scripts make, and a grant on all of it.

Each script's tables, types and functions stand in a schema of its own; what `test_setup` makes for
all of them in `regress`. Nothing is dropped in between, and temporary tables are made to stay, so
that a statement finds what it names wherever in its script it stands.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Final

import psycopg
from psycopg import sql

from daypass.domain.catalog import RelationName
from daypass.domain.errors import Invalid
from daypass.engines.postgres.parsing import Node, child, integer, parse_text, string
from tests.splices.material import Piece, pieces
from tests.world import CompanyServer

_NAMES: Final = """
  aggregates arrays bit bitmapops boolean box case circle collate compression create_misc date
  domain float8 geometry groupingsets hash_func horology identity inet insert insert_conflict
  int4 int8 interval join json jsonb jsonb_jsonpath jsonpath limit line lseg merge
  misc_functions multirangetypes numeric numerology opr_sanity path point polygon polymorphism
  rangefuncs rangetypes returning rowtypes rules select select_distinct select_distinct_on
  select_having select_implicit sqljson sqljson_jsontable sqljson_queryfuncs strings subselect
  text timestamp timestamptz tsearch tsrf tstypes type_sanity union updatable_views update uuid
  window with xml
"""
SCRIPTS: Final = tuple(_NAMES.split())
"""Scripts that mostly ask, with little that takes long; the rest is about what no grant opens."""

OWNER: Final = "splice_owner"
DATABASE: Final = "splices"
SHARED: Final = "regress"
_MAKES: Final = frozenset(
    {
        "AlterTableStmt",
        "CompositeTypeStmt",
        "CopyStmt",
        "CreateDomainStmt",
        "CreateEnumStmt",
        "CreateFunctionStmt",
        "CreateRangeStmt",
        "CreateSeqStmt",
        "CreateStmt",
        "CreateTableAsStmt",
        "DefineStmt",
        "IndexStmt",
        "InsertStmt",
        "SelectStmt",
        "ViewStmt",
    }
)
HAND_MADE: Final = tuple(
    RelationName(*name.split("."))
    for name in (
        "sales.customers",
        "sales.orders",
        "sales.sales",
        "hr.staff",
        "Sales.Customers",
        "verkäufe.größe",
    )
)
_COLUMNS: Final = """
  id int primary key, name text default 'n', customer_id int, total int, sales int, customers text,
  a int, b int, c int, x int, lo int, hi int, pattern text, flags int default 7, gone bool,
  born date, t timestamptz, tags text[] default '{1,2}', grid int[], doc jsonb default '{"a": 1}',
  addr sales.address, address sales.address, "straße" text
"""
_TEMPORARY: Final = re.compile(
    r"^(\s*(?:--[^\n]*\n\s*)*create\s+)(?:(?:global|local)\s+)?temp(?:orary)?\s+", re.IGNORECASE
)
_ON_COMMIT: Final = re.compile(r"\s+on\s+commit\s+(?:drop|delete\s+rows|preserve\s+rows)", re.I)
_ROWS: Final = """
insert into {0} select i, i, i % 2, i % 4, i % 10, i % 20, i % 100, i % 1000, i % 200, i % 5000, i,
  i * 2, i * 2 + 1, 'AAAAxx' || chr(65 + i % 26), 'BBBBxx', (array['AAAA', 'HHHH', 'OOOO', 'VVVV'])
  [1 + i % 4] || 'xx' from generate_series(0, {1} - 1) i
"""
"""As many rows of the kind PostgreSQL's own data files hold, which are not distributed here."""


def make_database(company: CompanyServer, scripts: Sequence[str]) -> None:
    """Make the database on the company's server and run what makes things in each script."""
    company.sql(
        f"create role {OWNER} nologin; grant {OWNER} to daypass_admin with admin option",
        "postgres",
    )
    company.sql(f"create database {DATABASE} owner {OWNER} template template0", "postgres")
    company.sql(f"grant connect, create on database {DATABASE} to daypass_admin", "postgres")
    conninfo = company.cluster.conninfo(DATABASE)
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("set client_min_messages = 'error'")
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(OWNER)))
        connection.execute("set statement_timeout = '2s'")
        for script in ("test_setup", *scripts):
            schema = schema_of(script)
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
            connection.execute(
                sql.SQL("set search_path to {}, {}").format(
                    sql.Identifier(schema), sql.Identifier(SHARED)
                )
            )
            for piece in pieces(script):
                _make(connection, piece)
            if script == "test_setup":
                for table, count in (("tenk1", 10_000), ("onek", 1_000)):
                    connection.execute(_ROWS.format(table, count).encode())
                connection.execute("insert into tenk2 select * from tenk1")
        connection.execute("reset search_path; reset statement_timeout")
        _make_by_hand(connection)
        connection.execute("analyze")


def _make_by_hand(connection: psycopg.Connection) -> None:
    """Make the relations that the corpus of splices is about."""
    connection.execute(
        """
        create schema sales;
        create type sales.address as (city text, sales text, customers int);
        create function sales.customers(int) returns setof int language sql as 'select $1';
        create function sales.orders(int) returns int language sql as 'select $1';
        """
    )
    for each in HAND_MADE:
        table = sql.Identifier(each.schema, each.name)
        connection.execute(
            sql.SQL("create schema if not exists {}").format(sql.Identifier(each.schema))
        )
        connection.execute(sql.SQL("create table {} ({})").format(table, sql.SQL(_COLUMNS)))
        connection.execute(
            sql.SQL("insert into {} (id, customer_id, a) values (1, 2, 3), (2, 1, 4)").format(table)
        )


def schema_of(script: str) -> str:
    """Return the schema in which a script's relations stand."""
    return SHARED if script == "test_setup" else "r_" + script.replace(".", "_")


def _make(connection: psycopg.Connection, piece: Piece) -> None:
    kind, node = piece.parsed.kind, piece.parsed.node
    if kind not in _MAKES or (kind == "SelectStmt" and "intoClause" not in node):
        return
    text = _ON_COMMIT.sub("", _TEMPORARY.sub(r"\1", piece.text))
    if kind == "SelectStmt":
        text = re.sub(r"(?i)\binto\s+temp(orary)?\b", "into", text)
    with contextlib.suppress(psycopg.Error):
        if kind != "CopyStmt":
            connection.execute(text.encode())
        elif piece.rows and node.get("is_from") and not node.get("filename"):
            with connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
                copy.write(piece.rows)


def relations(company: CompanyServer) -> frozenset[RelationName]:
    """Return what the database has."""
    rows = company.sql(
        "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'v', 'm', 'p') and n.nspname !~"
        " '^pg_|^information_schema$|^dp_|^daypass$'",
        DATABASE,
    )
    return frozenset(RelationName(str(schema), str(name)) for schema, name in rows)


def qualified(piece: Piece, known: frozenset[RelationName]) -> str | None:
    """Write a statement's relations with their schema, so that there is something to splice.

    None where a relation is not there.
    """
    places = (schema_of(piece.script), SHARED)
    source = piece.text.encode()
    found: list[tuple[int, str]] = []
    ctes = set(_ctes(piece.parsed.node))
    for node in _ranges({piece.parsed.kind: piece.parsed.node}):
        name = string(node, "relname")
        if node.get("schemaname") or name in ctes:
            continue
        schema = next((each for each in places if RelationName(each, name) in known), None)
        if schema is None:
            return None
        found.append((integer(node, "location"), schema))
    for at, schema in sorted(found, reverse=True):
        source = source[:at] + f"{schema}.".encode() + source[at:]
    text = source.decode()
    with contextlib.suppress(Invalid):
        parse_text(text)
        return text
    return None


def _ranges(tree: object) -> Iterator[Node]:
    stack = [tree]
    while stack:
        each = stack.pop()
        if isinstance(each, list):
            stack.extend(each)
        elif isinstance(each, dict):
            relation = child(each, "RangeVar") or (
                each["relation"] if isinstance(each.get("relation"), dict) else None
            )
            if relation is not None and "relname" in relation:
                yield relation
            stack.extend(
                value for key, value in each.items() if key not in ("lockingClause", "RangeVar")
            )


def _ctes(tree: object) -> Iterator[str]:
    stack = [tree]
    while stack:
        each = stack.pop()
        if isinstance(each, list):
            stack.extend(each)
        elif isinstance(each, dict):
            if "ctename" in each:
                yield string(each, "ctename")
            stack.extend(each.values())

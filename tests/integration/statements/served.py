"""What a server makes of a statement in a transaction that may only read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict

from daypass.domain.catalog import RelationName
from daypass.embedded import Cluster
from tests.servers import drop_database, make_database

READ_ONLY: Final = "25006"
ALLOWED: Final = ""
LOST: Final = "57P01"

# Whatever the corpus calls its columns.
_COLUMNS: Final = """
  id int default 1, a int, b int, c int, x int, y int, n int, m int, g int, o int, k int, total int,
  customer_id int, tags text[], name text, email text, note text, path text, doc xml, j jsonb,
  ship_to text, t timestamptz, i int, old int, new int
"""
_SETUP: Final = """
create schema sales; create schema staging; create schema hr; create schema other;
create sequence counter; create sequence sales.orders_id_seq;
create type sales.status as enum ('new');
create function f(int) returns int language sql immutable as 'select $1';
create function g(int) returns int language sql immutable as 'select $1';
create function settle(int) returns int language sql as 'select $1';
"""
_AFTER: Final = """
drop table shown, kept, ruled, watched, parted, settled;
create view shown as select id, a from behind_shown;
create materialized view kept as select id from behind_kept;
create table parted (id int, a int) partition by list (id);
create table parted_1 partition of parted for values in (1);
create table watched_table (id int, a int);
create view watched as select * from watched_table;
create function watch() returns trigger language plpgsql as 'begin return new; end';
create trigger tr instead of insert or update or delete on watched
  for each row execute function watch();
create table ruled_table (id int);
create view ruled as select * from ruled_table;
create rule d as on delete to ruled do instead nothing;
create rule i as on insert to ruled do instead insert into ruled_table values (new.id);
drop function settle(int);
create procedure settle(int) language sql as 'select 1';
"""
MADE_ELSEWHERE: Final = frozenset({"shown", "kept", "ruled", "watched", "parted"})
"""Views and the like: what is behind them is locked too."""


@dataclass
class Server:
    """A database with the corpus's relations, and a plain role that owns them."""

    conninfo: str
    _connection: psycopg.Connection | None = None

    @property
    def connection(self) -> psycopg.Connection:
        """Return the connection, or another one if it was ended."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self.conninfo, autocommit=True, prepare_threshold=None
            )
            self._connection.execute("set statement_timeout = '3s'")
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def outcome(self, text: str) -> str:
        """Run a statement that may only read; return its SQLSTATE, `ALLOWED` for none."""
        connection = self.connection
        try:
            if self._send(b"BEGIN READ ONLY") or self._send(b"DECLARE c CURSOR FOR SELECT 1"):
                raise AssertionError("the transaction did not begin")
            if text.lstrip("( ").upper().startswith("DECLARE"):
                self._send(b"CLOSE c")
            if self._send(b"PREPARE q AS SELECT 1"):
                raise AssertionError("nothing could be prepared")
            if text.upper().startswith("PREPARE"):
                self._send(b"DEALLOCATE q")
            return self._send(text.encode())
        except psycopg.OperationalError:
            return LOST
        finally:
            if not connection.closed:
                with contextlib.suppress(psycopg.OperationalError):
                    self._send(b"ROLLBACK")
                    self._send(b"DEALLOCATE ALL")
                    self._send(b"UNLISTEN *")
                    if text.startswith("PREPARE TRANSACTION"):
                        self._send(b"ROLLBACK PREPARED 'x'")

    def _send(self, text: bytes) -> str:
        server = self.connection.pgconn
        result = server.exec_(text)
        if result.status == pq.ExecStatus.COPY_IN:
            server.put_copy_end(b"no more")
            result = server.get_result() or result
        elif result.status == pq.ExecStatus.COPY_OUT:
            while server.get_copy_data(0)[0] > 0:
                pass
            result = server.get_result() or result
        while server.get_result() is not None:
            pass
        if server.status != pq.ConnStatus.OK:
            self.connection.close()
            return LOST
        found = result.error_field(pq.DiagnosticField.SQLSTATE)
        return found.decode() if found else ALLOWED

    def locks(self, text: str) -> dict[RelationName, set[str]] | None:
        """Return the relations that a statement's analysis locks, and how; None if it fails."""
        connection = self.connection
        try:
            if self._send(b"BEGIN") or self._send(b"PREPARE p AS " + text.encode()):
                return None
            found: dict[RelationName, set[str]] = {}
            rows = connection.execute(
                "select n.nspname, c.relname, l.mode from pg_locks l join pg_class c"
                " on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace"
                " where l.pid = pg_backend_pid() and n.nspname not in"
                " ('pg_catalog', 'information_schema') and c.relkind in ('r', 'p', 'v', 'm', 'S')"
            )
            for schema, name, mode in rows:
                found.setdefault(RelationName(schema, name), set()).add(mode)
            return found
        finally:
            self._send(b"ROLLBACK")
            self._send(b"DEALLOCATE ALL")


def _tables(names: set[RelationName]) -> Iterator[sql.Composed]:
    for schema in sorted({each.schema for each in names if each.schema}):
        yield sql.SQL("create schema if not exists {}").format(sql.Identifier(schema))
    public = {"behind_shown", "behind_kept", "settled", *MADE_ELSEWHERE}
    named = {RelationName(each.schema or "public", each.name) for each in names}
    for each in sorted(named | {RelationName("public", name) for name in public}):
        table = sql.Identifier(each.schema, each.name)
        yield sql.SQL("create table if not exists {} ({}, unique (id))").format(
            table, sql.SQL(_COLUMNS)
        )
        # With a row, so that what is done for each is done.
        yield sql.SQL("insert into {} (id, a, b) values (1, 5, 2)").format(table)


@contextlib.contextmanager
def server_of(cluster: Cluster, names: set[RelationName]) -> Iterator[Server]:
    """Make a database with tables of these names, gone with the block."""
    conninfo = make_database(cluster)
    database = conninfo_to_dict(conninfo)["dbname"]
    role = sql.Identifier(f"clerk_{database}")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL("create role {} nosuperuser").format(role))
        connection.execute(
            sql.SQL("alter database {} owner to {}").format(sql.Identifier(str(database)), role)
        )
        connection.execute("grant all on schema public to public")
        connection.execute(sql.SQL("set role {}").format(role))
        connection.execute(_SETUP)
        for each in _tables(names):
            connection.execute(each)
        connection.execute(_AFTER)
        connection.execute("select lo_create(5)")
    server = Server(f"{conninfo} options='-c role=clerk_{database}'")
    try:
        yield server
    finally:
        server.close()
        drop_database(cluster, conninfo)
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("drop role {}").format(role))

"""PostgreSQL under the contract suite."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from daypass.domain.catalog import RelationName
from daypass.domain.secret import Secret
from daypass.embedded import Cluster
from daypass.engines.contract import DirectCredential, Engine, TargetAddress
from daypass.engines.postgres import PostgresEngine
from daypass.engines.postgres.admin import startup_options
from tests import servers as pg
from tests.conftest import lacking
from tests.contract.adapter import Dialect, Refused, Rows, Why

_ADMIN: Final = "contract_admin"
_OWNER: Final = "contract_owner"
_PASSWORD: Final = "contract"
_SAMPLES: Final = """
create schema sales;
create table sales.customers (id bigint primary key, name text not null, email varchar(60),
  region text not null, born date, salary numeric(10, 2));
insert into sales.customers
select n, 'Name ' || n, 'user' || n || '@example.com', case when n % 2 = 0 then 'EU' else 'US' end,
  date '1990-01-01' + n::int, 1000.5 + n from generate_series(1, 100) as n;
create table sales.notes (id int primary key, customer bigint, body text);
insert into sales.notes select n, n, 'note ' || n from generate_series(1, 10) as n;
"""
_WHY: Final = {
    "42501": Why.DENIED,
    "42P01": Why.DENIED,
    "3F000": Why.DENIED,
    "57D01": Why.ENDED,
    "44000": Why.OUTSIDE,
    "0A000": Why.NOT_WRITABLE,
    "57P01": Why.CUT,
    "08003": Why.CUT,
    "57014": Why.CANCELED,
    "22012": Why.BROKEN,
    "42601": Why.BROKEN,
}
# Privileges are taken apart: written out or by default, they are the same.
_FOOTPRINT: Final = """
select 'role', rolname, rolcanlogin, rolvaliduntil::text from pg_authid;
select 'membership', roleid::regrole::text, member::regrole::text, grantor::regrole::text
  from pg_auth_members;
select 'schema', nspname, pg_get_userbyid(nspowner) from pg_namespace where nspname !~ '^pg_';
select 'privilege', nspname, a.* from pg_namespace,
  aclexplode(coalesce(nspacl, acldefault('n', nspowner))) as a where nspname !~ '^pg_';
select 'relation', nspname, relname, relkind from pg_class join pg_namespace as n
  on n.oid = relnamespace where nspname !~ '^pg_';
select 'privilege', oid, a.* from pg_class,
  aclexplode(coalesce(relacl, acldefault('r', relowner))) as a where oid >= 16384;
select 'function', p.oid::regprocedure::text, proacl::text from pg_proc as p where oid >= 16384;
select 'owned', classid, objid, refobjid, deptype from pg_shdepend where deptype = 'o';
select 'comment', objoid, description from pg_shdescription;
select 'setting', setrole, setconfig from pg_db_role_setting;
select 'default', defaclrole, defaclacl::text from pg_default_acl;
select 'large object', oid from pg_largeobject_metadata;
select 'prepared', gid from pg_prepared_xacts
"""


class _Dialect:
    sleep = "select pg_sleep(60)"
    series = "select n from generate_series(1, 1000) as n order by n"
    fails = "select 1 / 0"
    nonsense = "selekt"
    leave_things: Sequence[str] = (
        "create temporary table mine as select 1 as one",
        "select lo_from_bytea(0, 'mine')",
        "select pg_advisory_lock(1)",
        "alter role current_user set work_mem = '1MB'",
        "begin",
        "alter role current_user password 'mine'",
    )


class _Client:
    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection

    def run(self, statement: str) -> Rows:
        try:
            cursor = self._connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            state = error.sqlstate
            why = Why.CUT if state is None else _WHY.get(state)
            raise Refused(why, str(error)) from error
        return [tuple(None if each is None else str(each) for each in row) for row in rows]

    def close(self) -> None:
        self._connection.close()


class _PostgresUnderTest:
    """One database on one server."""

    schema = "sales"
    dialect: Dialect = _Dialect()
    _number = itertools.count(1)

    def __init__(self, cluster: Cluster, conninfo: str) -> None:
        self._cluster = cluster
        self._conninfo = conninfo
        self.engine: Engine = PostgresEngine()
        self.database = str(conninfo_to_dict(conninfo)["dbname"])

    def address(self, installation: str = "test") -> TargetAddress:
        return TargetAddress(
            "127.0.0.1", self._cluster.port or 0, _ADMIN, Secret(_PASSWORD), installation
        )

    def account(self) -> str:
        return f"dp_g_c_{next(self._number)}"

    def owner(self, statement: str) -> Rows:
        return self._run(statement, _OWNER)

    def client(self, credential: DirectCredential) -> _Client:
        conninfo = make_conninfo(
            host=credential.host,
            port=credential.port,
            dbname=credential.database,
            user=credential.user,
            password=credential.password.reveal(),
            options=startup_options(credential.settings),
        )
        try:
            return _Client(psycopg.connect(conninfo, autocommit=True))
        except psycopg.OperationalError as error:
            raise Refused(Why.DENIED, str(error)) from error

    def why(self, code: str) -> Why | None:
        return _WHY.get(code)

    def exists(self, account: str) -> bool:
        literal = sql.Literal(account).as_string(None)
        return bool(self._run(f"select 1 from pg_roles where rolname = {literal}"))

    def make_stranger(self) -> str:
        self._run("create role dp_g_stranger_1 login")
        return "dp_g_stranger_1"

    def drop_stranger(self, name: str) -> None:
        self._run(f"drop role {name}")

    def footprint(self) -> frozenset[tuple[object, ...]]:
        return frozenset(row for query in _FOOTPRINT.split(";") for row in self._run(query))

    def relation(self, name: str) -> RelationName:
        return RelationName(self.schema, name)

    def _run(self, statement: str, role: str = "") -> Rows:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            if role:
                connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
        return [tuple(None if each is None else str(each) for each in row) for row in rows]


class PostgresPlace:
    """One major version."""

    def __init__(self, major: int) -> None:
        self.name = f"postgres-{major}"
        self._major = major
        self._cluster: Cluster | None = None
        self._conninfo = ""

    @contextlib.contextmanager
    def start(self) -> Iterator[PostgresPlace]:
        binaries = pg.binaries_of(self._major)
        if binaries is None:
            lacking(f"PostgreSQL {self._major} is not installed")
        with pg.running_server(binaries) as cluster:
            with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
                connection.execute(
                    sql.SQL(
                        "create role {owner} nologin;"
                        " create role {admin} login nosuperuser createrole password {password};"
                        " grant {owner} to {admin}"
                    ).format(
                        owner=sql.Identifier(_OWNER),
                        admin=sql.Identifier(_ADMIN),
                        password=sql.Literal(_PASSWORD),
                    )
                )
            self._cluster = cluster
            yield self

    @contextlib.contextmanager
    def fresh(self) -> Iterator[_PostgresUnderTest]:
        # One database for all, emptied each time: making one copies many files.
        assert self._cluster is not None
        if not self._conninfo:
            self._conninfo = pg.make_database(self._cluster)
        name = sql.Identifier(str(conninfo_to_dict(self._conninfo)["dbname"]))
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute(
                sql.SQL(
                    "alter database {name} owner to {owner};"
                    " grant create on database {name} to {admin}"
                ).format(name=name, owner=sql.Identifier(_OWNER), admin=sql.Identifier(_ADMIN))
            )
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(_OWNER)))
            connection.execute(_SAMPLES.encode())
        try:
            yield _PostgresUnderTest(self._cluster, self._conninfo)
        finally:
            self._forget()

    def _forget(self) -> None:
        """Drop everything that was made since the database was new."""
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where pid <> pg_backend_pid() and backend_type = 'client backend'"
            )
            for gid in connection.execute("select gid from pg_prepared_xacts").fetchall():
                connection.execute(sql.SQL("rollback prepared {}").format(sql.Literal(*gid)))
            left = [
                str(name)
                for (name,) in connection.execute(
                    "select rolname from pg_roles where rolname ~ '^dp_'"
                ).fetchall()
            ]
            for name in [*left, _ADMIN, _OWNER]:
                owned = sql.SQL("drop owned by {} cascade").format(sql.Identifier(name))
                connection.execute(owned)
            for name in left:
                connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def places(config: pytest.Config) -> Iterable[PostgresPlace]:
    """Return one place for each major version that the command line chose."""
    return [PostgresPlace(int(each)) for each in config.getoption("--pg-majors").split(",")]

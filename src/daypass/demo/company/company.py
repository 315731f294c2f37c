"""Make the sample company's databases on a PostgreSQL of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

OWNER: Final = "shop_owner"
"""Owns both databases and everything in them; nobody signs in as it."""

ADMIN: Final = "daypass_admin"
"""What Daypass connects as: CREATEROLE, and no superuser."""

NATIVE_ROLES: Final = ("shop_readonly", "shop_app")
"""Roles the shop has of its own, which the admin may grant."""

STANDING_LOGINS: Final[Mapping[str, tuple[str, ...]]] = {
    "maria_keller": (OWNER,),
    "tom_baker": ("shop_readonly",),
    "nightly_batch": ("shop_app",),
}
"""Logins that stand for ever, with the roles they hold: two people's and a nightly job's."""

DATABASES: Final = ("shop", "metrics")

_FEWEST: Final = 100
_MOST: Final = 5_000_000
_VERSION_16: Final = 160_000
_LOADERS: Final = "daypass sample company"
_SESSION: Final = (
    "-c timezone=UTC -c synchronous_commit=off -c jit=off -c client_min_messages=warning"
    " -c work_mem=64MB -c maintenance_work_mem=256MB"
)
_FOLDER: Final = Path(__file__).parent


def load_company(
    superuser_conninfo: str,
    *,
    customers: int = 200_000,
    admin_password: str,
    logins: Mapping[str, str],
) -> None:
    """Make the databases `shop` and `metrics` and their roles, as far as they are not there.

    `superuser_conninfo` leads to any database of the server. `logins` gives a password to each of
    `STANDING_LOGINS`. Idempotent: a database gets its name only when it is complete, and one that
    has it is left as it is; what an interrupted run left is made anew; passwords are set each time.
    The same `customers` give the same rows on every server.
    Raises `ValueError` for a number of customers or names of logins it does not know how to make.
    """
    if not _FEWEST <= customers <= _MOST:
        raise ValueError(f"customers must be between {_FEWEST} and {_MOST:,}")
    if logins.keys() != STANDING_LOGINS.keys():
        raise ValueError(f"logins must name exactly {', '.join(STANDING_LOGINS)}")
    with _connect(superuser_conninfo, "postgres") as cluster:
        # Two loaders at once would both find nothing and both begin.
        cluster.execute("select pg_advisory_lock(hashtext(%s))", (_LOADERS,))
        _make_roles(cluster, {**logins, ADMIN: admin_password})
        for name in DATABASES:
            if _exists(cluster, name):
                continue
            with _made_whole(cluster, name) as unfinished:
                conninfo = make_conninfo(superuser_conninfo, dbname=unfinished)
                if name == "shop":
                    _fill_shop(conninfo, customers)
                else:
                    _run(conninfo, "90_metrics.sql")


def _connect(conninfo: str, dbname: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
    settings = {"options": _SESSION, "client_encoding": "utf8", "application_name": _LOADERS}
    if dbname:
        settings["dbname"] = dbname
    return psycopg.connect(make_conninfo(conninfo, **settings), autocommit=True)


def _exists(cluster: psycopg.Connection[tuple[object, ...]], database: str) -> bool:
    found = cluster.execute("select from pg_database where datname = %s", (database,))
    return found.fetchone() is not None


def _make_roles(
    cluster: psycopg.Connection[tuple[object, ...]], passwords: Mapping[str, str]
) -> None:
    """Make roles, memberships and passwords what they should be."""
    known = {name for (name,) in cluster.execute("select rolname from pg_roles")}
    for name in (OWNER, *NATIVE_ROLES, *passwords):
        if name not in known:
            cluster.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    for name, password in passwords.items():
        # Only the verifier travels, so that no server log can hold a password.
        verifier = cluster.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        ).decode()
        cluster.execute(
            sql.SQL("alter role {} login password {}").format(
                sql.Identifier(name), sql.Literal(verifier)
            )
        )
    for login, roles in STANDING_LOGINS.items():
        for role in roles:
            cluster.execute(
                sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(login))
            )
    _run_on(cluster, "01_roles.sql")
    # From 16, CREATEROLE alone reaches no role it has not made.
    from_16 = cluster.info.server_version >= _VERSION_16
    _run_on(cluster, "02_admin_16.sql" if from_16 else "02_admin_15.sql")


@contextmanager
def _made_whole(cluster: psycopg.Connection[tuple[object, ...]], name: str) -> Iterator[str]:
    """Make a database under another name, and give it its own when the block ends well."""
    unfinished = f"{name}_unfinished"
    wanted, working = sql.Identifier(name), sql.Identifier(unfinished)
    cluster.execute(sql.SQL("drop database if exists {} with (force)").format(working))
    # The C locale sorts alike on every server and system; a customer's may be any.
    cluster.execute(
        sql.SQL("create database {} owner {} template template0 encoding 'UTF8' locale 'C'").format(
            working, sql.Identifier(OWNER)
        )
    )
    cluster.execute(
        sql.SQL("grant connect, create on database {} to {}").format(working, sql.Identifier(ADMIN))
    )
    yield unfinished
    cluster.execute(sql.SQL("alter database {} rename to {}").format(working, wanted))


def _fill_shop(conninfo: str, customers: int) -> None:
    half = customers // 2
    shares = ((1, half), (half + 1, customers))
    _run(conninfo, "10_types.sql", "20_tables.sql")
    # Rows are functions of their numbers, hence two connections may make half of them each.
    with ThreadPoolExecutor(2, thread_name_prefix="sample-company") as pool:

        def beside(*work: Callable[[], None]) -> None:
            for each in [pool.submit(item) for item in work]:
                each.result()

        def files(*names: str) -> Callable[[], None]:
            return partial(_run, conninfo, *names)

        def rows(file: str, low: int = 0, high: int = 0) -> Callable[[], None]:
            return partial(
                _run, conninfo, "30_samples.sql", file, customers=customers, low=low, high=high
            )

        beside(
            rows("42_products.sql"),
            *(rows("40_customers.sql", low, high) for low, high in shares),
        )
        beside(files("44_customer_email_indexes.sql"), files("44_customer_indexes.sql"))
        _run(conninfo, "45_customer_keys.sql")
        beside(*(rows("41_orders.sql", low, high) for low, high in shares), rows("43_others.sql"))
        beside(files("50_order_keys.sql"), files("51_other_keys.sql"))
        beside(files("52_order_foreign_keys.sql"), files("53_foreign_keys.sql"))
        _run(conninfo, "60_code.sql", "70_views.sql", "80_grants.sql")
        # Customers take as long as all the others.
        beside(
            partial(_vacuum, conninfo, "oid = 'sales.customers'::regclass"),
            partial(_vacuum, conninfo, "oid <> 'sales.customers'::regclass"),
        )


def _vacuum(conninfo: str, which: LiteralString) -> None:
    """Leave statistics for the planner, and nothing for autovacuum to do while people watch."""
    with _connect(conninfo) as connection:
        tables = connection.execute(
            sql.SQL(
                "select relnamespace::regnamespace::text, relname from pg_class"
                " where relkind in ('r', 'm', 'p') and not relispartition"
                " and relowner = %s::regrole and {}"
            ).format(sql.SQL(which)),
            (OWNER,),
        ).fetchall()
        names = [sql.Identifier(str(schema), str(table)) for schema, table in tables]
        connection.execute(sql.SQL("vacuum (analyze) {}").format(sql.SQL(", ").join(names)))


def _run(conninfo: str, *files: str, customers: int = 0, low: int = 0, high: int = 0) -> None:
    """Run files in one session, as the owner."""
    with _connect(conninfo) as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(OWNER)))
        for setting, value in (("customers", customers), ("low", low), ("high", high)):
            connection.execute(
                "select set_config('company.' || %s, %s, false)", (setting, str(value))
            )
        for file in files:
            _run_on(connection, file)


def _run_on(connection: psycopg.Connection[tuple[object, ...]], file: str) -> None:
    # Without parameters, several statements go as one string and stand or fall together.
    connection.execute((_FOLDER / file).read_bytes())

"""A customer's little database with an admin that is no superuser, and Daypass's hold on it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from daypass.domain.catalog import Catalog, RelationName
from daypass.domain.masks import Mask
from daypass.domain.scope import RowFilter, Scope, ScopedColumn, ScopedRelation
from daypass.domain.secret import Secret
from daypass.domain.statement_class import StatementClass
from daypass.embedded import Cluster
from daypass.engines.contract import Session, SessionSpec, TargetAddress
from daypass.engines.postgres import PostgresEngine
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.target import PostgresTarget
from tests.servers import drop_database, make_database

ADMIN = "test_admin"
OWNER = "shop_owner"
ADMIN_PASSWORD = "admin"
INSTALLATION = "test"
READS = frozenset({StatementClass.SELECT, StatementClass.EXPLAIN})
WRITES = READS | {StatementClass.INSERT, StatementClass.UPDATE, StatementClass.DELETE}

_TABLES = """
create schema sales;
create type sales.region as enum ('EU', 'US');
create domain sales.address as text check (value like '%@%');
create table sales.customers (
  id bigserial primary key,
  name text not null,
  email varchar(60),
  contact sales.address,
  region sales.region,
  born date,
  salary numeric(10, 2),
  profile jsonb
);
insert into sales.customers (name, email, contact, region, born, salary, profile)
select 'Name ' || g, 'user' || g || '@example.com', 'c' || g || '@example.org',
  case when g % 2 = 0 then 'EU' else 'US' end::sales.region, date '1990-01-15' + g, 1000.5 + g,
  jsonb_build_object('mail', 'user' || g || '@example.com', 'likes', 'tea')
from generate_series(1, 100) as g;
create table sales.notes (id int primary key, customer bigint, body text);
insert into sales.notes select g, g, 'note ' || g from generate_series(1, 10) as g;
"""

CUSTOMERS = RelationName("sales", "customers")
NOTES = RelationName("sales", "notes")


@dataclass
class Shop:
    """A database under test: `owner` runs SQL as its owner, `superuser` as anybody."""

    cluster: Cluster
    conninfo: str
    target: PostgresTarget
    engine: PostgresEngine
    steps: list[str] = field(default_factory=list)
    _next: int = 0

    @property
    def database(self) -> str:
        return str(conninfo_to_dict(self.conninfo)["dbname"])

    def superuser(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def owner(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(OWNER)))
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    async def catalog(self) -> Catalog:
        return await self.target.read_catalog(self.database)

    async def plan(
        self, *relations: ScopedRelation, accepted: frozenset[str] = frozenset(), **more: object
    ) -> PostgresPlan:
        """Compile a scope of relations against the catalog as it is now."""
        classes = frozenset[StatementClass]().union(*(each.classes for each in relations))
        scope = Scope(classes=more.pop("classes", classes), relations=relations, **more)  # type: ignore[arg-type]
        return self.engine.compile(scope, await self.catalog(), self.database, accepted)

    async def applied(self, *relations: ScopedRelation, **more: object) -> PostgresPlan:
        plan = await self.plan(*relations, **more)  # type: ignore[arg-type]
        await self.target.apply(plan)
        return plan

    def spec(self, **more: object) -> SessionSpec:
        """Return a session of five minutes under an account not used before."""
        self._next += 1
        deadline = datetime.now(UTC) + timedelta(minutes=5)
        return SessionSpec(**{"account": f"dp_g_t_{self._next}", "deadline": deadline, **more})  # type: ignore[arg-type]

    @contextlib.asynccontextmanager
    async def session(self, plan: PostgresPlan, **more: object) -> AsyncIterator[Session]:
        """Open a session and close its account afterwards."""
        session = await self.target.open_session(plan, self.spec(**more))
        try:
            yield session
        finally:
            await session.aclose()
            await self.target.close([session.account])


def scoped(
    name: RelationName,
    columns: str,
    classes: frozenset[StatementClass] = READS,
    *,
    filters: tuple[RowFilter, ...] = (),
    **masks: Mask,
) -> ScopedRelation:
    """Return a scoped relation: `columns` are names, `masks` masks by column."""
    return ScopedRelation(
        name,
        classes,
        tuple(ScopedColumn(each, masks.get(each), "rule") for each in columns.split()),
        filters,
    )


def customers(
    classes: frozenset[StatementClass] = READS,
    *,
    filters: tuple[RowFilter, ...] = (),
    **masks: Mask,
) -> ScopedRelation:
    """Return the customers with all their columns."""
    columns = "id name email contact region born salary profile"
    return scoped(CUSTOMERS, columns, classes, filters=filters, **masks)


def own_region(region: str = "EU") -> tuple[RowFilter, ...]:
    """Return policy's filter on the customers' region."""
    return (RowFilter("region = {1}", (region,), "own region"),)


def _forget(cluster: Cluster) -> None:
    """Drop every role that is not the server's own."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        roles = connection.execute(
            "select rolname from pg_roles where oid >= 16384 order by rolname"
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in roles)
        if roles:
            connection.execute(sql.SQL("drop owned by {} cascade").format(names))
            for (name,) in roles:
                connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.fixture
def instance(target_cluster: Cluster) -> Iterator[Cluster]:
    """Return a server with the owner's role and Daypass's admin; all roles are dropped after."""
    with psycopg.connect(target_cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL(
                "create role {owner} nologin;"
                " create role {admin} login nosuperuser createrole password {password};"
                " grant {owner} to {admin}"
            ).format(
                owner=sql.Identifier(OWNER),
                admin=sql.Identifier(ADMIN),
                password=sql.Literal(ADMIN_PASSWORD),
            )
        )
    yield target_cluster
    _forget(target_cluster)


@pytest.fixture
async def make_target(
    instance: Cluster,
) -> AsyncIterator[Callable[..., PostgresTarget]]:
    """Return a function that gives a target of the instance, closed at the end."""
    targets: list[PostgresTarget] = []

    def make(
        on_step: Callable[[str], None] | None = None, installation: str = INSTALLATION
    ) -> PostgresTarget:
        address = TargetAddress(
            "127.0.0.1", instance.port or 0, ADMIN, Secret(ADMIN_PASSWORD), installation
        )
        targets.append(PostgresEngine(on_step).connect(address))
        return targets[-1]

    yield make
    for target in targets:
        await target.aclose()


@pytest.fixture
async def shop(
    instance: Cluster, make_target: Callable[..., PostgresTarget]
) -> AsyncIterator[Shop]:
    """Return a database of its own with a little of a shop in it."""
    conninfo = make_database(instance)
    steps: list[str] = []
    engine = PostgresEngine()
    shop = Shop(instance, conninfo, make_target(steps.append), engine, steps)
    name = sql.Identifier(shop.database)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(
            sql.SQL("alter database {} owner to {}").format(name, sql.Identifier(OWNER))
        )
        connection.execute(
            sql.SQL("grant create on database {} to {}").format(name, sql.Identifier(ADMIN))
        )
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(OWNER)))
        connection.execute(_TABLES.encode())
    yield shop
    await shop.target.aclose()
    drop_database(instance, conninfo)

"""The sample company on a real server and a running Daypass around it, cheap for each test."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from daypass.demo.company.company import ADMIN, STANDING_LOGINS, load_company
from daypass.demo.sample import INSTANCE, fill
from daypass.domain.ids import DatabaseId, GrantId, InstanceId
from daypass.domain.principal import Actor
from daypass.domain.scope import AskedScope
from daypass.domain.secret import Secret
from daypass.domain.statement_class import StatementClass
from daypass.embedded import Binaries, Cluster
from daypass.engines.contract import Engine, Target
from daypass.engines.postgres import PostgresEngine
from daypass.operations.apply_grant import apply_grant
from daypass.operations.close_grant import close_grant
from daypass.operations.consider import Ask
from daypass.operations.context import Context
from daypass.operations.database_facts import find_database
from daypass.operations.make_first_admin import offer_first_admin
from daypass.operations.open_target import open_target
from daypass.operations.release_grant import release_grant
from daypass.operations.request_access import Filed, request_access
from daypass.operations.secrets import SecretStore
from daypass.operations.targets import Targets
from daypass.store.database import Store
from daypass.store.instances import find_instance
from tests import servers as pg
from tests.people import actor_of
from tests.stores import store_database

CUSTOMERS = 400
PASSWORD = Secret("staple-orbit-candle-77")
READ = frozenset({StatementClass.SELECT})


@dataclass(frozen=True)
class CompanyServer:
    """A server with the sample company; what else is on it is Daypass's."""

    cluster: Cluster
    admin_password: str

    @property
    def port(self) -> int:
        """Return the TCP port the server listens on."""
        assert self.cluster.port is not None
        return self.cluster.port

    def sql(self, statement: str, database: str = "shop") -> list[tuple[object, ...]]:
        """Run a statement as the superuser."""
        with psycopg.connect(self.cluster.conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            result = cursor.pgresult
            # Not by its columns: `select from …` has rows without any.
            has_rows = result is not None and result.status == pq.ExecStatus.TUPLES_OK
            return cursor.fetchall() if has_rows else []

    def bare(self) -> None:
        """Take away what the first grant on a server makes for all that follow."""
        if not self.sql("select from pg_roles where rolname = 'dp_views'"):
            return
        for database in ("shop", "metrics"):
            self.sql("drop schema if exists daypass cascade", database)
            self.sql("drop owned by dp_views cascade", database)
        self.sql("drop role dp_views")

    def ours(self) -> list[tuple[object, ...]]:
        """List what of Daypass's sessions and scopes exists: roles, memberships, view schemas."""
        roles = self.sql("select rolname from pg_roles where rolname ~ '^dp_[gs]_' order by 1")
        schemas = self.sql("select nspname from pg_namespace where nspname ~ '^dp_v_' order by 1")
        return roles + schemas


@contextlib.contextmanager
def company_server(binaries: Binaries, customers: int = CUSTOMERS) -> Iterator[CompanyServer]:
    """Start a server with the sample company on it, gone with the block."""
    with pg.running_server(binaries, max_connections=700) as cluster:
        password = secrets.token_urlsafe(12)
        load_company(
            cluster.conninfo("postgres"),
            customers=customers,
            admin_password=password,
            logins={name: secrets.token_urlsafe(12) for name in STANDING_LOGINS},
        )
        yield CompanyServer(cluster, password)


_filled: dict[tuple[str, int], tuple[str, bytes]] = {}


async def _filled_store(store_cluster: Cluster, company: CompanyServer) -> tuple[str, bytes]:
    """Return the name of a store that knows the sample company, and the key of its secrets."""
    place = (store_cluster.conninfo("postgres"), company.port)
    if place not in _filled:
        conninfo = store_database(store_cluster)
        key = SecretStore.new_key()
        ctx = _context(Store(Secret(conninfo), min_size=1, max_size=4), key, PostgresEngine())
        await ctx.store.open()
        await fill(
            ctx,
            await offer_first_admin(ctx),
            port=company.port,
            admin_user=ADMIN,
            admin_password=Secret(company.admin_password),
            password=PASSWORD,
        )
        await ctx.targets.aclose()
        await ctx.store.aclose()
        name = str(conninfo_to_dict(conninfo)["dbname"])
        with psycopg.connect(store_cluster.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("alter database {} allow_connections false").format(sql.Identifier(name))
            )
        _filled[place] = name, key
    return _filled[place]


def _context(store: Store, key: bytes, engine: Engine) -> Context:
    return Context(
        store=store,
        engines={"postgres": engine},
        secrets=SecretStore(key),
        targets=Targets(),
        public_url="http://daypass.test",
    )


@dataclass(frozen=True)
class World:
    """A Daypass that knows the sample company; `key` opens its secrets."""

    ctx: Context
    company: CompanyServer
    store_conninfo: str
    key: bytes
    instance_id: InstanceId
    shop: DatabaseId

    async def actor(self, name: str) -> Actor:
        """Return somebody of the sample company by the first part of their address."""
        return await actor_of(self.ctx, f"{name}@example.com")

    async def ask(
        self,
        name: str,
        *relations: str,
        classes: frozenset[StatementClass] = READ,
        unmask: tuple[str, ...] = (),
        duration: timedelta = timedelta(hours=1),
        database: str = "prod/shop",
        **more: object,
    ) -> Filed:
        """Ask for access in somebody's name."""
        ask = Ask(
            database=database,
            asked=AskedScope(classes, relations or ("*.*",), unmask),
            duration=duration,
            reason="a test",
            ticket="INC-42",
        )
        for key, value in more.items():
            ask = _replaced(ask, key, value)
        return await request_access(self.ctx, await self.actor(name), ask)

    async def grant(self, name: str, *relations: str, **more: object) -> GrantId:
        """Ask for what a rule allows by itself, and have it made."""
        filed = await self.ask(name, *relations, **more)  # type: ignore[arg-type]
        assert filed.grant_id is not None, filed.decision
        await apply_grant(self.ctx, filed.grant_id)
        return filed.grant_id

    async def end(self, name: str, grant_id: GrantId) -> None:
        """Release a grant and close it."""
        await release_grant(self.ctx, await self.actor(name), grant_id)
        await close_grant(self.ctx, grant_id)

    async def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Ask the store."""
        async with self.ctx.store.connection() as connection:
            cursor = await connection.execute(query.encode(), values)
            return list(await cursor.fetchall())


def _replaced(ask: Ask, key: str, value: object) -> Ask:
    from dataclasses import replace

    return replace(ask, **{key: value})  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def world(
    store_cluster: Cluster,
    company: CompanyServer,
    *,
    engine: Engine | None = None,
    connections: int = 8,
    keep_store: bool = False,
) -> AsyncIterator[World]:
    """Open a Daypass of its own around the company; afterwards nothing of it is left there.

    With `keep_store` its store's database stays, for another process to go on with.
    """
    template, key = await _filled_store(store_cluster, company)
    conninfo = await asyncio.to_thread(pg.make_database, store_cluster, template)
    ctx = _context(
        Store(Secret(conninfo), min_size=1, max_size=connections), key, engine or PostgresEngine()
    )
    await ctx.store.open()
    async with ctx.store.connection() as connection:
        instance = await find_instance(connection, INSTANCE)
        shop = await find_database(connection, "prod/shop")
    assert instance is not None
    assert shop is not None
    try:
        yield World(ctx, company, conninfo, key, instance.id, shop)
    finally:
        await _clear(await open_target(ctx, instance.id), company)
        await ctx.targets.aclose()
        await ctx.store.aclose()
        if not keep_store:
            await asyncio.to_thread(pg.drop_database, store_cluster, conninfo)


async def _clear(target: Target, company: CompanyServer) -> None:
    """Take everything of a Daypass away, and what work that was cut short makes meanwhile."""
    for _ in range(20):
        left = await target.inventory()
        if left.accounts:
            await target.close(tuple(left.accounts))
        for database, scope_hash in left.scopes:
            await target.remove_scope(database, scope_hash)
        if not company.ours():
            return
        await asyncio.sleep(0.1)


def as_account(company: CompanyServer, account: str, password: str, database: str = "shop") -> str:
    """Return a connection string for an account of the company's server."""
    return make_conninfo(
        host="127.0.0.1", port=company.port, dbname=database, user=account, password=password
    )

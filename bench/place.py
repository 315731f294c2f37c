"""A running Daypass, its store and a customer's server, for as long as a measurement takes."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import uvicorn
from psycopg import sql

from daypass.api.app import create_app
from daypass.app import configure_logging
from daypass.demo.company.company import STANDING_LOGINS, load_company
from daypass.domain.principal import Actor
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.embedded import Binaries, Cluster
from daypass.engines.contract import Target
from daypass.gateway.listeners import listening_socket
from daypass.jobs.worker import run_jobs
from daypass.operations.consider import Ask
from daypass.operations.context import Context
from daypass.operations.open_target import open_target
from daypass.settings import Settings
from tests import servers
from tests.people import token_of
from tests.world import CompanyServer, World, world

# What tests switch off for speed is on, as it is for customers.
DURABLE: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
}
_STORE = {**DURABLE, "max_prepared_transactions": "0"}
_TARGET = {**DURABLE, "shared_buffers": "128MB"}
READ = frozenset({StatementClass.EXPLAIN, StatementClass.SELECT})


@dataclass(frozen=True, slots=True)
class Place:
    """Where measurements happen; `api` calls it over HTTP, by a token of `ada`'s."""

    world: World
    store: Cluster
    api: httpx.AsyncClient
    major: int
    customers: int
    quick: bool

    @property
    def ctx(self) -> Context:
        """Return the running Daypass."""
        return self.world.ctx

    @property
    def company(self) -> CompanyServer:
        """Return the customer's server."""
        return self.world.company

    async def actor(self, name: str) -> Actor:
        """Return somebody of the sample company."""
        return await self.world.actor(name)

    async def target(self) -> Target:
        """Return the customer's server as Daypass reaches it."""
        return await open_target(self.ctx, self.world.instance_id)

    async def all_closed(self, timeout_s: float = 120) -> None:
        """Wait until every grant that has ended is closed, and every scope nobody needs is gone."""
        async with asyncio.timeout(timeout_s):
            while True:
                [(left,)] = await self.world.rows(
                    """
                    select (select count(*) from access_grant where state = 'revoking')
                      + (select count(*) from session where state = 'closing')
                      + (select count(*) from procrastinate_jobs where status in ('todo', 'doing'))
                      + (select count(*) from plan p where not exists (
                          select from access_grant g where g.scope_hash = p.scope_hash
                            and g.database_id = p.database_id and g.state <> 'revoked'))
                    """
                )
                if not left:
                    return
                await asyncio.sleep(0.03)


def ask_for(*relations: str, hours: float = 1) -> Ask:
    """Ask to read relations of the shop, as on-call may without anybody's yes."""
    return Ask(
        database="prod/shop",
        asked=AskedScope(READ, relations),
        duration=timedelta(hours=hours),
        reason="a measurement",
        ticket="INC-42",
    )


def narrowed(ask: Ask, relation: str, predicate: str) -> Ask:
    """Return an ask for some rows of one relation."""
    return replace(ask, asked=replace(ask.asked, row_filters={relation: predicate}))


@contextlib.asynccontextmanager
async def running_place(*, major: int, customers: int, quick: bool) -> AsyncIterator[Place]:
    """Start two servers and a Daypass with its jobs and its API; nothing of it is left."""
    configure_logging("error")
    store, target = servers.binaries_of(servers.STORE_MAJOR), servers.binaries_of(major)
    if store is None or target is None:
        raise SystemExit(f"PostgreSQL {servers.STORE_MAJOR} and {major} must be installed")
    with (
        servers.running_server(store, tcp=False, max_connections=150, settings=_STORE) as cluster,
        _company(target, customers) as company,
    ):
        pool = Settings().store.pool
        async with world(cluster, company, connections=pool) as here, _jobs(here):
            async with _api(here) as api:
                yield Place(here, cluster, api, major, customers, quick)


@contextlib.contextmanager
def _company(binaries: Binaries, customers: int) -> Iterator[CompanyServer]:
    with servers.running_server(binaries, max_connections=700, settings=_TARGET) as cluster:
        password = secrets.token_urlsafe(12)
        load_company(
            cluster.conninfo("postgres"),
            customers=customers,
            admin_password=password,
            logins={name: secrets.token_urlsafe(12) for name in STANDING_LOGINS},
        )
        yield CompanyServer(cluster, password)


@contextlib.asynccontextmanager
async def _jobs(here: World) -> AsyncIterator[None]:
    settings = Settings()
    jobs = asyncio.create_task(
        run_jobs(
            here.ctx,
            {},
            concurrency=settings.workers,
            reconcile_every_s=settings.reconcile_every_s,
            sync_every_s=settings.sync_every_s,
        ),
        name="jobs",
    )
    try:
        yield
    finally:
        jobs.cancel()
        with suppress(asyncio.CancelledError):
            await jobs


@contextlib.asynccontextmanager
async def _api(here: World) -> AsyncIterator[httpx.AsyncClient]:
    token = await token_of(here.ctx, await here.actor("ada"))
    with listening_socket("127.0.0.1", 0) as bound:
        server = uvicorn.Server(
            uvicorn.Config(create_app(here.ctx), log_config=None, access_log=False, lifespan="on")
        )
        serving = asyncio.create_task(server.serve(sockets=[bound]), name="api")
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{bound.getsockname()[1]}",
                headers={"Authorization": f"Bearer {token.secret.reveal()}"},
                timeout=120,
            ) as client:
                while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.01)
                yield client
        finally:
            server.should_exit = True
            await serving


def set_on_target(company: CompanyServer, **settings: str) -> None:
    """Set parameters of the customer's server, or reset those that are empty."""
    for name, value in settings.items():
        change = sql.SQL("alter system set {} = {}").format(
            sql.Identifier(name), sql.Literal(value)
        )
        reset = sql.SQL("alter system reset {}").format(sql.Identifier(name))
        company.sql((change if value else reset).as_string())
    company.sql("select pg_reload_conf()")

"""The sample company on a server of its own, and a running Daypass that can reach it."""

import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from daypass import demo
from daypass.demo.company.company import ADMIN, STANDING_LOGINS, load_company
from daypass.domain.ids import DatabaseId, InstanceId
from daypass.domain.principal import Actor, DaypassRole
from daypass.domain.secret import Secret
from daypass.embedded import Cluster
from daypass.engines.postgres.engine import PostgresEngine
from daypass.operations.add_instance import AddedInstance, InstanceForm, add_instance
from daypass.operations.context import Context
from tests import servers as pg
from tests.conftest import lacking
from tests.people import first_admin, person
from tests.stores import context_of, running_store

SAMPLES = Path(demo.__file__).parent


@dataclass(frozen=True)
class Company:
    """A server with the sample company and the passwords of its roles."""

    cluster: Cluster
    passwords: dict[str, str]

    @property
    def port(self) -> int:
        """Return the TCP port the server listens on."""
        assert self.cluster.port is not None
        return self.cluster.port

    def sql(self, statement: str, database: str = "shop") -> list[tuple[object, ...]]:
        """Run a statement as the superuser."""
        with psycopg.connect(self.cluster.conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def form(self, name: str = "prod") -> InstanceForm:
        """Return what an admin would say to add it."""
        return InstanceForm(
            name=name,
            engine="postgres",
            host="127.0.0.1",
            port=self.port,
            admin_user=ADMIN,
            password=Secret(self.passwords[ADMIN]),
            labels={"env": "prod"},
            database_labels={"env": "prod"},
            owners=("shop-team",),
        )


@dataclass(frozen=True)
class Place:
    """A Daypass that manages the company, and people with different rights."""

    ctx: Context
    company: Company
    instance: AddedInstance
    admin: Actor
    editor: Actor
    owner: Actor
    auditor: Actor
    member: Actor

    @property
    def id(self) -> InstanceId:
        """Return the instance's id."""
        return self.instance.id

    @property
    def shop(self) -> DatabaseId:
        """Return the id of the database `shop`."""
        return self.instance.databases["shop"]

    async def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Ask the store."""
        async with self.ctx.store.connection() as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()

    async def jobs(self, task: str) -> int:
        """Count the jobs enqueued for a task."""
        found = await self.rows(
            "select count(*) from procrastinate_jobs where task_name = %s", f"daypass.{task}"
        )
        count = found[0][0]
        assert isinstance(count, int)
        return count

    async def entries(self, kind: str) -> list[dict[str, object]]:
        """Return the contents of the entries of a kind, oldest first."""
        found = await self.rows("select content from entry where kind = %s order by id", kind)
        return [dict(row[0]) for row in found]  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def company(pg_major: int) -> Iterator[Company]:
    """Start a server of the company's own: names of roles are fixed."""
    binaries = pg.binaries_of(pg_major)
    if binaries is None:
        lacking(f"PostgreSQL {pg_major} is not installed")
    passwords = {name: secrets.token_urlsafe(12) for name in (ADMIN, *STANDING_LOGINS)}
    with pg.running_server(binaries) as running:
        load_company(
            running.conninfo("postgres"),
            customers=400,
            admin_password=passwords[ADMIN],
            logins={name: passwords[name] for name in STANDING_LOGINS},
        )
        made = Company(running, passwords)
        # Reached by nobody without USAGE on its schema, but for its statistics.
        made.sql("grant select on sales.newsletter_subscribers to public")
        yield made


@pytest.fixture
async def ctx(store_cluster: Cluster) -> AsyncIterator[Context]:
    """Return a running Daypass with its engines around an empty store."""
    async with running_store(store_cluster) as store:
        context = replace(context_of(store), engines={"postgres": PostgresEngine()})
        yield context
        await context.targets.aclose()


@pytest.fixture
async def place(ctx: Context, company: Company) -> Place:
    """Add the company as the instance `prod`."""
    admin = await first_admin(ctx)
    owner = await person(ctx, admin, "olga@example.com", groups=frozenset({"shop-team"}))
    return Place(
        ctx=ctx,
        company=company,
        instance=await add_instance(ctx, admin, company.form()),
        admin=admin,
        editor=await person(ctx, admin, "eve@example.com", DaypassRole.POLICY_EDITOR),
        owner=owner,
        auditor=await person(ctx, admin, "aud@example.com", DaypassRole.AUDITOR),
        member=await person(ctx, admin, "mel@example.com"),
    )

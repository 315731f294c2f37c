"""Where suites run: a server with a database for each way to it, directly and through a gateway."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from psycopg import sql

from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.embedded import Cluster
from daypass.operations.add_database import add_database
from daypass.operations.apply_policy import apply_policy
from tests.gateways import Gate, gateway_on
from tests.story import jobs_running
from tests.world import CompanyServer, World, world

OWNER = "suite_owner"
"""The native role: owner of both databases, and the login of whoever comes directly."""
_POLICY = f"""
defaults: {{unclassified: clear}}
access:
  - name: suites
    when: request.native_role == "{OWNER}"
    max_duration: 8h
    native_roles: [{OWNER}]
    allow_unmask: false
    approve: automatic
"""
_EXTENSIONS = ("btree_gin", "btree_gist", "citext", "hstore", "pg_trgm", "unaccent")
"""What suites look for; making them takes a superuser or the database's owner."""
_SCHEMAS = ("test_schema", "test_schema_2")
"""SQLAlchemy's suite asks for them."""


@dataclass(frozen=True)
class Way:
    """How a suite reaches its database: the name says which way."""

    name: str
    host: str
    port: int
    user: str
    password: str
    database: str

    @property
    def environment(self) -> Mapping[str, str]:
        """Return it as libpq and its like read it."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
        }


class Databases:
    """Databases of a server that belong to the native role, made as they are asked for."""

    def __init__(self, company: CompanyServer) -> None:
        self._company = company
        self._password = secrets.token_urlsafe(12)
        self._made = False

    def make(self, name: str) -> None:
        """Make a database that is the native role's, schema and all."""
        if not self._made:
            self._role()
            self._made = True
        for each in _database(name):
            self._company.sql(each.as_string(None), "postgres")
        for each in _inside():
            self._company.sql(each.as_string(None), name)

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        text = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        self._company.sql(text.as_string(None), "postgres")

    def direct(self, name: str) -> Way:
        """Return the way of a plain login."""
        port = self._company.port
        return Way("direct", "127.0.0.1", port, OWNER, self._password, name)

    def _role(self) -> None:
        # The server may be another suite's too, and the role there already.
        self._company.sql(
            f"do $$begin if to_regrole('{OWNER}') is null then create role {OWNER}; end if; end$$;"
            f" alter role {OWNER} login password '{self._password}';"
            f" grant {OWNER} to daypass_admin with admin option;",
            "postgres",
        )


def _database(name: str) -> list[sql.Composed]:
    named = sql.Identifier(name)
    return [
        sql.SQL("create database {} owner {} template template0").format(
            named, sql.Identifier(OWNER)
        ),
        sql.SQL("grant connect, create on database {} to daypass_admin").format(named),
    ]


def _inside() -> list[sql.Composed]:
    return [
        *(
            sql.SQL("create extension if not exists {}").format(sql.Identifier(each))
            for each in _EXTENSIONS
        ),
        sql.SQL("alter schema public owner to {}").format(sql.Identifier(OWNER)),
        *(
            sql.SQL("create schema {} authorization {}").format(
                sql.Identifier(each), sql.Identifier(OWNER)
            )
            for each in _SCHEMAS
        ),
    ]


@contextlib.asynccontextmanager
async def suite_gate(
    store_cluster: Cluster, company: CompanyServer, databases: Databases, name: str, state_dir: Path
) -> AsyncIterator[Way]:
    """Run a gateway that leads somebody with a full grant to a new database; yield the way."""
    databases.make(name)
    try:
        async with world(store_cluster, company, connections=24) as here:
            await _granted(here, name)
            # Suites do not all know TLS, and some open hundreds of connections.
            async with gateway_on(here, state_dir, tls="offered", per_person=500) as gate:
                # Whoever ends sessions for good, and so hands on what they made.
                async with jobs_running(here):
                    yield await _way(gate, name)
    finally:
        databases.drop(name)


async def _granted(here: World, name: str) -> None:
    admin = await here.actor("robin")
    await add_database(here.ctx, admin, here.instance_id, name, labels={"env": "suites"})
    await apply_policy(here.ctx, admin, {"policy.yaml": _POLICY}, note="for suites")
    await here.grant(
        "ada",
        asked=AskedScope(frozenset(StatementClass), native_role=OWNER),
        database=f"prod/{name}",
        duration=timedelta(hours=4),
    )


async def _way(gate: Gate, name: str) -> Way:
    return Way(
        "gateway",
        gate.running.host,
        gate.running.port,
        "ada@example.com",
        await gate.token("ada", valid_for=timedelta(hours=4)),
        f"prod/{name}",
    )

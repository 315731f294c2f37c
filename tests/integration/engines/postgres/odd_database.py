"""A database made for one test, with roles of its own and an admin that is no superuser."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from daypass.domain.catalog import Catalog, Relation, RelationName
from daypass.embedded import Cluster
from daypass.engines.postgres.catalog import read_catalog
from tests.servers import drop_database, make_database


@dataclass(frozen=True)
class OddDatabase:
    """`@` in SQL stands for what this test's roles begin with: `@owner`, `@admin`."""

    conninfo: str
    prefix: str

    def role(self, name: str) -> str:
        """Return the full name of a role of this test's."""
        return f"{self.prefix}{name}"

    def run(self, statements: str, role: str = "") -> None:
        """Run SQL as the superuser, or with the rights of a role of this test's."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            if role:
                connection.execute(f"set role {self.role(role)}")
            connection.execute(statements.replace("@", self.prefix))

    @contextlib.asynccontextmanager
    async def signed_in(self, role: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Sign in as a role of this test's."""
        conninfo = make_conninfo(self.conninfo, user=self.role(role), password="p")
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            yield connection

    async def catalog(self) -> Catalog:
        """Read the catalog as the admin."""
        async with self.signed_in("admin") as connection:
            return await read_catalog(connection)

    async def relation(self, name: str) -> Relation:
        """Read one relation as the admin."""
        found = (await self.catalog()).relation(RelationName.parse(name))
        assert found is not None
        return found


@contextlib.contextmanager
def odd_database(cluster: Cluster) -> Iterator[OddDatabase]:
    """Make the database, the roles `@owner` and `@admin`; drop everything afterwards."""
    conninfo = make_database(cluster)
    # One word: what a role is for is guessed from the words in its name, and chance knows `db`.
    word = secrets.token_hex(4).translate(str.maketrans("0123456789", "ghijklmnop"))
    database = OddDatabase(conninfo, f"t{word}_")
    with psycopg.connect(conninfo) as connection:
        options = " with inherit true, set true" if connection.info.server_version >= 160000 else ""
        name = connection.info.dbname
    database.run(
        "create role @owner; create role @admin login createrole password 'p';"
        f"grant @owner to @admin{options};"
        f"grant create on database {name} to @owner, @admin;"
    )
    try:
        yield database
    finally:
        drop_database(cluster, conninfo)
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            rows = connection.execute(
                "select rolname from pg_roles where starts_with(rolname, %s)", (database.prefix,)
            ).fetchall()
            for (role,) in rows:
                connection.execute(f'drop owned by "{role}"')
                connection.execute(f'drop role "{role}"')

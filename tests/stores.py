"""Control-plane stores for tests: migrated once a server, copied for each test."""

import contextlib
from collections.abc import AsyncIterator

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from daypass.domain.secret import Secret
from daypass.embedded import Cluster
from daypass.operations.context import Context
from daypass.operations.secrets import SecretStore
from daypass.operations.targets import Targets
from daypass.store.database import Store
from daypass.store.migrate import migrate
from tests.servers import drop_database, make_database

_templates: dict[str, str] = {}


def store_database(cluster: Cluster) -> str:
    """Create a migrated database of its own and return its connection string."""
    server = cluster.conninfo("postgres")
    if server not in _templates:
        template = make_database(cluster)
        migrate(Secret(template))
        name = str(conninfo_to_dict(template)["dbname"])
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(
                sql.SQL("alter database {} allow_connections false").format(sql.Identifier(name))
            )
        _templates[server] = name
    return make_database(cluster, _templates[server])


@contextlib.asynccontextmanager
async def running_store(cluster: Cluster) -> AsyncIterator[Store]:
    """Open a store on a migrated database of its own and drop it afterwards."""
    conninfo = store_database(cluster)
    store = Store(Secret(conninfo), min_size=1, max_size=8)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()
        drop_database(cluster, conninfo)


def context_of(store: Store, *, public_url: str = "http://daypass.test") -> Context:
    """Return a running Daypass without engines around a store."""
    return Context(
        store=store,
        engines={},
        secrets=SecretStore(SecretStore.new_key()),
        targets=Targets(),
        public_url=public_url,
    )

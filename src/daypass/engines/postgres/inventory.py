"""What of this Daypass exists on an instance now."""

from __future__ import annotations

from typing import Final

from daypass.domain.errors import Error
from daypass.domain.ids import ScopeHash
from daypass.engines.contract import Inventory
from daypass.engines.postgres import names
from daypass.engines.postgres.accounts import backends_of
from daypass.engines.postgres.admin import Admin, AdminConnection, Row
from daypass.engines.postgres.marks import read_mark

_ROLES: Final = """
select r.rolname, shobj_description(r.oid, 'pg_authid') from pg_roles as r
where r.rolname ~ '^dp_[sg]_' order by 1
"""
_SCHEMAS: Final = (
    "select n.nspname, pg_get_userbyid(n.nspowner) from pg_namespace as n"
    " where starts_with(n.nspname, 'dp_v_') order by 1"
)
_VIEWS_OWNER: Final = (
    "select shobj_description(r.oid, 'pg_authid') from pg_roles as r where r.rolname = %s"
)
_DATABASES: Final = (
    "select d.datname from pg_database as d"
    " where d.datallowconn and not d.datistemplate"
    " and has_database_privilege(d.datname, 'connect') order by 1"
)


async def databases(connection: AdminConnection) -> tuple[str, ...]:
    """List the databases the admin can connect to, templates aside."""
    return tuple(str(name) for (name,) in await connection.run("list databases", _DATABASES))


async def inventory(admin: Admin) -> Inventory:
    """List roles, schemas of views in every database, and backends.

    Raises `Unavailable` when a database cannot be looked into: what is not seen is not gone.
    """
    roles = await admin.work(admin.database, lambda c: c.run("list roles", _ROLES))
    accounts: set[str] = set()
    scopes: set[tuple[str, ScopeHash]] = set()
    strangers: set[str] = set()
    for role, comment in roles:
        name = str(role)
        mark = read_mark(comment)
        scope = names.scope_of_role(name)
        if mark is None or mark.installation != admin.address.installation:
            strangers.add(f"role {name}")
        elif scope is not None:
            scopes.add((mark.database, scope))
        elif names.is_account(name):
            accounts.add(name)
        else:
            strangers.add(f"role {name}")
    views_are_ours = await _views_are_ours(admin)
    for database in await admin.work(admin.database, databases):
        for schema, owner in await _schemas(admin, database):
            scope = names.scope_of_schema(str(schema))
            if scope is None or owner != names.VIEWS_OWNER or not views_are_ours:
                strangers.add(f"schema {schema} in {database}")
            else:
                scopes.add((database, scope))
    running = await admin.work(admin.database, lambda c: backends_of(c, sorted(accounts)))
    return Inventory(
        accounts=frozenset(accounts),
        scopes=frozenset(scopes),
        backends={account: tuple(pids) for account, pids in running.items()},
        strangers=tuple(sorted(strangers)),
    )


async def _views_are_ours(admin: Admin) -> bool:
    rows = await admin.work(
        admin.database, lambda c: c.run("read views' owner", _VIEWS_OWNER, (names.VIEWS_OWNER,))
    )
    mark = read_mark(rows[0][0]) if rows else None
    return mark is not None and mark.installation == admin.address.installation


async def _schemas(admin: Admin, database: str) -> list[Row]:
    try:
        return await admin.work(database, lambda c: c.run("list schemas", _SCHEMAS))
    except Error:
        # Dropped since it was listed, or not to be reached: only the former may be passed over.
        if database in await admin.work(admin.database, databases):
            raise
        return []

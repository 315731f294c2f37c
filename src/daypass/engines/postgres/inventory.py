"""What of this Daypass exists on an instance now."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from daypass.domain.errors import Error
from daypass.domain.ids import ScopeHash
from daypass.engines.contract import AccountSeen, Inventory
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
# The last: privileges it was granted. Those on what it owns need no grant, memberships are apart.
_ACCOUNTS: Final = """
select r.rolname, r.rolcanlogin, case when isfinite(r.rolvaliduntil) then r.rolvaliduntil end,
  array(select distinct s.rolname::text from pg_auth_members as m
    join pg_roles as s on s.oid = m.roleid where m.member = r.oid order by 1),
  array(select distinct s.rolname::text from pg_auth_members as m
    join pg_roles as s on s.oid = m.member
    where m.roleid = r.oid and s.rolname <> current_user
      and not (s.rolcreaterole or s.rolsuper) order by 1),
  array_remove(array[
    case when r.rolsuper then 'superuser' end, case when r.rolcreaterole then 'createrole' end,
    case when r.rolcreatedb then 'createdb' end, case when r.rolreplication then 'replication' end,
    case when r.rolbypassrls then 'bypassrls' end], null),
  exists (select from pg_shdepend as d
    where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'a'
      and d.classid <> 'pg_auth_members'::regclass)
from pg_roles as r where r.rolname = any (%s)
"""
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
    details = await admin.work(
        admin.database, lambda c: c.run("look at accounts", _ACCOUNTS, (sorted(accounts),))
    )
    running = await admin.work(admin.database, lambda c: backends_of(c, sorted(accounts)))
    return Inventory(
        accounts={str(row[0]): _account(row) for row in details},
        scopes=frozenset(scopes),
        backends={account: tuple(pids) for account, pids in running.items()},
        strangers=tuple(sorted(strangers)),
    )


def _account(row: Row) -> AccountSeen:
    _, can_login, valid_until, memberships, members, attributes, privileged = row
    scopes: set[ScopeHash] = set()
    excess: list[str] = []
    for role in _texts(memberships):
        scope = names.scope_of_role(role)
        if scope is None:
            excess.append(f"membership in {role}")
        else:
            scopes.add(scope)
    excess += [f"{role} as its member" for role in _texts(members)]
    excess += [f"the attribute {each}" for each in _texts(attributes)]
    excess += ["privileges of its own"] if privileged else []
    return AccountSeen(
        can_login=bool(can_login),
        deadline=valid_until if isinstance(valid_until, datetime) else None,
        scopes=frozenset(scopes),
        excess=tuple(excess),
    )


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


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

"""Take a scope away from its database."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql

from daypass.domain.errors import Conflict
from daypass.domain.ids import ScopeHash
from daypass.engines.postgres import names
from daypass.engines.postgres.accounts import roll_back
from daypass.engines.postgres.admin import AdminConnection
from daypass.engines.postgres.marks import read_mark
from daypass.engines.postgres.objects import take_turn

_SCHEMAS_OF_SCOPE: Final = (
    "select n.nspname from pg_namespace as n where starts_with(n.nspname, %s) order by 1"
)

# Which privileges of the views' owner no view of its needs any more.
_SPARE_PRIVILEGES: Final = """
with used as (
  select distinct d.refobjid as oid
  from pg_class as v
  join pg_rewrite as r on r.ev_class = v.oid
  join pg_depend as d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
    and d.refclassid = 'pg_class'::regclass and d.refobjid <> v.oid
  where v.relowner = %(owner)s::regrole
)
select 'table', n.nspname, c.relname
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
cross join aclexplode(c.relacl) as a
where a.grantee = %(owner)s::regrole and c.relowner <> a.grantee
  and n.nspname <> 'daypass' and c.oid not in (select oid from used)
union
select 'schema', n.nspname, ''
from pg_namespace as n cross join aclexplode(n.nspacl) as a
where a.grantee = %(owner)s::regrole and n.nspowner <> a.grantee and n.nspname <> 'daypass'
  and not exists (
    select from used as u join pg_class as c on c.oid = u.oid where c.relnamespace = n.oid
  )
order by 1 desc, 2, 3
"""


async def remove_scope(
    connection: AdminConnection, scope_hash: ScopeHash, installation: str
) -> None:
    """Take away what `apply` made; what is already gone is left alone."""
    role = names.scope_role(scope_hash)
    if await _is_there(connection, role, installation):
        await _leave_scope(connection, role)
        await _roll_back(connection, role)
    [(shared,)] = await connection.run(
        "find schema", "select to_regclass('daypass.turns') is not null"
    )
    async with connection.transaction("remove scope"):
        if shared:
            await take_turn(connection)
        await remove_views(connection, scope_hash)
        await _shrink_views_owner(connection)
        if await _is_there(connection, role, installation):
            name = sql.Identifier(role)
            await _disconnect(connection, role)
            await connection.run(
                "drop scope's privileges", sql.SQL("drop owned by {}").format(name)
            )
            await connection.run("drop scope role", sql.SQL("drop role {}").format(name))


async def _roll_back(connection: AdminConnection, role: str) -> None:
    """Roll back what sessions prepared as the scope's role; its locks would keep the views."""
    rows = await connection.run(
        "find prepared",
        "select p.gid from pg_prepared_xacts as p"
        " where p.owner = %s and p.database = current_database() order by 1",
        (role,),
    )
    for (gid,) in rows:
        await roll_back(connection, str(gid), role)


async def _disconnect(connection: AdminConnection, role: str) -> None:
    """Revoke CONNECT by its name.

    `drop owned` acts for the owner of the database where the admin is a member of it, and so misses
    what the admin granted by a grant option of its own.
    """
    rows = await connection.run(
        "find connect",
        "select d.datname from pg_database as d, aclexplode(d.datacl) as a"
        " where d.datname = current_database()"
        " and a.grantee = (select r.oid from pg_roles as r where r.rolname = %s)",
        (role,),
    )
    if rows:
        await connection.run(
            "revoke connect",
            sql.SQL("revoke connect on database {} from {}").format(
                sql.Identifier(str(rows[0][0])), sql.Identifier(role)
            ),
        )


async def _is_there(connection: AdminConnection, role: str, installation: str) -> bool:
    """Say whether a scope's role is there. Raises `Conflict` when it is not this Daypass's."""
    rows = await connection.run(
        "find scope role",
        "select shobj_description(r.oid, 'pg_authid') from pg_roles as r where r.rolname = %s",
        (role,),
    )
    if not rows:
        return False
    mark = read_mark(rows[0][0])
    if mark is None or mark.installation != installation:
        raise Conflict(f"the role {role} is not this Daypass's: left alone", code="foreign_object")
    return True


async def _leave_scope(connection: AdminConnection, role: str) -> None:
    """Take every account out of a scope, so that its views raise even if they cannot be dropped."""
    members = await connection.run(
        "read members",
        "select m.rolname from pg_auth_members as g join pg_roles as m on m.oid = g.member"
        " join pg_roles as s on s.oid = g.roleid"
        " where s.rolname = %s and starts_with(m.rolname, 'dp_g_') order by 1",
        (role,),
    )
    for (member,) in members:
        try:
            await connection.run(
                "revoke scope",
                sql.SQL("revoke {} from {}").format(
                    sql.Identifier(role), sql.Identifier(str(member))
                ),
            )
        except psycopg.errors.UndefinedObject:
            # The account, or the scope, was taken away at the same time.
            continue


async def remove_views(connection: AdminConnection, scope_hash: ScopeHash) -> None:
    """Drop the views of a scope in the database a connection leads to."""
    schemas = await connection.run(
        "find view schemas", _SCHEMAS_OF_SCOPE, (f"{names.VIEW_SCHEMA_PREFIX}{scope_hash}_",)
    )
    for (schema,) in schemas:
        await connection.run(
            "drop view schema",
            sql.SQL("drop schema {} cascade").format(sql.Identifier(str(schema))),
        )


async def _shrink_views_owner(connection: AdminConnection) -> None:
    """Revoke from the views' owner what none of its views needs any more."""
    rows = await connection.run(
        "find spare privileges", _SPARE_PRIVILEGES, {"owner": names.VIEWS_OWNER}
    )
    owner = sql.Identifier(names.VIEWS_OWNER)
    for kind, schema, relation in rows:
        if kind == "table":
            statement = sql.SQL("revoke all on {} from {}").format(
                sql.Identifier(str(schema), str(relation)), owner
            )
        else:
            statement = sql.SQL("revoke all on schema {} from {}").format(
                sql.Identifier(str(schema)), owner
            )
        await connection.run("revoke spare privilege", statement)

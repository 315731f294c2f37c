"""What an account that signs in by itself could reach in the other databases of its instance.

A login is the whole server's: whatever database lets everybody in, lets it in as well.
"""

from __future__ import annotations

from typing import Final

from psycopg import sql

from daypass.domain.errors import Conflict
from daypass.engines.postgres.admin import Admin

_DATABASES: Final = """
select d.datname from pg_database as d
where d.datallowconn and d.datname <> %s and has_database_privilege('public', d.oid, 'connect')
order by 1
"""
_OPEN: Final = """
with everybodys as (
  select n.oid, n.nspname from pg_namespace as n
  where has_schema_privilege('public', n.oid, 'usage')
    and n.nspname not in ('pg_catalog', 'information_schema')
), of_extensions as (
  select d.classid, d.objid from pg_depend as d where d.deptype = 'e'
)
select n.nspname || '.' || c.relname
from everybodys as n join pg_class as c on c.relnamespace = n.oid
where c.relkind in ('r', 'p', 'v', 'm', 'f') and has_any_column_privilege('public', c.oid, 'select')
  and not exists (
    select from of_extensions as e where e.classid = 'pg_class'::regclass and e.objid = c.oid
  )
union all
select p.oid::regprocedure::text
from everybodys as n join pg_proc as p on p.pronamespace = n.oid
where p.prosecdef and has_function_privilege('public', p.oid, 'execute')
  and not exists (
    select from of_extensions as e where e.classid = 'pg_proc'::regclass and e.objid = p.oid
  )
order by 1 limit 1
"""


async def require_closed_elsewhere(admin: Admin, database: str) -> None:
    """Raise `Conflict` if a login made for one database shows something in another."""
    others = await admin.work(
        admin.database, lambda c: c.run("list open databases", _DATABASES, (database,))
    )
    for (name,) in others:
        other = str(name)
        found = await admin.work(other, lambda c: c.run("look for what is everybody's", _OPEN))
        if found:
            mend = sql.SQL("revoke connect on database {} from public").format(
                sql.Identifier(other)
            )
            raise Conflict(
                f"a login of one's own would open the database {other} as well, where everybody"
                f" may use {found[0][0]}",
                next_step=f"ask without a direct credential, or have an owner {mend.as_string()}",
                code="open_elsewhere",
            )

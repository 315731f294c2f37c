"""Ask the database what sessions under a plan can really do."""

from __future__ import annotations

from typing import Final

from daypass.domain.catalog import RelationName
from daypass.domain.scope import LeftOut
from daypass.engines.contract import Verified
from daypass.engines.postgres import names
from daypass.engines.postgres.admin import AdminConnection
from daypass.engines.postgres.apply import is_complete
from daypass.engines.postgres.objects import LIVE_BODY
from daypass.engines.postgres.plan import PostgresPlan

_READABLE: Final = """
select n.nspname || '.' || c.relname
from unnest(%s::text[], %s::text[]) as w(s, r)
join pg_namespace as n on n.nspname = w.s
join pg_class as c on c.relnamespace = n.oid and c.relname = w.r
where has_any_column_privilege(%s, c.oid, 'select')
order by 1
"""
_VIEWS_OWNER: Final = """
select r.rolcanlogin or r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb
    or r.rolreplication,
  exists (select from pg_auth_members as m where m.member = r.oid)
from pg_roles as r where r.rolname = %s
"""
_MEMBERSHIPS: Final = """
select s.rolname from pg_auth_members as m
join pg_roles as r on r.oid = m.member join pg_roles as s on s.oid = m.roleid
where r.rolname = %s and s.rolname <> all (%s) order by 1
"""
_MEMBERS: Final = """
select r.rolname from pg_auth_members as m
join pg_roles as r on r.oid = m.member join pg_roles as s on s.oid = m.roleid
where s.rolname = %s and not starts_with(r.rolname, 'dp_g_')
  and r.rolname <> current_user and not (r.rolcreaterole or r.rolsuper)
order by 1
"""
"""Admins aside: whoever made the role is its member, and may have been another one."""
_LIVE: Final = """
select p.prosrc = %s and not p.prosecdef and p.provolatile = 'v' and l.lanname = 'plpgsql'
  and pg_get_userbyid(p.proowner) = current_user
from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
join pg_language as l on l.oid = p.prolang
where n.nspname = %s and p.proname = 'live'
"""
_PADS: Final = "select has_any_column_privilege(%s, to_regclass('daypass.pads')::oid, 'select')"
_USABLE: Final = """
select n.nspname from pg_namespace as n
where has_schema_privilege(%s, n.oid, 'usage') and n.nspname <> all (%s)
  and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast_)?temp_'
order by 1
"""


async def verify(connection: AdminConnection, plan: PostgresPlan, installation: str) -> Verified:
    """Compare the privileges the scope's role really has with what the plan means it to have."""
    if not await is_complete(connection, plan, installation):
        return Verified(
            (LeftOut(plan.role, "not_applied", "the scope is not on the target as it was made"),)
        )
    problems = [
        *await _readable(connection, plan),
        *await _views_owner(connection),
        *await _memberships(connection, plan),
        *await _live(connection, plan),
    ]
    return Verified(tuple(problems))


async def _readable(connection: AdminConnection, plan: PostgresPlan) -> list[LeftOut]:
    """List guarded relations that sessions can read around their views."""
    # Owners and native roles read theirs: approvers were told so.
    if not plan.guarded or plan.owners:
        return []
    rows = await connection.run(
        "verify privileges",
        _READABLE,
        ([n.schema for n in plan.guarded], [n.name for n in plan.guarded], plan.role),
    )
    return [
        LeftOut(
            str(name),
            "readable_around",
            f"{name} can be read directly by every session, around masks and filters",
            "revoke the privilege from public, or accept it by name",
        )
        for (name,) in rows
        if RelationName.parse(str(name)) not in plan.accepted_open
    ]


async def _views_owner(connection: AdminConnection) -> list[LeftOut]:
    [(powerful, member)] = await connection.run(
        "verify views' owner", _VIEWS_OWNER, (names.VIEWS_OWNER,)
    )
    if not powerful and not member:
        return []
    return [
        LeftOut(
            names.VIEWS_OWNER,
            "views_owner_changed",
            f"{names.VIEWS_OWNER} has more power than its views need",
            f"take its attributes and memberships from {names.VIEWS_OWNER}",
        )
    ]


async def _memberships(connection: AdminConnection, plan: PostgresPlan) -> list[LeftOut]:
    rows = await connection.run("verify memberships", _MEMBERSHIPS, (plan.role, list(plan.owners)))
    return [
        LeftOut(
            plan.role,
            "extra_membership",
            f"{plan.role} has become a member of {role}",
            f"revoke {role} from {plan.role}",
        )
        for (role,) in rows
    ] + [
        LeftOut(
            plan.role,
            "extra_member",
            f"{member} has become a member of {plan.role}",
            f"revoke {plan.role} from {member}",
        )
        for (member,) in await connection.run("verify members", _MEMBERS, (plan.role,))
    ]


async def _live(connection: AdminConnection, plan: PostgresPlan) -> list[LeftOut]:
    rows = await connection.run("verify live", _LIVE, (LIVE_BODY, names.SCHEMA))
    [(readable,)] = await connection.run("verify pads", _PADS, (plan.role,))
    problems = []
    if rows != [(True,)]:
        problems.append(
            LeftOut("daypass.live", "live_changed", "the function that keeps deadlines was changed")
        )
    if readable:
        problems.append(
            LeftOut(
                "daypass.pads",
                "pads_readable",
                "the keys of hash masks can be read by sessions",
                "revoke all on daypass.pads from public",
            )
        )
    if plan.owners:
        return problems
    expected = [*(view for _, view in plan.view_schemas), *plan.usable_schemas]
    extra = await connection.run("verify schemas", _USABLE, (plan.role, expected))
    problems += [
        LeftOut(
            f"schema {schema}",
            "schema_open",
            f"the schema {schema} has been opened to every login since the catalog was read",
            "sync the catalog",
        )
        for (schema,) in extra
    ]
    return problems

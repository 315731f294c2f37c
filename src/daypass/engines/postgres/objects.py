"""What Daypass keeps on a target: the views' owner, and in each database the schema `daypass`."""

from __future__ import annotations

from typing import Final

from psycopg import sql

from daypass.domain.errors import Conflict
from daypass.engines.postgres import names
from daypass.engines.postgres.admin import AdminConnection, comment_on_role
from daypass.engines.postgres.marks import Mark, read_mark

VERSION: Final = 1
"""Version of what is kept in a database; raise it with every change below."""

LIVE_BODY: Final = """
declare
  lives pg_catalog.bool;
begin
  select r.rolvaliduntil operator(pg_catalog.>) pg_catalog.clock_timestamp()
      and pg_catalog.pg_has_role(r.oid, live.scope, 'member')
    into lives
    from pg_catalog.pg_roles as r
    where r.rolname operator(pg_catalog.=) session_user
      and pg_catalog.starts_with(r.rolname::pg_catalog.text, 'dp_g_');
  if lives is true then
    return true;
  end if;
  raise exception using
    errcode = '57D01',
    message = 'grant ended',
    hint = 'Ask for access again: daypass request.';
end
"""

# No SET clause: it would cost more than the body. Every name is written in full instead.
_LIVE: Final = sql.SQL(
    "create or replace function {schema}.live(scope pg_catalog.oid) returns pg_catalog.bool"
    " language plpgsql volatile parallel safe as {body}"
)
# A key that is made by the server and never leaves it: 488 random bits, half a block of SHA-512.
_PADS: Final = sql.SQL(
    "insert into {schema}.pads (ipad) select uuid_send(gen_random_uuid())"
    " || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())"
    " || uuid_send(gen_random_uuid())"
)


async def ensure_instance(connection: AdminConnection, installation: str) -> None:
    """Make the views' owner unless it is there.

    Raises `Conflict` when it is another installation's or nobody's.
    """
    rows = await connection.run(
        "read views' owner",
        "select shobj_description(r.oid, 'pg_authid'),"
        " r.rolcanlogin or r.rolsuper or r.rolbypassrls or r.rolcreaterole"
        " or r.rolcreatedb or r.rolreplication,"
        " pg_has_role(current_user, r.oid, 'usage')"
        " from pg_roles as r where r.rolname = %s",
        (names.VIEWS_OWNER,),
    )
    if not rows:
        owner = sql.Identifier(names.VIEWS_OWNER)
        async with connection.transaction("make views' owner"):
            await connection.run(
                "make views' owner",
                sql.SQL("create role {} nologin nobypassrls noinherit").format(owner),
            )
            if not connection.has_membership_options:
                await connection.run(
                    "join views' owner", sql.SQL("grant {} to current_user").format(owner)
                )
            await connection.run(
                "mark views' owner",
                comment_on_role(names.VIEWS_OWNER, Mark(installation).text()),
            )
        return
    [(comment, powerful, usable)] = rows
    _must_be_ours(f"the role {names.VIEWS_OWNER}", comment, installation)
    if powerful:
        raise Conflict(
            f"the role {names.VIEWS_OWNER} has been given powers that would undo every row filter",
            next_step=f"alter role {names.VIEWS_OWNER} nologin nosuperuser nobypassrls"
            " nocreaterole nocreatedb noreplication",
            code="views_owner_changed",
        )
    if not usable:
        # The admin of before was another role, or somebody revoked the membership.
        with_options = " with inherit true, set true" if connection.has_membership_options else ""
        await connection.run(
            "join views' owner",
            sql.SQL("grant {} to current_user").format(sql.Identifier(names.VIEWS_OWNER))
            + (sql.SQL(" with inherit true, set true") if with_options else sql.SQL("")),
        )


async def ensure_database(connection: AdminConnection, installation: str) -> None:
    """Make the schema `daypass` of the database a connection leads to, unless it is there.

    Raises `Conflict` when it is another installation's or nobody's.
    """
    rows = await connection.run(
        "read schema",
        "select obj_description(n.oid, 'pg_namespace'),"
        " (select p.prosrc from pg_proc as p where p.pronamespace = n.oid and p.proname = 'live'"
        "  and p.pronargs = 1 and p.proargtypes[0] = 'oid'::regtype),"
        " to_regclass('daypass.pads') is not null and to_regclass('daypass.turns') is not null"
        " from pg_namespace as n where n.nspname = %s",
        (names.SCHEMA,),
    )
    if rows:
        [(comment, body, tables)] = rows
        _must_be_ours(f"the schema {names.SCHEMA}", comment, installation)
        if body == LIVE_BODY and tables:
            return
    async with connection.transaction("make schema"):
        await _make_database(connection, installation, fresh=not rows)


async def _make_database(connection: AdminConnection, installation: str, *, fresh: bool) -> None:
    schema = sql.Identifier(names.SCHEMA)
    owner = sql.Identifier(names.VIEWS_OWNER)
    if fresh:
        await connection.run("make schema", sql.SQL("create schema {}").format(schema))
        await connection.run(
            "mark schema",
            sql.SQL("comment on schema {} is {}").format(
                schema, sql.Literal(Mark(installation).text())
            ),
        )
    await connection.run(
        "close schema",
        sql.SQL(
            "revoke all on schema {schema} from public; grant usage on schema {schema} to {owner}"
        ).format(schema=schema, owner=owner),
    )
    await connection.run(
        "make pads",
        sql.SQL(
            "create table if not exists {schema}.pads"
            " (one bool primary key default true check (one), ipad bytea not null);"
            " revoke all on {schema}.pads from public; grant select on {schema}.pads to {owner};"
            " create table if not exists {schema}.turns ();"
            " revoke all on {schema}.turns from public"
        ).format(schema=schema, owner=owner),
    )
    rows = await connection.run("read pads", sql.SQL("select 1 from {}.pads").format(schema))
    if not rows:
        await connection.run("fill pads", _PADS.format(schema=schema))
    await connection.run("make live", _LIVE.format(schema=schema, body=sql.Literal(LIVE_BODY)))
    await connection.run(
        "open live",
        sql.SQL("grant execute on function {}.live(pg_catalog.oid) to public").format(schema),
    )


async def take_turn(connection: AdminConnection) -> None:
    """Wait until nobody else makes or removes views here; held until the transaction ends.

    A table's lock, since anybody may take any advisory lock; only the admin may lock this one.
    """
    await connection.run(
        "take turn",
        sql.SQL("lock table {} in share update exclusive mode").format(
            sql.Identifier(names.SCHEMA, "turns")
        ),
    )


def _must_be_ours(what: str, comment: object, installation: str) -> None:
    mark = read_mark(comment)
    if mark is None:
        raise Conflict(
            f"{what} exists already and Daypass did not make it",
            next_step=f"rename or drop {what}",
            code="foreign_object",
        )
    if mark.installation != installation:
        raise Conflict(
            f"the target is already managed by another Daypass installation ({mark.installation})",
            next_step="remove the instance there first",
            code="other_installation",
        )

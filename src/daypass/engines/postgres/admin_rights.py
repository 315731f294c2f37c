"""Rights the admin credential lacks or has too many of, and settings of the server that matter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row, tuple_row

from daypass.domain.exposure import Exposure, Severity
from daypass.engines.postgres.admin_facts import AdminFacts, Gap

_ORDER: Final = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 2}
_FEWEST_FREE: Final = 20
_NAMED: Final = 5


@cache
def _sql(name: str) -> bytes:
    return (files("daypass.engines.postgres") / "sql" / f"{name}.sql").read_bytes()


async def check_admin(conn: AsyncConnection[Any], database: str) -> tuple[Exposure, ...]:
    """List what is wrong with the rights of the role a connection is signed in as.

    The connection must lead to `database` and be idle.
    """
    async with conn.transaction():
        await conn.execute("set transaction read only")
        await conn.execute("set local search_path = pg_catalog, pg_temp")
        async with conn.cursor(row_factory=class_row(AdminFacts)) as facts_cursor:
            await facts_cursor.execute(_sql("admin"), {"database": database})
            facts = await facts_cursor.fetchone()
        async with conn.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(_sql("admin_gaps"))
            gaps = [Gap(*row) for row in await cursor.fetchall()]
    if facts is None:
        raise RuntimeError("a connection's own role is always in pg_roles")
    return judge_admin(facts, gaps, database, conn.info.server_version)


def judge_admin(
    facts: AdminFacts, gaps: list[Gap], database: str, server_version: int
) -> tuple[Exposure, ...]:
    """Say what is wrong with an admin's rights, the gravest first: pure."""
    found = [
        *_too_much(facts),
        *_lacking(facts, database),
        *(_gap(gap, facts, server_version) for gap in gaps if not facts.superuser),
        *_settings(facts, database),
    ]
    return tuple(sorted(found, key=lambda e: (_ORDER[e.severity], e.key)))


def _mend(text: LiteralString, *parts: sql.Composable) -> str:
    return sql.SQL(text).format(*parts).as_string(None)


def _rights(
    name: str, text: str, severity: Severity, mend: str, *, blocks: bool = False
) -> Exposure:
    return Exposure("admin_rights", name, text, severity, mend, blocks)


def _too_much(facts: AdminFacts) -> Iterator[Exposure]:
    role = sql.Identifier(facts.name)
    if facts.superuser:
        yield _rights(
            "superuser",
            f"{facts.name} is a superuser; Daypass needs CREATEROLE and what the owners may grant,"
            " no more: whoever gets its password has everything",
            Severity.MEDIUM,
            "create role daypass_admin login createrole password '…';"
            " then give the instance its name",
        )
        return
    for attribute, has, what, mend in (
        (
            "bypassrls",
            facts.bypassrls,
            "passes row-level security",
            _mend("alter role {} nobypassrls;", role),
        ),
        (
            "replication",
            facts.replication,
            "may copy the whole instance",
            _mend("alter role {} noreplication;", role),
        ),
        (
            "createdb",
            facts.createdb,
            "may make databases",
            _mend("alter role {} nocreatedb;", role),
        ),
    ):
        if has:
            yield _rights(
                attribute,
                f"{facts.name} {what}, which Daypass never needs",
                Severity.LOW if attribute == "createdb" else Severity.MEDIUM,
                mend,
            )
    for power in facts.powers:
        yield _rights(
            power,
            f"{facts.name} is a member of {power}, which Daypass never needs",
            Severity.MEDIUM,
            _mend("revoke {} from {};", sql.Identifier(power), role),
        )


def _lacking(facts: AdminFacts, database: str) -> Iterator[Exposure]:
    role, place = sql.Identifier(facts.name), sql.Identifier(database)
    if facts.superuser:
        return
    if not facts.createrole:
        yield _rights(
            "createrole",
            f"{facts.name} may not make roles: no session can be opened",
            Severity.HIGH,
            _mend("alter role {} createrole;", role),
            blocks=True,
        )
    if not facts.may_create:
        yield _rights(
            f"create on database {database}",
            f"{facts.name} may not make schemas in {database}: no scope can be applied",
            Severity.HIGH,
            _mend("grant create on database {} to {};", place, role),
            blocks=True,
        )
    if not facts.may_connect:
        yield _rights(
            f"connect on database {database}",
            f"{facts.name} may connect to {database} no more once this connection ends",
            Severity.HIGH,
            _mend("grant connect on database {} to {};", place, role),
            blocks=True,
        )
    if not facts.inherit:
        yield _rights(
            "inherit",
            f"{facts.name} is NOINHERIT: what the owners may do, it may not",
            Severity.MEDIUM,
            _mend("alter role {} inherit;", role),
        )
    if not facts.may_signal:
        yield _rights(
            "pg_signal_backend",
            f"{facts.name} may end only sessions of roles it is a member of; those Daypass makes it"
            " can join first, which takes a moment longer",
            Severity.LOW,
            _mend("grant pg_signal_backend to {};", role),
        )


def _gap(gap: Gap, facts: AdminFacts, server_version: int) -> Exposure:
    role, owner = sql.Identifier(facts.name), sql.Identifier(gap.owner)
    relations, schemas = gap.relations or [], gap.schemas or []
    parts = [
        f"{len(names)} {word}{'s' * (len(names) != 1)} ({', '.join(names[:_NAMED])}"
        f"{', …' * (len(names) > _NAMED)})"
        for names, word in ((relations, "relation"), (schemas, "schema"))
        if names
    ]
    if gap.superuser:
        # Membership in a superuser's role would make the admin one.
        statements = [
            f"grant usage on schema {name} to {{}} with grant option;" for name in schemas
        ]
        statements += [
            f"grant select, insert, update, delete on table {name} to {{}} with grant option;"
            for name in relations[: _NAMED * 10]
        ]
        quoted = role.as_string(None)
        mend = " ".join(statement.replace("{}", quoted) for statement in statements)
    else:
        options = " with inherit true, set true" if server_version >= 160000 else ""
        mend = f"grant {owner.as_string(None)} to {role.as_string(None)}{options};"
    return _rights(
        f"grant for {gap.owner}",
        f"{facts.name} cannot hand on {' and '.join(parts)} of {gap.owner}: scopes leave them out",
        Severity.MEDIUM,
        mend,
    )


def _settings(facts: AdminFacts, database: str) -> Iterator[Exposure]:
    def setting(name: str, text: str, severity: Severity, mend: str) -> Exposure:
        return Exposure("server_setting", name, text, severity, mend)

    reload = "select pg_reload_conf();"
    if facts.check_interval in ("0", "0ms"):
        yield setting(
            "client_connection_check_interval",
            "client_connection_check_interval is 0: a statement goes on after the gateway in front"
            " of it was killed",
            Severity.MEDIUM,
            f"alter system set client_connection_check_interval = '1s'; {reload}",
        )
    if facts.password_encryption != "scram-sha-256":  # noqa: S105 - a method's name
        yield setting(
            "password_encryption",
            f"password_encryption is {facts.password_encryption}: passwords are kept in a form that"
            " is broken easily",
            Severity.MEDIUM,
            f"alter system set password_encryption = 'scram-sha-256'; {reload}",
        )
    if facts.open_large_objects == "on":
        yield setting(
            "lo_compat_privileges",
            "lo_compat_privileges is on: every login may read and change every large object",
            Severity.MEDIUM,
            f"alter system set lo_compat_privileges = off; {reload}",
        )
    if not facts.private_line:
        yield setting(
            "ssl",
            "Daypass's connection to the server is not encrypted",
            Severity.MEDIUM,
            f"alter system set ssl = on; {reload} -- and ssl_cert_file and ssl_key_file",
        )
    free = facts.max_connections - facts.reserved - facts.connected
    if free < max(_FEWEST_FREE, facts.max_connections // 10):
        yield setting(
            "max_connections",
            f"{free} of {facts.max_connections} connections are free: sessions may find none",
            Severity.MEDIUM,
            f"alter system set max_connections = {max(100, facts.max_connections * 2)};"
            " -- then restart the server",
        )
    if 0 <= facts.connection_limit < _FEWEST_FREE:
        yield setting(
            "connection limit of the admin",
            f"{facts.name} may have {facts.connection_limit} connections at most: revocations wait",
            Severity.LOW,
            _mend("alter role {} connection limit -1;", sql.Identifier(facts.name)),
        )
    if 0 <= facts.database_limit < _FEWEST_FREE:
        yield setting(
            f"connection limit of {database}",
            f"{database} takes {facts.database_limit} connections at most",
            Severity.LOW,
            _mend("alter database {} connection limit -1;", sql.Identifier(database)),
        )
    if facts.standby:
        yield setting(
            "standby",
            "this server is a standby: nothing can be made there, connect to its primary",
            Severity.HIGH,
            "",
        )
